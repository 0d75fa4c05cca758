"""Loads, hashes and normal form of words, shared by the compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from steps.kernels.characters import LETTER, WORD

U = np.uint64
#: Odd 64-bit constants with half of their bits set, drawn from the digits of pi.
S0, S1, S2, S3 = U(0x243F6A8885A308D3), U(0x13198A2E03707345), U(0xA4093822299F31D1), U(0x082EFA98EC4E6C89)
#: At k, a mask of the bytes of the first of two little-endian words that belong to a text of k bytes, k of 0 to 16; at
#: 17 + k, of the second.
KEEP_BYTES = np.array([(1 << (8 * max(0, min(k - first, 8)))) - 1 for first in (0, 8) for k in range(17)], np.uint64)
#: Zeros behind the normal form of a document, so that a load of 64 bytes may begin at its last byte.
PADDING = 80
DOTTED_CAPITAL_I, COMBINING_DOT = 0x130, 0x307


@intrinsic
def load64(typingctx: Any, array: Any, index: Any) -> Any:
    """Return the 8 bytes from `array[index]` as a little-endian integer; no alignment and no bounds check."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        struct = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.bitcast(builder.gep(struct.data, [args[1]]), ir.IntType(64).as_pointer())
        loaded = builder.load(pointer)
        loaded.align = 1
        return loaded

    return types.uint64(array, types.int64), codegen


@intrinsic
def trailing_zeros(typingctx: Any, value: Any) -> Any:
    """Return the number of zero bits below the lowest one bit."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], cgutils.true_bit)

    return types.int64(types.uint64), codegen


@intrinsic
def popcount(typingctx: Any, value: Any) -> Any:
    """Return the number of one bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


@intrinsic
def multiply_fold(typingctx: Any, left: Any, right: Any) -> Any:
    """Return the two halves of the 128-bit product, xored: the mixing step of wyhash and its kin."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide, narrow = ir.IntType(128), ir.IntType(64)
        product = builder.mul(builder.zext(args[0], wide), builder.zext(args[1], wide))
        upper = builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), narrow)
        return builder.xor(upper, builder.trunc(product, narrow))

    return types.uint64(types.uint64, types.uint64), codegen


@njit(cache=True, nogil=True)
def word_hash(text, start, end):
    """Return the 64-bit hash of the bytes `text[start:end]`, which hold no zero; 8 bytes behind them are read."""
    hashed = S1
    while end - start > 16:
        hashed = multiply_fold(load64(text, start) ^ S0, load64(text, start + 8) ^ hashed)
        start += 16
    low = load64(text, start) & KEEP_BYTES[end - start]
    high = load64(text, start + 8) & KEEP_BYTES[end - start + 17]
    return multiply_fold(low ^ S0, high ^ hashed)


@njit(cache=True, nogil=True)
def separator_bits(text, at):
    """Return 64 bits, of which bit i says that `text[at + i]` is zero."""
    bits = U(0)
    low7 = U(0x7F7F7F7F7F7F7F7F)
    for part in range(8):
        eight = load64(text, at + 8 * part)
        zero = ~(((eight & low7) + low7) | eight | low7)
        bits |= (((zero >> U(7)) * U(0x0102040810204080)) >> U(56)) << U(8 * part)
    return bits


@njit(cache=True, nogil=True)
def put(out, at, code):
    """Write a code point in UTF-8 and return the place behind it."""
    if code < 0x80:
        out[at] = code
        return at + 1
    if code < 0x800:
        out[at] = 0xC0 | (code >> 6)
        out[at + 1] = 0x80 | (code & 0x3F)
        return at + 2
    if code < 0x10000:
        out[at] = 0xE0 | (code >> 12)
        out[at + 1] = 0x80 | ((code >> 6) & 0x3F)
        out[at + 2] = 0x80 | (code & 0x3F)
        return at + 3
    out[at] = 0xF0 | (code >> 18)
    out[at + 1] = 0x80 | ((code >> 12) & 0x3F)
    out[at + 2] = 0x80 | ((code >> 6) & 0x3F)
    out[at + 3] = 0x80 | (code & 0x3F)
    return at + 4


@njit(cache=True, nogil=True)
def put_lower(out, at, code, lower):
    """Write a code point in lower case and return the place behind it."""
    if code == DOTTED_CAPITAL_I:  # the one character whose lower case has two
        return put(out, put(out, at, 0x69), COMBINING_DOT)
    return put(out, at, lower[code])


@njit(cache=True, nogil=True)
def code_point(text, at):
    """Return the code point that begins at a byte of valid UTF-8, and its size in bytes."""
    first = np.int64(text[at])
    if first < 0x80:
        return first, 1
    second = np.int64(text[at + 1] & 0x3F)
    if first < 0xE0:
        return ((first & 0x1F) << 6) | second, 2
    third = np.int64(text[at + 2] & 0x3F)
    if first < 0xF0:
        return ((first & 0x0F) << 12) | (second << 6) | third, 3
    return ((first & 0x07) << 18) | (second << 12) | (third << 6) | np.int64(text[at + 3] & 0x3F), 4


@njit(cache=True, nogil=True)
def ascii_run(text, start, end):
    """Return the end of the run of bytes below 128 that begins at `start`."""
    while start + 8 <= end:
        high = load64(text, start) & U(0x8080808080808080)
        if high:
            return start + (trailing_zeros(high) >> 3)
        start += 8
    while start < end and text[start] < 128:
        start += 1
    return start


@njit(cache=True, nogil=True)
def put_ascii(source, target):
    """Write letters in lower case, digits and underscores as they are, and zero for all else; it compiles to SIMD."""
    for i in range(source.shape[0]):
        byte = source[i]
        small = np.uint8(byte | np.uint8(32))
        letter = np.uint8(small - np.uint8(97)) < np.uint8(26)
        other = (np.uint8(byte - np.uint8(48)) < np.uint8(10)) | (byte == np.uint8(95))
        target[i] = np.uint8(small * np.uint8(letter)) | np.uint8(byte * np.uint8(other))


@njit(cache=True, nogil=True)
def put_words(text, start, end, kinds, lower, out, at):
    """Write the words of `text[start:end]` in lower case with zeros between them; return the place behind a zero.

    At most twice the bytes of the text, and one, are written.
    """
    while start < end:
        run = ascii_run(text, start, end)
        if run > start:
            put_ascii(text[start:run], out[at : at + run - start])
            at += run - start
            start = run
        while start < end and text[start] >= 128:
            code, size = code_point(text, start)
            start += size
            kind = kinds[code]
            if kind == LETTER:
                at = put_lower(out, at, code, lower)
            else:
                out[at] = 0
                at += 1
                if kind == WORD:
                    at = put(out, at, lower[code])
                    out[at] = 0
                    at += 1
    out[at] = 0
    return at + 1
