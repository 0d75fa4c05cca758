"""Instruction rows to examples by columns: the same rows as `conversion` makes, at some ten times its speed.

Only rows that need no second look are converted: an instruction and an answer, text that `repair` would leave as it
is, none of the keys that mean another format. All others are left to the conversion of single rows.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from steps.extraction.row_blocks import Block
from steps.extraction.row_sources import DatasetSource
from steps.extraction.sql import SqlSource
from steps.extraction.text import repair
from steps.rows import EXAMPLES, MESSAGE

_TEXTS = ("instruction", "input", "output")
#: Keys that make a row something else, or part of it something more, unless they are null.
_OTHER = ("messages", "conversations", "conversation", "history", "system", "tools", "label")
_LICENCES = ("licence", "license")
#: Of ASCII, `repair` changes control characters but for tab and line feed (RE2); of all else, it is asked itself.
_UNCLEAN, _NOT_ASCII = r"[\x00-\x08\x0b-\x1f\x7f]", r"[^\x00-\x7f]"


class Converted(NamedTuple):
    """Examples, and the places in the block of the rows that are left to convert one by one."""

    examples: pa.Table
    left: list[int]


def is_for(source: DatasetSource | SqlSource) -> bool:
    """Return whether a source's rows may be instructions."""
    return source.format in {"auto", "alpaca"}


def convert(block: Block, source: DatasetSource | SqlSource) -> Converted | None:
    """Convert the rows of a block that can be converted by columns; None where none of them can."""
    if not is_for(source):
        return None
    wanted = [*_TEXTS, *_OTHER, *_LICENCES]
    names = [name for name in wanted if name not in source.columns] + list(source.columns)
    read = block.columns(list(dict.fromkeys(names)))
    if read is None:
        return None
    found = read.texts.slice(0, block.n_rows).combine_chunks()
    columns = {name: found[name] for name in found.column_names if name not in source.columns}
    doubtful = np.zeros(found.num_rows, np.bool_)
    doubtful[[place for place in read.doubtful if place < block.n_rows]] = True
    unclear = pa.array(doubtful)
    for old, new in source.columns.items():
        if old in found.column_names:
            # A key that is null and one that is missing look alike here, but only the first replaces the other column.
            if new in columns:
                unclear = pc.or_(unclear, pc.and_(pc.is_null(found[old]), pc.is_valid(columns[new])))
            columns[new] = pc.coalesce(found[old], columns[new]) if new in columns else found[old]
    if "instruction" not in columns or "output" not in columns:
        return None
    texts = {name: _array(columns[name]) if name in columns else _nulls(found.num_rows) for name in _TEXTS}
    plain = _plain(texts, [columns[name] for name in _OTHER if name in columns], unclear)
    places = np.flatnonzero(plain)
    if not len(places):
        return None
    chosen = {name: text.take(pa.array(places)) for name, text in texts.items()}
    licences = [columns[name].take(pa.array(places)) for name in _LICENCES if name in columns]
    examples = _examples(chosen, licences, places + block.first_row, block.path, source)
    return Converted(examples, np.flatnonzero(~plain).tolist())


def _plain(texts: dict[str, pa.Array], others: list[pa.ChunkedArray], unclear: pa.Array) -> np.ndarray:
    """Return which rows need no second look."""
    plain = pc.and_(pc.is_valid(texts["instruction"]), pc.is_valid(texts["output"]))
    plain = pc.and_not(plain, unclear)
    for other in others:
        plain = pc.and_(plain, pc.is_null(_array(other)))
    # Such words are how an instruction and its input are told apart again.
    for name in ("instruction", "input"):
        plain = pc.and_not(plain, pc.fill_null(pc.match_substring(texts[name], "\nInput"), False))
    mask = np.asarray(plain.to_numpy(zero_copy_only=False), np.bool_)
    for text in texts.values():
        mask &= ~_matches(text, _UNCLEAN)
        unsure = np.flatnonzero(_matches(text, _NOT_ASCII) & mask)
        for place, value in zip(unsure, text.take(pa.array(unsure)).to_pylist(), strict=True):
            mask[place] = repair(value) == value
    return mask


def _matches(text: pa.Array, pattern: str) -> np.ndarray:
    found = pc.fill_null(pc.match_substring_regex(text, pattern), False)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def _examples(
    texts: dict[str, pa.Array],
    licences: list[pa.ChunkedArray],
    rows: np.ndarray,
    path: str,
    source: DatasetSource | SqlSource,
) -> pa.Table:
    n = len(rows)
    given = pc.fill_null(texts["input"], "")
    label = pa.scalar("\n\nInput:\n", pa.large_string())
    joined = pc.binary_join_element_wise(texts["instruction"], given, label)
    asked = pc.if_else(pc.equal(given, ""), texts["instruction"], joined)
    ids = pa.array(_ids(asked, texts["output"], rows, path, source.name), pa.string())
    turns = pa.concat_arrays([asked, texts["output"]]).take(pa.array(np.arange(2 * n).reshape(2, n).T.ravel()))
    roles = pa.DictionaryArray.from_arrays(pa.array(np.tile([0, 1], n), pa.int8()), ["user", "assistant"])
    struct = pa.StructArray.from_arrays([roles.cast(pa.string()), turns.cast(pa.string())], fields=list(MESSAGE))
    messages = pa.ListArray.from_arrays(pa.array(np.arange(0, 2 * n + 1, 2), pa.int32()), struct)
    own = [pc.if_else(pc.equal(licence, ""), None, licence).cast(pa.string()) for licence in licences]
    licence = pc.coalesce(*map(_array, own), pa.scalar(source.licence, pa.string())) if own else source.licence
    made = {
        "id": ids,
        "messages": messages,
        "kind": pa.repeat("imported", n),
        "source": pa.repeat(source.name, n),
        "path": pa.repeat(path, n),
        "row": pa.array(rows, pa.int64()),
        "group_id": ids,
        "licence": licence if own else pa.repeat(pa.scalar(licence, pa.string()), n),
    }
    columns = [
        made[field.name].cast(field.type) if field.name in made else pa.nulls(n, field.type) for field in EXAMPLES
    ]
    return pa.Table.from_arrays(columns, schema=EXAMPLES)


def _ids(asked: pa.Array, answers: pa.Array, rows: np.ndarray, path: str, source: str) -> list[str]:
    """Return the ids that `messages_id` gives, hashing what all rows share once."""
    length = struct.Struct("<Q").pack
    head = [source.encode(), path.encode("utf-8", "surrogatepass")]
    shared = hashlib.sha256(b"".join(length(len(part)) + part for part in head))
    user, assistant = length(4) + b"user", length(9) + b"assistant"
    ids = []
    pairs = zip(
        asked.cast(pa.large_binary()).to_pylist(), answers.cast(pa.large_binary()).to_pylist(), rows, strict=True
    )
    for question, answer, row in pairs:
        number = b"%d" % row
        digest = shared.copy()
        digest.update(
            length(len(number))
            + number
            + user
            + length(len(question))
            + question
            + assistant
            + length(len(answer))
            + answer
        )
        ids.append(digest.hexdigest()[:32])
    return ids


def _array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _nulls(n: int) -> pa.Array:
    return pa.nulls(n, pa.large_string())
