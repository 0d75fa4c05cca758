"""Texts in normal form: which of them need repair, and the 128-bit hash of what remains."""

from __future__ import annotations

import numpy as np
from numba import njit

from steps.kernels.shingles import scratch_bytes
from steps.kernels.words import (
    PADDING,
    S0,
    S1,
    S2,
    S3,
    U,
    ascii_run,
    code_point,
    load64,
    multiply_fold,
    put_lower,
)

SPACE = np.uint8(32)


@njit(cache=True, nogil=True)
def find_suspects(data, starts, ends, settled, suspects):
    """Mark the texts that hold a character which NFKC may change.

    Args:
        data: UTF-8 of the texts.
        starts: First byte of each.
        ends: Byte behind each.
        settled: uint8 by code point; 1 says that NFKC leaves the character as it is, whatever stands around it.
        suspects: Receives 1 or 0 by text.
    """
    for text in range(starts.shape[0]):
        at, end = starts[text], ends[text]
        suspects[text] = 0
        while True:
            at = ascii_run(data, at, end)
            if at >= end:
                break
            code, size = code_point(data, at)
            at += size
            if not settled[code]:
                suspects[text] = 1
                break


@njit(cache=True, nogil=True)
def put_normal(text, start, end, spaces, lower, out, at):
    """Write a text in lower case, runs of white space as one space and none at its ends; return the place behind."""
    begin = at
    spaced = True
    while start < end:
        if text[start] < 128:
            code, size = np.int64(text[start]), 1
        else:
            code, size = code_point(text, start)
        start += size
        if spaces[code]:
            if not spaced:
                out[at] = SPACE
                at += 1
            spaced = True
            continue
        spaced = False
        at = put_lower(out, at, code, lower)
    return at - 1 if spaced and at > begin else at


@njit(cache=True, nogil=True)
def hash_documents(data, extra, starts, ends, bounds, ranks, rows, roles, spaces, lower, first, second, sizes):
    """Write the 128-bit hash of each document's segments and roles in normal form, as two halves.

    Args:
        data: UTF-8 of the texts, uint8.
        extra: UTF-8 of the texts that were repaired.
        starts: First byte of each segment; below zero the complement of a place in `extra`.
        ends: Byte behind each segment, counted from the place where it would begin in `data`.
        bounds: First segment of each document, and one more.
        ranks: Number of each document in the outputs.
        rows: The documents to do.
        roles: Role of each segment, uint8, 0 for a system turn.
        spaces: uint8 by code point; 1 for white space.
        lower: Table of lower case.
        first: Receives one half, uint64.
        second: Receives the other.
        sizes: Receives the bytes of text outside of system turns.
    """
    scratch = np.empty(scratch_bytes(starts, ends, bounds, rows), np.uint8)
    for row in rows:
        at = 0
        spoken = 0
        for segment in range(bounds[row], bounds[row + 1]):
            scratch[at] = 0xFF  # stands in no UTF-8, so that turns cannot run into one another
            scratch[at + 1] = roles[segment]
            at += 2
            before = at
            start, end = starts[segment], ends[segment]
            if start >= 0:
                at = put_normal(data, start, end, spaces, lower, scratch, at)
            else:
                at = put_normal(extra, ~start, ~start + (end - start), spaces, lower, scratch, at)
            if roles[segment]:
                spoken += at - before
        for i in range(at, at + PADDING):
            scratch[i] = 0
        one, two = S2 ^ U(at), S3 + U(at)
        for i in range(0, at, 16):
            low, high = load64(scratch, i), load64(scratch, i + 8)
            one = multiply_fold(low ^ S0 ^ one, high ^ S1)
            two = multiply_fold(low ^ S1, high ^ S3 ^ two)
        rank = ranks[row]
        first[rank] = multiply_fold(one ^ S0, S1)
        second[rank] = multiply_fold(two ^ S2, S1)
        sizes[rank] = spoken
