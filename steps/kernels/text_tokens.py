r"""Parts a text into words and punctuation marks, as the rules of the literature count them.

The published filters count tokens, not the runs of `\w` that the rest of Tunesmith takes for words: "don't" is two,
"(so)" is three. The conventions here are those of spaCy's rule-based English tokenizer, on which datatrove's filters
run: marks at the ends of a run of characters are tokens, inside it only some part it; contractions are split. What
depends on long lists there (emoticons, most abbreviations, units of measurement) is left out. A character of a script
without spaces is a token, while spaCy's English tokenizer takes a whole sentence of them for one.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from steps.kernels.character_flags import (
    AFFIX,
    ALPHA,
    CURRENCY,
    DASH,
    DIGIT,
    ICON,
    INFIX,
    LINE_BREAK,
    LOWER,
    PREFIX,
    QUOTE,
    SINGLE,
    SPACE,
    STOP,
    SYMBOL,
    UPPER,
)
from steps.kernels.words import ascii_run, code_point, load64, trailing_zeros, word_hash

#: Bytes behind a text that may be read, and that are written, by loads of eight at a time.
MARGIN = 64
NOT_SYMBOL = np.uint32(0xFFFFFFFF ^ SYMBOL)

DOT, COMMA, APOSTROPHE, QUOTE_RIGHT, PLUS, COLON, SLASH, ELLIPSIS = 0x2E, 0x2C, 0x27, 0x2019, 0x2B, 0x3A, 0x2F, 0x2026
SEMICOLON, CLOSING = 0x3B, 0x29


@njit(cache=True, nogil=True)
def decode(data, start, end, table, text, places, marks, codes, flags):  # type: ignore[no-untyped-def]
    """Lay the characters of `data[start:end]` out; return their number.

    Args:
        data: UTF-8.
        start: First byte.
        end: The byte behind the last.
        table: `steps.kernels.character_flags.character_flags()`.
        text: Room for the bytes and `MARGIN` more, uint8.
        places: Room for where each character begins in `text`, and for the end, int32.
        marks: Room for 0 where a character is a letter of a spaced script, else 1, uint8, and `MARGIN` more.
        codes: Room for the code points, and a 0 behind them, int32.
        flags: Room for their flags, and a space behind them, uint32.
    """
    size = end - start
    for i in range(size):
        text[i] = data[start + i]
    text[size] = 0
    n = i = 0
    while i < size:
        stop = ascii_run(text, i, size)
        _spread(text[i:stop], i, places[n : n + stop - i], codes[n : n + stop - i])
        for at in range(i, stop):
            flags[n + at - i] = table[text[at]]
        n += stop - i
        i = stop
        while i < size and text[i] >= 0x80:
            code, width = code_point(text, i)
            codes[n], flags[n], places[n] = code, table[code], i
            n += 1
            i += width
    codes[n], flags[n], places[n] = 0, SPACE, size
    _mark(flags[: n + 1], marks[: n + 1])
    return n


@njit(cache=True, nogil=True)
def _spread(text, first, places, codes):  # type: ignore[no-untyped-def]
    """Write code points and places of ASCII; it compiles to SIMD."""
    for i in range(text.shape[0]):
        codes[i] = text[i]
        places[i] = first + i


@njit(cache=True, nogil=True)
def _mark(flags, marks):  # type: ignore[no-untyped-def]
    for i in range(flags.shape[0]):
        marks[i] = flags[i] & np.uint32(ALPHA | SINGLE) != np.uint32(ALPHA)


@njit(cache=True, nogil=True)
def tokenise(text, places, marks, codes, flags, n, starts, ends, keys, kinds, breaks):  # type: ignore[no-untyped-def]
    """Part the first `n` characters into tokens; return the number of tokens and that of line breaks.

    Args:
        text: UTF-8; this and the next four as `decode` wrote them.
        places: Where each character begins in `text`.
        marks: Which characters are no letters.
        codes: Code points, int32.
        flags: Their flags, uint32; position `n` holds a space.
        n: Number of characters.
        starts: Room for `n` starts of tokens, int32.
        ends: Room for `n` ends of tokens, int32.
        keys: Room for the hashes of `n` tokens, uint64, those of their UTF-8.
        kinds: Room for what `n` tokens are made of, uint32: `ALPHA` where any of their characters has it, and
            `SYMBOL` where all have it; what else is in it says nothing.
        breaks: Room for the places of `n` line breaks, int32.
    """
    k = n_breaks = 0
    i = 0
    while i < n:
        flag = flags[i]
        if flag & SPACE:
            if flag & LINE_BREAK:
                breaks[n_breaks] = i
                n_breaks += 1
            i += 1
            continue
        begin = i
        if marks[i]:
            affix = (
                flag & (AFFIX | PREFIX) and codes[i] != COLON and codes[i] != SEMICOLON
            )  # they may begin an emoticon
            if affix or flags[i + 1] & SPACE:
                k = _put(text, places, i, i + 1, flag, starts, ends, keys, kinds, k)
                i += 1
                continue
            while flags[i] & DIGIT:
                i += 1
        else:
            eight = load64(marks, i)
            while eight == 0:
                i += 8
                eight = load64(marks, i)
            i += trailing_zeros(eight) >> 3
        stop = begin
        if i > begin and not (i - begin == len("cannot") and codes[begin + 2] == codes[begin + 3]):
            # A word or a number, with marks behind it or without: most runs.
            stop = i if flags[i] & SPACE else _behind(codes, flags, begin, i)
        if stop > begin:
            k = _put(text, places, begin, i, flag, starts, ends, keys, kinds, k)
            while i < stop:
                size = 1 + (marks[i + 1] == 0)  # 's
                k = _put(text, places, i, i + size, flags[i + size - 1], starts, ends, keys, kinds, k)
                i += size
            i += flags[i] == SPACE  # a blank, which is no line break
            continue
        while not flags[i] & SPACE:
            i += 1
        before = k
        k = _part(codes, flags, begin, i, starts, ends, k)
        for token in range(before, k):
            some, every = np.uint32(0), np.uint32(SYMBOL)
            for place in range(starts[token], ends[token]):
                some |= flags[place]
                every &= flags[place]
            kinds[token] = (some & NOT_SYMBOL) | every
            keys[token] = word_hash(text, places[starts[token]], places[ends[token]])
    return k, n_breaks


@njit(cache=True, nogil=True)
def _put(text, places, begin, end, kind, starts, ends, keys, kinds, k):  # type: ignore[no-untyped-def]
    """Write a token; return the number of tokens."""
    starts[k], ends[k], kinds[k] = begin, end, kind
    keys[k] = word_hash(text, places[begin], places[end])
    return k + 1


@njit(cache=True, nogil=True)
def _behind(codes, flags, begin, i):  # type: ignore[no-untyped-def]
    """Return where a run ends if nothing but marks that are tokens stands behind its word, which ends at `i`; or -1."""
    if _is_s(codes, i, i + 2) and flags[i + 2] & SPACE:
        return i + 2
    while not flags[i] & SPACE:
        if codes[i] == DOT:
            if codes[i + 1] == DOT or not flags[i - 1] & (LOWER | DIGIT | AFFIX):
                return -1
            if i - begin <= 3 and _is_whole(codes, flags, begin, i + 1):
                return -1
        elif not flags[i] & AFFIX or (codes[i] == COLON and codes[i - 1] == CLOSING):
            return -1
        i += 1
    return i


@njit(cache=True, nogil=True)
def _part(codes, flags, begin, end, starts, ends, k):  # type: ignore[no-untyped-def]
    """Part a run of characters without spaces: its prefixes, its middle, its suffixes."""
    first, last = begin, end
    while first < last:
        if last - first <= 4 and _is_whole(codes, flags, first, last):
            break
        size = 0
        if not flags[first] & (ALPHA | DIGIT):
            size = _prefix(codes, flags, first, last)
            if size:
                starts[k] = first
                ends[k] = first + size
                k += 1
                first += size
        cut = 0
        if last - first < 3 or not flags[last - 1] & flags[last - 2] & LOWER or flags[last - 3] & DIGIT:
            cut = _suffix(codes, flags, first, last)
            last -= cut
        if size + cut == 0:
            break
    k = _middle(codes, flags, first, last, starts, ends, k)
    i = last
    while i < end:  # what the suffixes were cut into, from left to right
        size = _cut_off(codes, flags, i, end)
        starts[k] = i
        ends[k] = i + size
        k += 1
        i += size
    return k


@njit(cache=True, nogil=True)
def _cut_off(codes, flags, i, end):  # type: ignore[no-untyped-def]
    """Length of the suffix that begins at `i`."""
    size = 1
    if codes[i] == DOT:
        while i + size < end and codes[i + size] == DOT:
            size += 1
    elif codes[i] == 0x29:
        size = 2 if i + 1 < end and codes[i + 1] == COLON else 1  # "):" is one token, an emoticon
    elif flags[i] & QUOTE:
        if _is_s(codes, i, end) and (i + 2 == end or flags[i + 2] & AFFIX or codes[i + 2] == DOT):
            size = 2
    elif flags[i] & ALPHA and not flags[i] & AFFIX:
        while i + size < end and flags[i + size] & ALPHA:
            size += 1
    return size


@njit(cache=True, nogil=True)
def _is_whole(codes, flags, first, last):  # type: ignore[no-untyped-def]
    """Whether a run is a known abbreviation or emoticon: "e.g.", "a.", "Mr.", ":)"."""
    size = last - first
    if codes[last - 1] == DOT:
        if size == 2:
            return flags[first] & ALPHA != 0
        if size == 4 and codes[first + 1] == DOT:  # e.g. i.e. a.m. p.m.
            return flags[first] & LOWER != 0 and flags[first + 2] & LOWER != 0
        if size == 3:  # Mr. Ms. Dr. St. Jr. vs.
            a, b = codes[first], codes[first + 1]
            return (
                (b == 0x72 and (a == 0x4D or a == 0x44 or a == 0x4A or a == 0x53))
                or (a == 0x4D and b == 0x73)
                or (a == 0x53 and b == 0x74)
                or (a == 0x76 and b == 0x73)
                or (a == 0x43 and b == 0x6F)
            )
        if size == 4:  # Mrs.
            return codes[first] == 0x4D and codes[first + 1] == 0x72 and codes[first + 2] == 0x73
        return False
    if size == 2:  # :) :( ;) :D :/ and the like
        mark = codes[first]
        return (mark == COLON or mark == 0x3B) and (
            codes[last - 1] == 0x29 or codes[last - 1] == 0x28 or codes[last - 1] == 0x44 or codes[last - 1] == SLASH
        )
    if size == 3 and codes[first] == 0x43 and codes[first + 1] == PLUS:  # C++
        return codes[first + 2] == PLUS
    return False


@njit(cache=True, nogil=True)
def _prefix(codes, flags, first, last):  # type: ignore[no-untyped-def]
    """Length of the token at the beginning of a run; 0 if none parts from it."""
    if flags[first] & (AFFIX | PREFIX):
        return 1
    if codes[first] == DOT:
        size = 1
        while first + size < last and codes[first + size] == DOT:
            size += 1
        return size if size > 1 else 0
    if codes[first] == PLUS:
        return 0 if first + 1 < last and flags[first + 1] & DIGIT else 1
    return 0


@njit(cache=True, nogil=True)
def _suffix(codes, flags, first, last):  # type: ignore[no-untyped-def]
    """Length of the token at the end of a run; 0 if none parts from it."""
    if last <= first:
        return 0
    code = codes[last - 1]
    if flags[last - 1] & AFFIX:
        return 1
    before = flags[last - 2] if last - 2 >= first else np.uint32(0)
    if code == DOT:
        size = 1
        while last - size > first and codes[last - size - 1] == DOT:
            size += 1
        if size > 1:
            return size
        sign = codes[last - 2] if last - 2 >= first else np.int32(0)
        if before & (DIGIT | LOWER | AFFIX) or sign == 0x25 or sign == 0x2D or sign == PLUS:
            return 1
        return 1 if before & UPPER and last - 3 >= first and flags[last - 3] & UPPER else 0
    if last - 2 >= first and _is_s(codes, last - 2, last):
        return 2
    if before & DIGIT:
        if code == PLUS or code == 0x25 or flags[last - 1] & CURRENCY:
            return 1
        if flags[last - 1] & ALPHA:
            return _unit(codes, flags, last - 1, last)
    if flags[last - 1] & ALPHA and last - 3 >= first and before & ALPHA and flags[last - 3] & DIGIT:
        return _unit(codes, flags, last - 2, last)
    return 0


@njit(cache=True, nogil=True)
def _is_s(codes, i, end):  # type: ignore[no-untyped-def]
    """Whether 's begins at `i`."""
    return (
        i + 1 < end
        and (codes[i] == APOSTROPHE or codes[i] == QUOTE_RIGHT)
        and (codes[i + 1] == 0x73 or codes[i + 1] == 0x53)
    )


