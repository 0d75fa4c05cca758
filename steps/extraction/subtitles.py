"""Subtitles (WebVTT, SRT): what is said, by whom, without cue numbers, times and marks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from steps.extraction.parts import assemble
from steps.extraction.reasons import ExtractDrop
from steps.extraction.repairs import added
from steps.extraction.text import Extracted, decode_counted

_TIMES = re.compile(r"^\s*((?:\d{1,2}:)?\d{1,2}:\d{2}[.,]\d{1,3})\s*-->\s*\S+.*$")
_VOICE = re.compile(r"^<v(?:\.[\w.]+)?\s+([^>]+)>")
_EMPHASIS = re.compile(r"<(/?)(b|i)(?:\.[^>]*)?>")
_TAG = re.compile(r"<[^>]*>")
#: A speaker's cues are one paragraph up to this length.
MAX_PARAGRAPH_CHARACTERS = 600
#: Blocks of WebVTT that nobody says.
_SILENT = ("WEBVTT", "NOTE", "STYLE", "REGION")


def read_subtitles(content: bytes) -> Extracted:
    """Read what is said; the offset map has the time at which each paragraph begins.

    Raises:
        UnusableError: if it is empty, binary, of no known encoding, or without a cue (`no_text_in_file`).
    """
    text, repairs = decode_counted(content)
    parts: list[tuple[str, str]] = []
    speaker: str | None = None
    for time, voice, said in _cues(text):
        goes_on = bool(parts) and voice == speaker and len(parts[-1][1]) < MAX_PARAGRAPH_CHARACTERS
        if goes_on and not parts[-1][1].endswith(said):
            parts[-1] = (parts[-1][0], f"{parts[-1][1]} {said}")
        elif not goes_on:
            parts.append((time, f"{voice}: {said}" if voice and voice != speaker else said))
        speaker = voice
    read = assemble(parts, None, ExtractDrop.NO_TEXT_IN_FILE, f"{len(text)} characters, but no cue with words")
    return read._replace(repairs=added([repairs, read.repairs]))


def _cues(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield the time, the speaker (empty if it is not said) and the words of each cue."""
    for block in re.split(r"\n[ \t]*\n", text):
        lines = block.split("\n")
        number = next((number for number, line in enumerate(lines[:2]) if _TIMES.match(line)), None)
        if number is None or lines[0].startswith(_SILENT):
            continue
        found = _TIMES.match(lines[number])
        words = "\n".join(lines[number + 1 :])
        voice = _VOICE.match(words)
        words = _EMPHASIS.sub(lambda mark: "**" if mark[2] == "b" else "*", words)
        words = " ".join(_TAG.sub("", words).split())
        if found and words:
            yield found[1], voice[1].strip() if voice else "", words
