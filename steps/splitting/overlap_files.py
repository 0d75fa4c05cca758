"""The index of protected texts as plain arrays, in memory or mapped from a folder.

    KEY/manifest.json            format, key, what was indexed, the size of every file
    KEY/texts.arrow              `evidence` and `text` of every indexed text
    KEY/wholes.npy               sorted hashes of whole texts, and `whole_texts.npy`, the first text of each
    KEY/N.grams.npy              sorted distinct hashes of the N-grams
    KEY/N.entry_starts.npy       first entry of each N-gram
    KEY/N.entry_texts.npy        text of each entry, and `N.entry_positions.npy`, its first word there

The folder's name is a hash of the indexed content, so that an index is never out of date: other content has another
folder. A folder that is not what its manifest says is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.errors import InputError
from steps.kernels.buffers import texts_of
from steps.tables import spilled

#: Raised when the files change.
FORMAT = 1
#: Hashed into every key, so that an index of other arithmetic or other tables of characters is not found.
_PROBE = "The hashes' own probe: ÄRGER, 日本, 42"
MANIFEST = "manifest.json"
#: Size above which an array of an index that is not kept goes to a file: only a look-up that hits reads it.
MAPPED_BYTES = 16 << 20


class Level(NamedTuple):
    """The n-grams of one length.

    Attributes:
        grams: uint64, sorted, distinct.
        entry_starts: Shape (grams + 1,), int64.
        entry_texts: int32; ascending within an n-gram.
        entry_positions: int32; ascending within a text.
    """

    grams: npt.NDArray[np.uint64]
    entry_starts: npt.NDArray[np.int64]
    entry_texts: npt.NDArray[np.int32]
    entry_positions: npt.NDArray[np.int32]


class StoredIndex(NamedTuple):
    """Indexed texts.

    Attributes:
        evidence: Id of each text, strings.
        texts: The texts.
        wholes: uint64, sorted, distinct; one hash per different text.
        whole_texts: int64; the first text with that hash.
        levels: N-gram length -> its n-grams.
    """

    evidence: pa.Array
    texts: pa.Array
    wholes: npt.NDArray[np.uint64]
    whole_texts: npt.NDArray[np.int64]
    levels: dict[int, Level]


def index_key(content: Mapping[str, str], ngram_sizes: Sequence[int]) -> str:
    """Return the name of the index of some content.

    Args:
        content: Name -> content hash of all that is indexed; the name is part of the evidence.
        ngram_sizes: N-gram lengths.
    """
    from steps.kernels.ngrams import Words

    probe = int(Words.of(texts_of(pa.array([_PROBE]))).wholes()[0])
    facts = [FORMAT, probe, unicodedata.unidata_version, sorted(set(ngram_sizes)), sorted(content.items())]
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def load_or_build(
    root: Path, content: Mapping[str, str], ngram_sizes: Sequence[int], build: Callable[[], StoredIndex]
) -> StoredIndex:
    """Return the index of some content from its folder below `root`, which is made if it is missing or damaged."""
    key = index_key(content, ngram_sizes)
    folder = root / key
    try:
        return load_index(folder, key)
    except InputError:
        save_index(build(), folder, key, content)
        return load_index(folder, key)


def save_index(index: StoredIndex, folder: Path, key: str, content: Mapping[str, str]) -> None:
    """Write an index; the folder appears whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", dir=folder.parent))
    try:
        for name, array in _arrays(index).items():
            np.save(partial / f"{name}.npy", array)
        texts = pa.table({"evidence": index.evidence, "text": index.texts.cast(pa.large_string())})
        with pa.OSFile(str(partial / "texts.arrow"), "wb") as sink, pa.ipc.new_file(sink, texts.schema) as writer:
            writer.write_table(texts.combine_chunks())
        sizes = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
        manifest = {"format": FORMAT, "key": key, "ngram_sizes": sorted(index.levels), "content": dict(content)}
        manifest |= {"n_texts": len(index.texts), "sizes": sizes}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        _take_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _take_place(partial: Path, folder: Path) -> None:
    """Rename; where another process was first, its folder holds the same."""
    try:
        os.rename(partial, folder)  # noqa: PTH104 (Path.rename would replace an empty folder on some platforms)
    except OSError:
        if not (folder / MANIFEST).is_file():
            raise


def load_index(folder: Path, key: str) -> StoredIndex:
    """Map an index into memory; what is not looked at is not read.

    Raises:
        InputError: if the folder holds no index, another one than `key` names, or a damaged one.
    """
    manifest = _manifest_of(folder, key)
    table = pa.ipc.open_file(pa.memory_map(str(folder / "texts.arrow"))).read_all()

    def array(name: str) -> Any:
        return np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r"))

    levels = {n: Level(*(array(f"{n}.{field}") for field in Level._fields)) for n in manifest["ngram_sizes"]}
    evidence, texts = (in_one_piece(table[name]) for name in ("evidence", "text"))
    return StoredIndex(evidence, texts, array("wholes"), array("whole_texts"), levels)


def _manifest_of(folder: Path, key: str) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in manifest["sizes"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} holds no index of benchmarks ({error}); it is built again from them") from None
    if (manifest.get("format"), manifest.get("key")) != (FORMAT, key) or sizes != manifest["sizes"]:
        raise InputError(
            f"{folder} is an index of other content (key {manifest.get('key')}, expected {key}) or is damaged; remove "
            "the folder, it is built again from the benchmarks"
        )
    return manifest


def _arrays(index: StoredIndex) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {"wholes": index.wholes, "whole_texts": index.whole_texts}
    for n, level in index.levels.items():
        arrays |= {f"{n}.{field}": getattr(level, field) for field in Level._fields}
    return arrays


def on_disk(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the values; large ones lie in a memory-mapped file without a name (`steps.tables`)."""
    if values.nbytes <= MAPPED_BYTES:
        return values
    found = spilled([pa.table({"value": values})], pa.schema([("value", pa.from_numpy_dtype(values.dtype))]), 0)
    return np.asarray(in_one_piece(found["value"]))


def in_one_piece(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