@njit(cache=True, nogil=True)
def _unit(codes, flags, i, last):  # type: ignore[no-untyped-def]
    """Length of the unit of measurement from `i` to `last`, behind a digit; 0 if it is none."""
    a = codes[i]
    if last - i == 1:  # m g t T G M K
        found = a == 0x6D or a == 0x67 or a == 0x74 or a == 0x54 or a == 0x47 or a == 0x4D or a == 0x4B
        return 1 if found else 0
    b = codes[i + 1]
    found = (
        (b == 0x6D and (a == 0x6B or a == 0x63 or a == 0x6D or a == 0x64 or a == 0x6E))  # km cm mm dm nm
        or (b == 0x67 and (a == 0x6B or a == 0x6D))  # kg mg
        or (b == 0x42 and (a == 0x4D or a == 0x47 or a == 0x54 or a == 0x6B or a == 0x4B))  # MB GB TB kB KB
        or (b == 0x62 and (a == 0x6D or a == 0x67 or a == 0x74 or a == 0x6B or a == 0x6C))  # mb gb tb kb lb
        or (a == 0x66 and b == 0x74)  # ft
        or (a == 0x69 and b == 0x6E)  # in
        or (a == 0x6F and b == 0x7A)  # oz
        or (b == 0x6D and (a == 0x61 or a == 0x70))  # am pm
    )
    return 2 if found else 0


