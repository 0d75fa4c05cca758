"""Whose model is it? A judge favours texts of its own family, so that such a judge is flagged.

Self-preference: GPT-4 favours its own answers by 10 points of win rate, Claude by 25 (Zheng et al. 2023, MT-Bench,
section 3.3); models that recognise their own texts score them higher (Panickssery et al. 2024).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

#: Words of model names by family. A name is read from its right end of slashes and then from the left, so that
#: `deepseek-ai/DeepSeek-R1-Distill-Llama-8B` is both: what was distilled writes as its teacher, on its student's base.
_FAMILIES: dict[str, tuple[str, ...]] = {
    "gpt": ("gpt", "chatgpt", "o1", "o3", "o4", "davinci", "codex"),
    "claude": ("claude", "opus", "sonnet", "haiku"),
    "gemini": ("gemini", "palm", "bard"),
    "gemma": ("gemma", "codegemma", "medgemma", "shieldgemma"),
    "llama": ("llama", "codellama", "alpaca", "vicuna", "tinyllama", "hermes"),
    "qwen": ("qwen", "qwq", "qvq", "tongyi"),
    "mistral": ("mistral", "mixtral", "ministral", "codestral", "magistral", "devstral", "pixtral", "zephyr"),
    "deepseek": ("deepseek",),
    "phi": ("phi",),
    "command": ("command", "cohere", "aya", "c4ai"),
    "grok": ("grok",),
    "glm": ("glm", "chatglm"),
    "granite": ("granite",),
    "nova": ("nova",),
    "nemotron": ("nemotron",),
    "olmo": ("olmo", "tulu"),
    "smollm": ("smollm",),
    "falcon": ("falcon",),
    "yi": ("yi",),
    "kimi": ("kimi", "moonshot"),
    "internlm": ("internlm",),
    "jamba": ("jamba",),
}
_FAMILY_OF = {word: family for family, words in _FAMILIES.items() for word in words}
_WORD = re.compile(r"[a-z]+\d?[a-z]*|\d+")
#: Words that are too common to mean a model where they stand behind another word.
_ONLY_FIRST = frozenset({"yi", "nova", "phi", "o1", "o3", "o4", "aya", "opus"})


class _Judge(Protocol):
    """What is read off a judge's settings (`steps.judging.judge_settings.BaseJudgeSettings`)."""

    @property
    def judge_name(self) -> str: ...

    @property
    def model_family(self) -> tuple[str, str | None] | None: ...


def families_of(model: str, family: str | None = None) -> frozenset[str]:
    """Return the families that a model belongs to: as configured, else by its name; none if it says none.

    A distilled or merged model may belong to several.

    >>> sorted(families_of("meta-llama/Llama-3.1-8B-Instruct")), sorted(families_of("gpt-4o-mini-2024-07-18"))
    (['llama'], ['gpt'])
    >>> sorted(families_of("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"))
    ['deepseek', 'qwen']
    >>> sorted(families_of("our-grader", family="Qwen")), sorted(families_of("our-grader"))
    (['qwen'], [])
    """
    if family is not None:
        return frozenset({family.strip().lower()})
    # `/data/models/llama-7b/checkpoint-30` is a path whose last part says nothing: all parts are read.
    found = set()
    for part in model.lower().replace(":", "/").split("/"):
        words = _WORD.findall(part)
        for at, word in enumerate(words):
            stem = word if word in _FAMILY_OF else word.rstrip("0123456789")
            known = _FAMILY_OF.get(stem) or _FAMILY_OF.get(_letters(word))
            if known is not None and (at == 0 or stem not in _ONLY_FIRST):
                found.add(known)
    return frozenset(found)


def same_family(judges: Iterable[_Judge], generators: Iterable[str | tuple[str, str | None]]) -> list[str]:
    """Say which judges grade texts of their own family.

    Args:
        judges: Settings of the judges; those that no model stands behind are passed over.
        generators: Models that wrote the texts: by name, or with the configured family.

    Returns:
        One warning per judge and generator, sorted; empty if all is well, or if the names say nothing.
    """
    written: dict[str, set[str]] = {}
    for generator in generators:
        name, family = generator if isinstance(generator, tuple) else (generator, None)
        for found in families_of(name, family):
            written.setdefault(found, set()).add(name)
    return sorted(
        f"judge {judge.judge_name} and the generator {', '.join(sorted(written[shared]))} are of one family "
        f"({shared}): models favour texts of their own; add a judge of another family, or set `family` if the name "
        "misleads"
        for judge in judges
        if judge.model_family is not None
        for shared in families_of(*judge.model_family) & written.keys()
    )


def _letters(word: str) -> str:
    """Return the leading letters: `qwen2` and `phi4` name their version without a gap."""
    return re.match(r"[a-z]*", word)[0]  # type: ignore[index]
