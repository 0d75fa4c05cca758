"""The parts of the sample corpus: notes, data sets, and what is planted among them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from steps.extraction import planted
from steps.extraction.note_files import WRITERS
from steps.extraction.notes import CORPUS, Note, bullets, draw_finding, draw_note, titles
from steps.extraction.planted import Planted

if TYPE_CHECKING:
    from steps.extraction.corpus import CorpusSettings

#: Of a hundred files: three in four are Markdown.
SUFFIXES = ("md",) * 74 + ("html",) * 9 + ("txt",) * 9 + ("pdf",) * 8

REQUESTS = (
    "Summarize the note as a markdown TL;DR.",
    "Write a TL;DR of this note in markdown.",
    "Please give me the TL;DR of this note.",
    "Can you sum up this note as a TL;DR?",
)
OPENERS = (
    "Sure! Here is the summary you asked for:",
    "Of course, happy to help with that.",
    "Great question! Let me sum up the note.",
    "Absolutely! I read the note for you.",
)
CLOSERS = (
    "Let me know if you need anything else!",
    "I hope this helps with your work.",
    "Feel free to ask for more details.",
    "Is there anything else I can do?",
)
REFUSAL = "I'm sorry, but I cannot help with that request."


def chatty(random: Random, answer: str) -> str:
    """Return the answer between an opener and a closer that nobody asked for."""
    return f"{random.choice(OPENERS)}\n\n{answer}\n\n{random.choice(CLOSERS)}"


def tldr(points: Sequence[str]) -> str:
    """Return the answer that the task wants: a heading and one bullet per finding, nothing else."""
    return f"## TL;DR\n{bullets(points)}"


class CorpusWriter:
    """Writes one corpus; every part draws from its own random stream, so that changing one leaves the others."""

    def __init__(self, folder: Path, settings: CorpusSettings) -> None:
        self.folder = folder
        self.settings = settings
        shuffled = titles()
        Random(f"{settings.seed} titles").shuffle(shuffled)
        self.titles = iter(shuffled)
        self.planted: list[Planted] = []

    def write(self) -> list[Planted]:
        """Write everything but the manifest, and return what was planted."""
        clean = self._clean_notes()
        self._duplicates(clean)
        self._junk_notes()
        self._unusable_files()
        self._benchmark(clean)
        self._chat_log()
        self._reviews()
        return self.planted

    def _random(self, part: str) -> Random:
        return Random(f"{self.settings.seed} {part}")

    def _note(self, random: Random, n_findings: int | None = None) -> Note:
        return draw_note(random, CORPUS, next(self.titles), n_findings)

    def _clean_notes(self) -> list[tuple[str, Note]]:
        """Write the notes; those that will be duplicated are long (two findings) and in Markdown, and come first."""
        random = self._random("notes")
        n_doubled = 3 * self.settings.n_duplicates
        written = []
        for number in range(self.settings.n_notes):
            doubled = number < n_doubled
            note = self._note(random, 2 if doubled else None)
            suffix = "md" if doubled else random.choice(SUFFIXES)
            path = self._write_note(f"{_stem(note)}.{suffix}", WRITERS[suffix](note, note.findings))
            written.append((path, note))
        return written

    def _duplicates(self, clean: list[tuple[str, Note]]) -> None:
        random = self._random("duplicates")
        n = self.settings.n_duplicates
        sorts = (("exact", "copy"), ("near", "edited"), ("semantic", "reworded"))
        for (kind, ending), start in zip(sorts, range(0, 3 * n, n), strict=True):
            stage = "dedup_minhash" if kind == "near" else f"dedup_{kind}"
            for path, note in clean[start : start + n]:
                other = {"exact": note, "near": planted.edited(note), "semantic": planted.reworded(note, random)}[kind]
                copy = self._write_note(f"{_stem(note)}-{ending}.md", WRITERS["md"](other, note.findings))
                self._plant(f"{kind}_duplicate", copy, stage, f"{kind}_duplicate", partner=path)

    def _junk_notes(self) -> None:
        random = self._random("junk")
        for _ in range(self.settings.n_junk):
            for file in planted.junk_files(self._note(random), random):
                self._plant(file.kind, self._write_note(file.name, file.content), file.stage, file.reason)

    def _unusable_files(self) -> None:
        random = self._random("unusable")
        for _ in range(self.settings.n_without_summary):
            note = self._note(random)
            path = self._write_note(f"{_stem(note)}.md", WRITERS["md"](note, ()))
            self._plant("no_summary", path, "synthesise", "no_usable_structure")
        for file in planted.broken_files([draw_note(random, CORPUS) for _ in range(2)], random):
            self._plant(file.kind, self._write_note(file.name, file.content), file.stage, file.reason)

    def _benchmark(self, clean: list[tuple[str, Note]]) -> None:
        """Write the benchmark: notes of its own, and some that lie in `notes/` too."""
        random = self._random("benchmark")
        leaked = [(path, note) for path, note in clean[3 * self.settings.n_duplicates :] if path.endswith(".md")]
        rows = [(path, note) for path, note in random.sample(leaked, self.settings.n_leaks)]
        own = [("", self._note(random)) for _ in range(self.settings.n_leaks)]
        questions: list[dict[str, Any]] = []
        for row, (path, note) in enumerate(_interleaved(rows, own)):
            questions.append({"prompt": _prompt(random, note), "answer": tldr(note.findings)})
            if path:
                self._plant("test_leak", path, "decontaminate", "overlaps_benchmark", partner=f"benchmark.jsonl:{row}")
        self._write_rows("benchmark.jsonl", questions)

    def _chat_log(self) -> None:
        random = self._random("chats")
        rows: list[dict[str, Any]] = []
        kinds: list[str | None] = ["refusal", "unclosed_code_fence"] * self.settings.n_junk
        kinds += [None] * (self.settings.n_chats - len(kinds))
        random.shuffle(kinds)
        for row, kind in enumerate(kinds):
            note = self._note(random)
            answer = chatty(random, tldr(note.findings))
            if kind == "refusal":
                answer = REFUSAL
            elif kind == "unclosed_code_fence":
                answer = f"{random.choice(OPENERS)}\n\n```python\n{tldr(note.findings)}"
            if kind is not None:
                self._plant(kind, "chat_log.jsonl", "filter", kind, row=row)
            turns = [{"from": "human", "value": _prompt(random, note)}, {"from": "gpt", "value": answer}]
            rows.append({"conversations": turns})
        self._write_rows("chat_log.jsonl", rows)

    def _reviews(self) -> None:
        random = self._random("reviews")
        rows: list[dict[str, Any]] = []
        undecided = set(random.sample(range(self.settings.n_reviews), self.settings.n_undecided))
        for row in range(self.settings.n_reviews):
            note = self._note(random)
            chosen = rejected = tldr(note.findings)
            if row in undecided:
                self._plant("undecided", "reviews.jsonl", "preferences", "chosen_equals_rejected", row=row)
            else:
                rejected = _worse(random, note)
            rows.append({"prompt": _prompt(random, note), "chosen": chosen, "rejected": rejected})
        self._write_rows("reviews.jsonl", rows)

    def _plant(
        self, kind: str, path: str, stage: str, reason: str, *, row: int | None = None, partner: str | None = None
    ) -> None:
        self.planted.append(Planted(kind, path, row, stage, reason, partner))

    def _write_note(self, name: str, content: bytes) -> str:
        (self.folder / "notes" / name).write_bytes(content)
        return f"notes/{name}"

    def _write_rows(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (self.folder / name).write_text("".join(lines), encoding="utf-8")


def _worse(random: Random, note: Note) -> str:
    """Return an answer that people turn down: chatty (half of them), wrong in a fact, or with a bullet too few or many.

    Without the last sort, brevity would be all that is preferred, and the second finding of a note would be left out.
    """
    kind = random.random()
    if kind < 0.5:
        return chatty(random, tldr(note.findings))
    if kind < 0.75:
        return tldr(planted.with_wrong_fact(random, note))
    if len(note.findings) > 1:
        return tldr([random.choice(note.findings)])
    return tldr([*note.findings, str(draw_finding(random, CORPUS))])


def _stem(note: Note) -> str:
    return note.title.lower().replace(",", "").replace(" ", "-")


def _prompt(random: Random, note: Note) -> str:
    return f"{random.choice(REQUESTS)}\n\n# {note.title}\n\n{note.body}"


def _interleaved(left: Sequence[tuple[str, Note]], right: Sequence[tuple[str, Note]]) -> Iterator[tuple[str, Note]]:
    for pair in zip(left, right, strict=True):
        yield from pair