@njit(cache=True, nogil=True)
def _middle(codes, flags, first, last, starts, ends, k):  # type: ignore[no-untyped-def]
    """Part what is left of a run between its prefixes and suffixes."""
    if first >= last:
        return k
    inner = np.uint32(0)
    for i in range(first, last):
        inner |= flags[i]
    cut = 0
    whole = not inner & INFIX
    if inner & (AFFIX | STOP) and last - first <= 4:
        whole |= _is_whole(codes, flags, first, last)
    if inner & STOP and not whole:
        whole = _is_address(codes, flags, first, last)
    if inner & QUOTE or last - first == len("cannot"):
        cut = _contraction(codes, flags, first, last)
    i = last if whole else first
    begin = first
    while i < last - cut:
        size = 0
        if flags[i] & INFIX:
            size = _infix(codes, flags, i, first, last)
        if size:
            if i > begin:
                starts[k] = begin
                ends[k] = i
                k += 1
            starts[k] = i
            ends[k] = i + size
            k += 1
            i += size
            begin = i
        else:
            i += 1
    if last - cut > begin:
        starts[k] = begin
        ends[k] = last - cut
        k += 1
    if cut:
        starts[k] = last - cut
        ends[k] = last
        k += 1
    return k


@njit(cache=True, nogil=True)
def _infix(codes, flags, i, first, last):  # type: ignore[no-untyped-def]
    """Length of the token that parts a run at `i`; 0 if none does."""
    code = codes[i]
    here = flags[i]
    if here & (ICON | SINGLE) or code == ELLIPSIS:
        return 1
    if code == DOT and i + 1 < last and codes[i + 1] == DOT:
        size = 2
        while i + size < last and codes[i + size] == DOT:
            size += 1
        return size
    if i == first or i + 1 >= last:
        return 0
    before, after = flags[i - 1], flags[i + 1]
    if code == DOT:
        return 1 if before & (LOWER | QUOTE) and after & (UPPER | QUOTE) else 0
    if code == COMMA:
        return 1 if before & ALPHA and after & ALPHA else 0
    if before & DIGIT and code in (PLUS, 0x2D, 0x2A, 0x5E) and (after & DIGIT or codes[i + 1] == 0x2D):
        return 1
    if before & (ALPHA | DIGIT):
        if here & DASH:
            size = 1
            while i + size < last and codes[i + size] == code and size < 3:
                size += 1
            return size if i + size < last and flags[i + size] & ALPHA else 0
        if code in (COLON, SLASH, 0x3C, 0x3D, 0x3E):
            return 1 if after & ALPHA else 0
    return 0


