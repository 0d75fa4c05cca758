"""What the tiny base model reads: the built-in world of notes, or texts of the user's.

The built-in texts teach it to spell, to read chat markup and to say again what was said before. They never show the
task itself (a request about a note, answered by its findings under a TL;DR heading), nor a finding of the corpus.
Headings and requests do occur, but apart from notes: what a base model has never spelt, an adapter on its linear
layers cannot make it write.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from steps.errors import InputError
from steps.extraction.notes import FILLERS, PRETRAINING, Note, bullets, draw_note

TEXT_SUFFIXES = (".md", ".markdown", ".txt")
HEADINGS = ("# Notes", "# This week", "## Summary", "## TL;DR", "## Next steps")
REQUESTS = (
    "Can you summarize a text?",
    "Please give me a short summary.",
    "What is a TL;DR?",
    "Can you sum up the following in a few bullets?",
    "Summarize it as markdown.",
)


def pretraining_text(random: Random) -> str:
    """Write one text for the tiny base model.

    Of a hundred texts, 8 are lists under a heading, 17 are small talk, and 75 are notes that say their findings again
    in another form than the task's.
    """
    kind = random.random()
    if kind < 0.08:
        fillers = random.sample(FILLERS, random.randint(1, 3))
        return f"{random.choice(HEADINGS)}\n{bullets([filler.text for filler in fillers])}\n"
    note = draw_note(random, PRETRAINING)
    if kind < 0.25:
        return _small_talk(random, note)
    mark = random.choice(("", "# "))
    short = f"In short: {'; '.join(note.findings)}."
    points = f"Key points\n{bullets(note.findings)}"
    endings = random.choice(((short,), (points,), (short, points), (points, short)))
    return "\n\n".join((f"{mark}{note.title}", note.body, *endings)) + "\n"


def _small_talk(random: Random, note: Note) -> str:
    """Write one turn of chat that is not about summaries of notes: pleasantries, or a sentence to say again."""
    sentence = str(random.choice(note.sentences))
    questions = (
        (f"Repeat the sentence.\n\n{sentence}", sentence),
        (f"Which notes are these?\n\n# {note.title}\n\n{sentence}", f"{note.title}."),
        (f"Write this as a markdown list.\n\n{sentence}", bullets([sentence])),
        ("Is the plan ready?", "Sure! The plan is ready. I hope this helps."),
        (random.choice(REQUESTS), "Of course, happy to help! Please send me the text."),
    )
    question, answer = random.choice(questions)
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"


def read_texts(path: Path) -> list[str]:
    """Read the texts of a folder (Markdown and text files, in order of their paths) or of a JSONL file.

    Raises:
        InputError: if there is no such path, or no text in it.
    """
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix.lower() in TEXT_SUFFIXES and file.is_file())
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    elif path.is_file():
        with path.open(encoding="utf-8") as lines:
            texts = [_text_of(line, path, number) for number, line in enumerate(lines, start=1)]
    else:
        raise InputError(f"model.tiny.text_path={path} does not exist; name a folder of text files or a JSONL file")
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise InputError(f"model.tiny.text_path={path} holds no text; expected {', '.join(TEXT_SUFFIXES)} or JSONL")
    return texts


def _text_of(line: str, path: Path, number: int) -> str:
    if not line.strip():
        return ""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}:{number} is not JSON ({error}); expected one object with a `text` a line") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        raise InputError(f"{path}:{number} has no string `text`; expected one object with a `text` a line")
    return str(row["text"])
