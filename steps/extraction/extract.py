"""Extraction: every file and every data set row becomes a document, an example, preferences, or a ledger row."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from steps.extraction import columnar
from steps.extraction.books import Batches, Books, Extraction
from steps.extraction.cache import ExtractionCache
from steps.extraction.conversion import document, document_or_example, preferences_of
from steps.extraction.documents import columns_of
from steps.extraction.found import FileChoice
from steps.extraction.reading import read_found
from steps.extraction.reasons import UnusableError
from steps.extraction.row_blocks import Block, RawRow
from steps.extraction.row_files import blocks_of_source
from steps.extraction.row_sources import DatasetSource, PreferenceSource
from steps.extraction.sources import DocumentFiles, ExtractionSettings, Sources, files_of
from steps.extraction.sql import SqlSource
from steps.progress import progress, track
from steps.rows import EXAMPLES

__all__ = ["Extraction", "extract"]


def extract(
    sources: Sources,
    settings: ExtractionSettings,
    cache: ExtractionCache | None = None,
    fetched: Path | None = None,
) -> Extraction:
    """Read all sources.

    Args:
        sources: What to read.
        settings: What to tolerate.
        cache: What was extracted of contents before; none reads every file.
        fetched: Folder where clones and pages are kept between runs; none keeps nothing.

    Returns:
        The three tables, and one ledger row per file and per data set row. A kept one has the id of the row that
        was made of it; a tree of ranked replies is as many rows as it has ranked pairs. An unusable one has an id
        of its source and place, and a detail that begins with the place (`path` or `path:row`).

    Raises:
        InputError: if a source as a whole cannot be read.
        DropLimitError: if more than `max_drop_fraction` is unusable.
    """
    books = Books()
    with tempfile.TemporaryDirectory(prefix="tunesmith-fetched-") as folder:
        for source in sources.sources:
            if isinstance(source, FileChoice):
                _read_documents(source, settings, books, cache, fetched or Path(folder))
            elif isinstance(source, PreferenceSource):
                _read_preferences(source, books)
            else:
                _read_dataset(source, books)
    return books.close(settings.max_drop_fraction)


def _read_documents(
    source: DocumentFiles, settings: ExtractionSettings, books: Books, cache: ExtractionCache | None, fetched: Path
) -> None:
    limits = settings.reading.model_copy(update={"max_file_mb": source.max_file_mb})
    found_files = read_found(files_of(source, fetched), limits, cache)
    for file, result in track(found_files, f"extract {source.name}"):
        if isinstance(result, UnusableError):
            books.drop(source.name, file.shown_path, None, result)
            continue
        format_name, found = result
        books.documents.add(
            document(
                found.text,
                source.name,
                file.path,
                shown_path=file.shown_path,
                format=format_name,
                **(columns_of(found) | {"title": file.title or found.title, "licence": found.licence or file.licence}),
            )
        )


def _read_dataset(source: DatasetSource | SqlSource, books: Books) -> None:
    with progress(f"extract {source.name}") as bar:
        for block in blocks_of_source(source):
            _read_block(block, source, books)
            bar.advance(block.n_rows)


def _read_block(block: Block, source: DatasetSource | SqlSource, books: Books) -> None:
    """Convert a block by columns, or the parts of it for which that goes, and its other rows one by one."""
    converted = columnar.convert(block, source)
    parts = block.parts() if converted is None and columnar.is_for(source) else []
    if parts:
        for part in parts:
            _read_block(part, source, books)
    elif converted is None:
        _read_rows(block.rows(), source, books, books.examples)
    elif converted.left:
        books.examples.add_table(_with_left(converted, block, source, books))
    else:
        books.examples.add_table(converted.examples)


def _with_left(
    converted: columnar.Converted, block: Block, source: DatasetSource | SqlSource, books: Books
) -> pa.Table:
    """Convert the rows that are left one by one, and put all into the order of the block."""
    left = Batches(EXAMPLES)
    _read_rows(block.raw(converted.left), source, books, left)
    return pa.concat_tables([converted.examples, left.close()]).sort_by("row")


def _read_rows(raws: Iterator[RawRow], source: DatasetSource | SqlSource, books: Books, examples: Batches) -> None:
    for raw in raws:
        try:
            kind, row = document_or_example(raw, source)
        except UnusableError as error:
            books.drop(source.name, raw.path, raw.row, error, raw.line)
        else:
            (books.documents if kind == "document" else examples).add(row)


def _read_preferences(source: PreferenceSource, books: Books) -> None:
    with progress(f"extract {source.name}") as bar:
        for block in blocks_of_source(source):
            for raw in block.rows():
                try:
                    for row in preferences_of(raw, source):
                        books.preferences.add(row)
                except UnusableError as error:
                    books.drop(source.name, raw.path, raw.row, error, raw.line)
            bar.advance(block.n_rows)
