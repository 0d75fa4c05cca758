"""The quickstart's own corpus: some hundreds of notes as files, two data sets, and things planted among them.

    notes/*.md|html|txt|pdf    a heading, a paragraph, and a TL;DR section whose bullets are exactly the findings
    chat_log.jsonl             ShareGPT: people ask for a TL;DR, the assistant answers rightly but chats around it
    reviews.jsonl              people prefer the terse, exact answer to a chatty or a wrong one
    benchmark.jsonl            a test whose questions partly leaked into the notes
    planted.json               the manifest: settings, a hash of every file, and what was planted where

Notes, chat log, reviews and benchmark are about different notes with different titles; all state findings that the
tiny base model never saw in pre-training (see `notes`).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from steps.errors import InputError
from steps.extraction import corpus_parts, note_files, notes, planted
from steps.extraction.corpus_parts import CorpusWriter
from steps.extraction.notes import titles
from steps.settings import Settings

MANIFEST = "planted.json"


class CorpusSettings(Settings):
    """How much of what is written, and where."""

    path: str = "data/quickstart"
    """Folder to write, relative to the working directory. It is replaced as a whole, and only if it is a corpus."""

    seed: int = Field(default=0, ge=0)
    """Seed of every choice."""

    n_notes: int = Field(default=400, ge=20, le=600)
    """Clean notes with a TL;DR section; what is planted comes on top."""

    n_chats: int = Field(default=360, ge=8)
    """Conversations in `chat_log.jsonl`."""

    n_reviews: int = Field(default=240, ge=8)
    """Preferences in `reviews.jsonl`."""

    n_duplicates: int = Field(default=12, ge=1)
    """Planted duplicates of each sort: exact, near and semantic."""

    n_junk: int = Field(default=4, ge=1)
    """Planted rows of each sort of junk."""

    n_without_summary: int = Field(default=6, ge=0)
    """Notes without a TL;DR section, from which nothing can be synthesised."""

    n_leaks: int = Field(default=8, ge=1)
    """Rows of `benchmark.jsonl` whose note also lies in `notes/`; as many again do not."""

    n_undecided: int = Field(default=6, ge=0)
    """Rows of `reviews.jsonl` in which chosen and rejected are the same."""

    @model_validator(mode="after")
    def _titles_suffice(self) -> CorpusSettings:
        n = self.n_notes + self.n_chats + self.n_reviews + self.n_junk + self.n_without_summary + self.n_leaks
        if n > len(titles()):
            raise ValueError(f"{n} notes are asked for, and the world has {len(titles())} titles; lower n_notes")
        if 3 * self.n_duplicates + self.n_leaks > self.n_notes // 2:
            raise ValueError("n_duplicates and n_leaks plant more than half of n_notes; raise n_notes")
        return self


def write_corpus(settings: CorpusSettings) -> Path:
    """Write the corpus unless it lies there already, unchanged and of the same settings.

    It is written beside its place and then renamed, so that a half-written corpus never looks like one.

    Returns:
        The folder.

    Raises:
        InputError: if the folder holds something that is not a corpus of this function.
    """
    folder = Path(settings.path)
    if is_current(folder, settings):
        return folder
    if folder.exists() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
        raise InputError(
            f"{folder} holds files but no {MANIFEST}, so it is no sample corpus; name another path, or empty it"
        )
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "notes").mkdir(parents=True)
    things = CorpusWriter(partial, settings).write()
    manifest = {
        "fingerprint": fingerprint(settings),
        "settings": settings.model_dump(exclude={"path"}),
        "files": _hashes(partial),
        "planted": [thing._asdict() for thing in things],
    }
    _write_json(partial / MANIFEST, manifest)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    return folder


def is_current(folder: Path, settings: CorpusSettings) -> bool:
    """Return whether `folder` holds the corpus of these settings and this code, every file unchanged."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(manifest["fingerprint"] == fingerprint(settings) and manifest["files"] == _hashes(folder))


def fingerprint(settings: CorpusSettings) -> str:
    """Return a hash of what the corpus depends on: the settings but for its place, and the code that writes it."""
    digest = hashlib.sha256(settings.model_dump_json(exclude={"path"}).encode())
    for file in (notes.__file__, note_files.__file__, planted.__file__, corpus_parts.__file__, __file__):
        digest.update(Path(file or "").read_bytes())
    return digest.hexdigest()


def _hashes(folder: Path) -> dict[str, str]:
    """Return the hash of every file of a corpus but for its manifest, by its path in the folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file != folder / MANIFEST)
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
