"""An earlier corpus on disk, against which new rows are compared without reading the old run again.

One Arrow file, mapped into memory rather than read: of each row its id, its messages, the hashes of its bands and its
sketch, 0.35 KB over the text. Candidates are verified on the stored texts, so that a match is exact and every guard
holds for old rows too. The file is an input like any other: its content belongs to the key of the step, and nothing
but `tunesmith index` changes it. A run that extended it on its own would find all of its rows in it the next time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.dedup.candidates import Signatures, Workers, cores, signatures_of
from steps.dedup.documents import Documents
from steps.dedup.report import excerpt
from steps.dedup.segments import Integers
from steps.errors import InputError
from steps.rows import MESSAGES

if TYPE_CHECKING:
    from steps.dedup.minhash import MinHashSettings

#: Raise it when a hash, a table of characters or the layout changes: old files are refused then.
FORMAT = 1
METADATA_KEY = b"tunesmith.dedup_index"


class Index(Sequence[tuple[str, str]]):
    """The rows of an earlier corpus, as id and excerpt. Get one from `read_index`."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self.ids: pa.ChunkedArray = table["id"]
        self.messages: pa.ChunkedArray = table["messages"]
        self.n_batches = sum(1 for chunk in self.messages.chunks if len(chunk))

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, row: int) -> tuple[str, str]: ...
    @overload
    def __getitem__(self, row: slice) -> list[tuple[str, str]]: ...
    def __getitem__(self, row: int | slice) -> tuple[str, str] | list[tuple[str, str]]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        return str(self.ids[row].as_py()), excerpt(self.messages[row].as_py())

    def same_as(self, ids: pa.ChunkedArray | pa.Array) -> Integers:
        """Return, behind -1 for each own row, the own row that has the id of each given one, or -1.

        A row that the index knows already is that row, and no duplicate of it.
        """
        found = pc.fill_null(pc.index_in(ids, value_set=self.ids.combine_chunks()), -1)
        return np.concatenate([np.full(len(self), -1), np.asarray(found)]).astype(np.int64)

    def before(self, signed: Signatures) -> Signatures:
        """Return the signatures of the own rows, then the given ones."""
        n = len(self)
        own = _fixed(self._table["bands"], np.uint64)
        signed.sketches[:n] = _fixed(self._table["sketch"], np.uint8)
        signed.counts[:n] = self._table["n_shingles"].to_numpy()
        return signed._replace(keys=np.concatenate([own.T, signed.keys], axis=1))


def read_index(path: str, settings: MinHashSettings) -> Index:
    """Map an index into memory.

    Raises:
        InputError: if there is none, or it was written in another format or with other settings.
    """
    try:
        table = pa.ipc.open_file(pa.memory_map(path)).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"curation.dedup.minhash.index_path={path!r} is no index that can be read ({error}); write one with "
            "`tunesmith index CONFIG`, or set it to null"
        ) from error
    found = json.loads((table.schema.metadata or {}).get(METADATA_KEY, b"{}"))
    expected = _described(settings)
    wrong = [f"{key}={found.get(key)!r}, not {value!r}" for key, value in expected.items() if found.get(key) != value]
    if wrong:
        raise InputError(
            f"curation.dedup.minhash.index_path={path!r} was written with {'; '.join(wrong)}; set these options as "
            "they were, or delete the file and write it again with `tunesmith index CONFIG`"
        )
    return Index(table)


def extended(earlier: pa.Table | None, examples: pa.Table, settings: MinHashSettings) -> pa.Table:
    """Return an index table with the rows of `examples` added whose ids it lacks.

    Args:
        earlier: Table of an index, or None to begin one.
        examples: Schema `EXAMPLES`: rows that a deduplication kept.
        settings: What decides the signatures.
    """
    from steps.dedup.minhash import bands_for

    if earlier is not None:
        examples = examples.filter(pc.invert(pc.is_in(examples["id"], value_set=earlier["id"].combine_chunks())))
    bands = bands_for(settings.threshold)
    documents = Documents(examples["messages"])
    workers = Workers(settings.threads or cores())
    signed = signatures_of(
        documents.segments(settings.key), len(documents), settings.shingle_words, bands, settings.seed, workers
    )
    columns = {
        "id": examples["id"],
        "messages": examples["messages"].cast(MESSAGES),
        "bands": _rows_of_bytes(np.ascontiguousarray(signed.keys.T)),
        "sketch": _rows_of_bytes(signed.sketches),
        "n_shingles": pa.array(signed.counts),
    }
    metadata = {METADATA_KEY: json.dumps(_described(settings))}
    table = pa.table(columns).replace_schema_metadata(metadata)
    return table if earlier is None else pa.concat_tables([earlier.replace_schema_metadata(metadata), table])


def write_index(path: str, examples: pa.Table, settings: MinHashSettings) -> tuple[int, int]:
    """Add rows to the index at a path, or begin it there; a reader sees the old file or the new one.

    Returns:
        The number of rows added, and of all rows.

    Raises:
        InputError: if there is an index that fits another format or other settings.
    """
    target = Path(path)
    earlier = read_index(path, settings)._table if target.exists() else None
    table = extended(earlier, examples, settings)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(target.name + ".new")
    with pa.OSFile(str(fresh), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    fresh.replace(target)
    return table.num_rows - (earlier.num_rows if earlier is not None else 0), table.num_rows


def _described(settings: MinHashSettings) -> dict[str, Any]:
    """Return what two runs must have in common to share signatures."""
    from steps.dedup.minhash import bands_for

    return {
        "format": FORMAT,
        "key": settings.key,
        "shingle_words": settings.shingle_words,
        "seed": settings.seed,
        "bands": list(bands_for(settings.threshold)),
    }


def _rows_of_bytes(array: npt.NDArray[Any]) -> pa.Array:
    width = array.dtype.itemsize * array.shape[1]
    return pa.Array.from_buffers(pa.binary(width), len(array), [None, pa.py_buffer(array.tobytes())])


def _fixed(column: pa.ChunkedArray, dtype: Any) -> npt.NDArray[Any]:
    """Return a column of fixed-size binaries as a matrix."""
    width = column.type.byte_width
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8)[chunk.offset * width : (chunk.offset + len(chunk)) * width]
        for chunk in column.chunks
        if len(chunk)
    ]
    flat = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    matrix: npt.NDArray[Any] = flat.view(dtype).reshape(len(column), width // np.dtype(dtype).itemsize)
    return matrix
