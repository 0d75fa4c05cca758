"""Parquet and Arrow files: rows in batches of columns, checked before anything looks into them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from steps.extraction.reasons import ExtractDrop
from steps.extraction.row_blocks import BATCH_ROWS, Block, failed, of_batch

ARROW_FILE_MARK = b"ARROW1"


def parquet_blocks(file: Path, path: str) -> Iterator[Block]:
    """Yield the rows of a Parquet file."""
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=BATCH_ROWS):
                yield of_batch(path, row, batch)
                row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        _raise_if_unreadable(error)
        yield failed(path, ExtractDrop.BROKEN_PARQUET, f"behind row {row}: {error}"[:200])


def arrow_blocks(file: Path, path: str) -> Iterator[Block]:
    """Yield the rows of an Arrow file or stream (a Feather file is one); what `datasets` saves is a stream."""
    row = 0
    try:
        with pa.memory_map(str(file)) as source:
            for batch in _arrow_batches(source):
                # Offsets that lead out of their buffers would be followed blindly.
                batch.validate(full=True)
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    part = batch.slice(start, BATCH_ROWS)
                    yield of_batch(path, row, part)
                    row += part.num_rows
    except (pa.ArrowException, OSError) as error:
        _raise_if_unreadable(error)
        yield failed(path, ExtractDrop.BROKEN_ARROW, f"behind row {row}: {error}"[:200])


def _raise_if_unreadable(error: Exception) -> None:
    """Raise what the system said; Arrow's own errors are of the same class, but have no number."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


def _arrow_batches(source: pa.NativeFile) -> Iterator[pa.RecordBatch]:
    if source.read(len(ARROW_FILE_MARK)) == ARROW_FILE_MARK:
        with pa.ipc.open_file(source) as reader:
            yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
        return
    source.seek(0)
    with pa.ipc.open_stream(source) as reader:
        yield from reader
