"""What the sample corpus hides on purpose, so that a report can say "planted so many, caught so many"."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from steps.extraction.note_files import as_markdown, as_pdf
from steps.extraction.notes import CORPUS, FILLERS, LEADS, Filler, Finding, Note, Sentence, draw_finding

#: The phrase that `curation.filtering.keywords.phrases` of the quickstart excludes.
BANNED_PHRASE = "do not distribute"
#: A filler with a change at every place where sentences may be changed without changing facts.
_BY_TEXT = {filler.text: filler for filler in FILLERS}


class Planted(NamedTuple):
    """One planted thing: where it lies, and which stage should drop it for which reason.

    `partner` is what it duplicates. Of two duplicates either may be the one that is dropped.
    """

    kind: str
    path: str
    row: int | None
    stage: str
    reason: str
    partner: str | None


class PlantedFile(NamedTuple):
    """A file to write, and what it plants."""

    name: str
    content: bytes
    kind: str
    stage: str
    reason: str


def edited(note: Note) -> Note:
    """Return the note with one word of one filler changed: a near duplicate."""
    position = next(number for number, sentence in enumerate(note.sentences) if sentence.filler is not None)
    filler = note.sentences[position].filler
    return _replaced(note, position, _filler(filler.edited if filler else ""))


def reworded(note: Note, random: Random) -> Note:
    """Return the note in other words with the same facts: every filler and every lead is said otherwise."""
    sentences = []
    for sentence in note.sentences:
        if sentence.filler is not None:
            sentences.append(Sentence(None, "", _filler(sentence.filler.reworded)))
        else:
            lead = random.choice([lead for lead in LEADS if lead != sentence.lead])
            sentences.append(Sentence(sentence.finding, lead, None))
    return Note(note.title, tuple(sentences))


def with_wrong_fact(random: Random, note: Note) -> list[str]:
    """Return the note's findings with one slot of one of them changed into what the note does not say."""
    findings = [sentence.finding for sentence in note.sentences if sentence.finding is not None]
    position = random.randrange(len(findings))
    slot = random.randrange(len(Finding._fields))
    right = wrong = findings[position]
    while wrong == right:
        other = draw_finding(random, CORPUS)
        wrong = Finding._make((*right[:slot], other[slot], *right[slot + 1 :]))
    return [str(wrong if number == position else finding) for number, finding in enumerate(findings)]


def junk_files(note: Note, random: Random) -> list[PlantedFile]:
    """Return three files that no model should learn from: too short, looping, and with the banned phrase."""
    stem = note.title.lower().replace(",", "").replace(" ", "-")
    loop = [note.findings[0]] * 8
    banned = Note(note.title, (*note.sentences, Sentence(None, "", _filler(f"Internal, {BANNED_PHRASE}."))))
    short = Note(note.title, (Sentence(None, "", random.choice(FILLERS)),))
    return [
        PlantedFile(f"{stem}-stub.md", as_markdown(short, ["Done"]), "too_short", "filter", "too_few_answer_words"),
        PlantedFile(f"{stem}-loop.md", as_markdown(note, loop), "loop", "filter", "repeated_lines"),
        PlantedFile(
            f"{stem}-secret.md", as_markdown(banned, note.findings), "banned_phrase", "filter", "excluded_keyword"
        ),
    ]


def broken_files(notes: list[Note], random: Random) -> list[PlantedFile]:
    """Return files that cannot be read: a PDF cut off, one with a password, bytes named .txt, and nothing at all."""
    whole = as_pdf(notes[0], notes[0].findings)
    locked = as_pdf(notes[1], notes[1].findings, password=f"{random.getrandbits(64):x}")
    noise = bytes(random.randrange(256) for _ in range(2048))
    files = (
        ("scan-cut-off.pdf", whole[: len(whole) // 3], "truncated_pdf", "broken_pdf"),
        ("minutes-locked.pdf", locked, "encrypted_pdf", "encrypted_pdf"),
        ("dump.txt", noise + b"\0" * 64, "binary_text", "binary_file"),
        ("empty.md", b"", "empty_file", "empty_file"),
    )
    return [PlantedFile(name, content, kind, "extract", reason) for name, content, kind, reason in files]


def _filler(text: str) -> Filler:
    return _BY_TEXT.get(text, Filler(text, text, text))


def _replaced(note: Note, position: int, filler: Filler) -> Note:
    sentences = list(note.sentences)
    sentences[position] = Sentence(None, "", filler)
    return Note(note.title, tuple(sentences))