@njit(cache=True, nogil=True)
def _contraction(codes, flags, first, last):  # type: ignore[no-untyped-def]
    """Length of the second word of a contraction: n't 'm 'd 'll 've 're, "cannot"; 0 if the run is none."""
    size = last - first
    if (
        size == 6  # cannot
        and (codes[first] | 0x20) == 0x63
        and codes[first + 1] == 0x61
        and codes[first + 2] == 0x6E
        and codes[first + 3] == 0x6E
        and codes[first + 4] == 0x6F
        and codes[first + 5] == 0x74
    ):
        return 3
    for back in range(2, 4):
        if size > back and (codes[last - back] == APOSTROPHE or codes[last - back] == QUOTE_RIGHT):
            a = codes[last - back + 1] | 0x20
            b = codes[last - 1] | 0x20
            if back == 2:
                if a == 0x74:  # n't
                    return 3 if size > 3 and (codes[last - 3] | 0x20) == 0x6E else 0
                return 2 if a == 0x6D or a == 0x64 else 0
            if (a == 0x6C and b == 0x6C) or (b == 0x65 and (a == 0x76 or a == 0x72)):
                return 3
            return 0
    return 0


@njit(cache=True, nogil=True)
def _is_address(codes, flags, first, last):  # type: ignore[no-untyped-def]
    """Whether a run looks like a web or mail address or a dotted name, which stays whole."""
    i = first
    while i < last and flags[i] & ALPHA:
        i += 1
    if i + 2 < last and i > first and codes[i] == COLON and codes[i + 1] == SLASH and codes[i + 2] == SLASH:
        i += 3
    else:
        i = first
    host = i
    dot = -1
    while i < last:
        code = codes[i]
        if code == DOT:
            if i == host or codes[i - 1] == DOT:
                return False
            dot = i
        elif code in (SLASH, COLON, 0x3F, 0x23):
            break
        elif not (flags[i] & (ALPHA | DIGIT) or code == 0x2D or code == 0x40 or code == 0x5F) or flags[i] & SINGLE:
            return False
        i += 1
    if dot < 0 or i - dot < 3:
        return False
    for j in range(dot + 1, i):
        if not flags[j] & ALPHA:
            return False
    return i == last or codes[i] != COLON or (i + 1 < last and flags[i + 1] & DIGIT != 0)
