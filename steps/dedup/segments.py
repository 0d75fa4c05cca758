"""Conversations as flat arrays over Arrow's own buffers: what the compiled loops read.

A segment is one turn. Texts that NFKC changes are repaired into a buffer of their own; in real answers that is about
one in a hundred, so that nearly all texts are read where they lie.
"""

from __future__ import annotations

import unicodedata
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.kernels.buffers import Texts, texts_of

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

SYSTEM, USER, ASSISTANT, OTHER = 0, 1, 2, 3
ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
#: Roles that each key reads, in this order. A role that is none of the three counts as the user's.
KEY_ROLES: dict[str, dict[int, int]] = {
    "conversation": {USER: 0, OTHER: 0, ASSISTANT: 1},
    "instruction": {USER: 0, OTHER: 0},
    "answer": {ASSISTANT: 0},
    "whole": {SYSTEM: 0, USER: 0, OTHER: 0, ASSISTANT: 0},
}


class Segments(NamedTuple):
    """The segments of some documents. The first six fields are the first arguments of the kernels.

    Attributes:
        data: UTF-8 of the texts.
        extra: UTF-8 of the repaired texts.
        starts: First byte of each segment in `data`; below zero the complement of its place in `extra`.
        ends: `starts` plus the segment's bytes, also below zero.
        bounds: Shape (documents + 1,): document i has the segments `bounds[i]` to `bounds[i + 1]`.
        ranks: Rank of each document among all.
        roles: Role of each segment, uint8.
    """

    data: Bytes
    extra: Bytes
    starts: Integers
    ends: Integers
    bounds: Integers
    ranks: Integers
    roles: Bytes

    @property
    def n(self) -> int:
        """Number of documents."""
        return len(self.ranks)

    @property
    def kernel_arguments(self) -> tuple[Any, ...]:
        """What every kernel takes first."""
        return (self.data, self.extra, self.starts, self.ends, self.bounds, self.ranks)

    @property
    def sizes(self) -> Integers:
        """Bytes of each document."""
        total: Integers = np.concatenate([[0], np.cumsum(self.ends - self.starts)])
        return np.diff(total[self.bounds])


class Batch:
    """The turns of one chunk of a column."""

    def __init__(self, contents: pa.Array, roles: Bytes, bounds: Integers) -> None:
        self._texts: Texts = texts_of(contents)
        self.roles = roles
        self.bounds = bounds
        self.n = len(bounds) - 1
        self.data = _frozen(self._texts.data)

    @cached_property
    def repaired(self) -> tuple[Bytes, Integers, Integers]:
        """`extra`, `starts` and `ends` of all turns."""
        from steps.kernels.characters import settled
        from steps.kernels.normal import find_suspects

        starts = np.array(self._texts.offsets[:-1])
        ends = np.array(self._texts.offsets[1:])
        extra = bytearray()
        if not _is_ascii(self.data):
            suspects = np.zeros(len(starts), np.uint8)
            find_suspects(self.data, starts, ends, settled(), suspects)
            for turn in np.flatnonzero(suspects):
                text = bytes(self.data[starts[turn] : ends[turn]]).decode("utf-8")
                if not unicodedata.is_normalized("NFKC", text):
                    encoded = unicodedata.normalize("NFKC", text).encode("utf-8")
                    starts[turn], ends[turn] = ~len(extra), ~len(extra) + len(encoded)
                    extra += encoded
        return np.frombuffer(bytes(extra), np.uint8), starts, ends


def batches_of(column: pa.ChunkedArray) -> list[Batch]:
    """Return the turns of a column of messages or of strings (one assistant's turn each), a chunk at a time."""
    return [_batch(chunk) for chunk in column.chunks if len(chunk)]


def _batch(chunk: pa.Array) -> Batch:
    if not pa.types.is_list(chunk.type):
        return Batch(chunk, np.full(len(chunk), ASSISTANT, np.uint8), np.arange(len(chunk) + 1))
    turns = chunk.flatten()
    offsets = chunk.offsets.to_numpy().astype(np.int64)
    role = turns.field("role")
    roles = np.full(len(turns), OTHER, np.uint8)
    for name, code in ROLES.items():
        roles[np.asarray(pc.equal(role, name))] = code
    return Batch(turns.field("content"), roles, offsets - offsets[0])


def segments_of(batch: Batch, key: str, ranks: Integers) -> Segments:
    """Return the segments that a key reads, document by document.

    Args:
        batch: The turns.
        key: One of `KEY_ROLES`.
        ranks: Rank of each document.
    """
    extra, starts, ends = batch.repaired
    places = np.full(4, -1, np.int64)
    for role, position in KEY_ROLES[key].items():
        places[role] = position
    place = places[batch.roles]
    turns = np.flatnonzero(place >= 0)
    document = np.repeat(np.arange(batch.n), np.diff(batch.bounds))[turns]
    wanted = document * 2 + place[turns]
    if np.any(wanted[1:] < wanted[:-1]):
        sorting = np.argsort(wanted, kind="stable")
        turns, document = turns[sorting], document[sorting]
    bounds = np.searchsorted(document, np.arange(batch.n + 1)).astype(np.int64)
    return Segments(batch.data, extra, starts[turns], ends[turns], bounds, np.array(ranks), batch.roles[turns])


def tasks(segments: list[Segments], wanted: npt.NDArray[np.bool_] | None, n: int) -> list[tuple[Segments, Integers]]:
    """Cut documents into pieces of work of about equal bytes, never across a batch.

    Args:
        segments: All documents.
        wanted: By rank, which documents to do; None does all.
        n: About how many pieces.
    """
    pieces = []
    total = sum(int(each.sizes.sum()) for each in segments) or 1
    for each in segments:
        rows = np.arange(each.n) if wanted is None else np.flatnonzero(wanted[each.ranks])
        if not len(rows):
            continue
        work = np.cumsum(each.sizes[rows] + 64)
        parts = max(1, min(len(rows), round(n * int(work[-1]) / total)))
        cuts = np.searchsorted(work, np.linspace(0, work[-1], parts + 1)[1:-1])
        pieces += [(each, part) for part in np.split(rows, cuts) if len(part)]
    return pieces


def _is_ascii(data: Bytes) -> bool:
    return not len(data) or int(data.max()) < 0x80


def _frozen(data: Bytes) -> Bytes:
    """Return the array as one that cannot be written, so that kernels see a single type."""
    view = data.view()
    view.flags.writeable = False
    return view
