"""Embeddings kept between runs, by the hash of the text, so that a re-run embeds only what is new.

A space is a folder: one model, precision and length. In it lie segments, Arrow files that are written once, under a
temporary name, and named after the hash of their bytes. So a reader sees whole segments only, any number of processes
may read and write, and a damaged segment is known by its name: it is left out, and what it held is embedded again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from steps.errors import InputError

KEY_BYTES = 16
SUFFIX = ".arrow"


class Found(NamedTuple):
    """What a cache holds of the vectors that were asked for.

    Attributes:
        vectors: Shape (keys, dimensions), float32; None when it holds none of them.
        known: Shape (keys,), bool: which rows of `vectors` are filled.
    """

    vectors: npt.NDArray[np.float32] | None
    known: npt.NDArray[np.bool_]


def text_key(text: str) -> bytes:
    """Return the 128-bit hash of the exact text."""
    return xxhash.xxh3_128_digest(text.encode("utf-8", "surrogatepass"))


class EmbeddingCache:
    """Maps a space and a text's key to its vector. Nothing in it is ever changed, only added."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, space: str, keys: Sequence[bytes]) -> Found:
        """Return the vectors of distinct keys as far as they are known.

        A vector is given out bit for bit as it was written. Segments of another width than the first are left out.
        """
        wanted = pa.array(keys, pa.binary(KEY_BYTES))
        known = np.zeros(len(keys), np.bool_)
        vectors: npt.NDArray[np.float32] | None = None
        for path in sorted((self._root / space).glob(f"*{SUFFIX}")):
            segment = _read_segment(path)
            if segment is None:
                continue
            place = pc.index_in(segment["key"], value_set=wanted)
            rows = np.flatnonzero(place.is_valid().to_numpy(zero_copy_only=False))
            if not len(rows):
                continue
            held = segment["vector"].combine_chunks()
            width = held.type.list_size
            if vectors is None:
                vectors = np.zeros((len(keys), width), np.float32)
            if width != vectors.shape[1]:
                continue
            targets = place.take(pa.array(rows)).to_numpy(zero_copy_only=False)
            vectors[targets] = held.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)[rows]
            known[targets] = True
        return Found(vectors, known)

    def write(self, space: str, keys: Sequence[bytes], vectors: npt.NDArray[np.float32]) -> None:
        """Add vectors as one segment; it is on the disk when this returns.

        Raises:
            InputError: if the folder cannot be written.
        """
        if not keys:
            return
        flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
        table = pa.table(
            {
                "key": pa.array(keys, pa.binary(KEY_BYTES)),
                "vector": pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1]),
            }
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        data = sink.getvalue()
        folder = self._root / space
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _replace(folder / f"{_digest(data)}{SUFFIX}", data)
        except OSError as error:
            raise InputError(
                f"the embedding cache {folder} cannot be written ({error}); set curation.dedup.semantic.cache_dir to a "
                "writable folder, or curation.dedup.semantic.cache to false"
            ) from error


def _digest(data: pa.Buffer | bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)


def _replace(path: Path, data: pa.Buffer) -> None:
    """Write a file so that it is either whole or absent, also after a crash."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _read_segment(path: Path) -> pa.Table | None:
    """Return a segment, or None if it is damaged or was removed since the folder was listed."""
    try:
        data = path.read_bytes()
        if _digest(data) != path.stem:
            return None
        table = pa.ipc.open_file(pa.py_buffer(data)).read_all()
    except (OSError, pa.ArrowInvalid):
        return None
    return table
