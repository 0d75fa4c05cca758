"""Kind `code`: fenced code, asked for by the paragraph that explains it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from steps.synthesis.pairs import (
    Document,
    Pair,
    clean,
    has_machine_markup,
    is_navigation,
    n_words,
    readable_sections,
)
from steps.synthesis.passages import DANGLING
from steps.synthesis.structure import Block, Section

KIND = "code"
#: Each ends with the explanation, which may end with a colon.
PHRASINGS = (
    "Show the {language} code, on {topic}. {lead}",
    "Give me the {language} code for this, on {topic}: {lead}",
    "Answer with {language} code, on {topic}. {lead}",
    "What does this look like in {language}, on {topic}? {lead}",
)
#: What a fence's info string may say, and how to name it in a question. Output and diagrams are no code.
LANGUAGES = {
    "python": "Python", "py": "Python", "python3": "Python", "pycon": "Python", "bash": "shell", "sh": "shell",
    "shell": "shell", "zsh": "shell", "yaml": "YAML", "yml": "YAML", "json": "JSON", "toml": "TOML", "sql": "SQL",
    "dockerfile": "Dockerfile", "docker": "Dockerfile", "javascript": "JavaScript", "js": "JavaScript",
    "typescript": "TypeScript", "ts": "TypeScript", "rust": "Rust", "go": "Go", "java": "Java", "c": "C", "cpp": "C++",
    "c++": "C++", "cuda": "CUDA", "r": "R", "html": "HTML", "css": "CSS", "jinja": "Jinja", "jinja2": "Jinja",
    "ini": "INI", "makefile": "Makefile", "hcl": "HCL", "terraform": "Terraform", "powershell": "PowerShell",
}  # fmt: skip
MIN_LEAD_WORDS, MAX_LEAD_WORDS = 6, 90
MAX_CODE_LINES = 60
#: An explanation of what went before says nothing about the code that comes.
_AFTERWARDS = re.compile(
    r"(?:output|outputs|prints|returns|result|results in|looks like this|response)\W*$", re.IGNORECASE
)


def code_pairs(document: Document) -> Iterator[Pair]:
    """Yield a pair per fenced code block right behind a paragraph that says what it does."""
    for section in readable_sections(document):
        for lead, code in pairwise(section.blocks):
            if lead.kind == "paragraph" and code.kind == "code":
                yield from _pair(document, section, lead, code)


def _pair(document: Document, section: Section, lead: Block, code: Block) -> Iterator[Pair]:
    language = LANGUAGES.get(code.language)
    topic = document.topic(section)
    source = document.text[code.start : code.end]
    if language is None or topic is None or not _is_code(source, code):
        return
    text = clean(lead.text)
    if not MIN_LEAD_WORDS <= n_words(text) <= MAX_LEAD_WORDS or _AFTERWARDS.search(text) or text[-1] not in ".:!?":
        return
    if has_machine_markup(text) or is_navigation(text) or DANGLING.search(text) or text[0] in "|>.":
        return
    prompt = document.choose(PHRASINGS, KIND, code.start).format(topic=topic, lead=text, language=language)
    yield Pair(KIND, prompt, source, code.start, code.end)


def _is_code(source: str, code: Block) -> bool:
    lines = [line for line in code.text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "//"))]
    fence = source.lstrip()[:3]
    closed = fence in {"```", "~~~"} and source.rstrip().endswith(fence)
    return closed and 1 <= len(lines) <= MAX_CODE_LINES
