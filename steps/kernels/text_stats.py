"""Every number that the statistical rules ask of a text, in one pass over it.

A text is decoded once, parted into tokens once, and its lines and n-grams are counted in one hash table. An n-gram is
looked at only where the shorter ones at both of its ends repeat, which in prose leaves almost none beyond n = 4.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from steps.kernels.buffers import Bytes, Offsets
from steps.kernels.character_flags import (
    ALPHA,
    BULLET,
    DIGIT,
    LINE_BREAK,
    SINGLE,
    SPACE,
    SYMBOL,
    TERMINAL,
    UPPER,
)
from steps.kernels.text_tokens import DOT, ELLIPSIS, decode, tokenise

#: Columns of the result. Counts of code points are `*_CHARACTERS`.
(
    CHARACTERS,
    TOKENS,
    WORDS,  # tokens that are not of punctuation alone
    WORD_CHARACTERS,
    ALPHA_TOKENS,  # tokens with a letter
    STOP_WORDS,  # how many of the stop words occur
    HASHES,
    ELLIPSES,
    LINES,  # as `str.splitlines` parts them
    BULLET_LINES,
    ELLIPSIS_LINES,
    FULL_LINES,  # lines that are not blank
    TERMINAL_LINES,  # … and end with the end of a sentence
    SHORT_LINES,  # … and are short
    LINE_BREAKS,
    REPEATED_FULL_LINE_CHARACTERS,  # in lines, not blank, that occurred before
    RUN_LINES,  # lines parted by runs of line breaks
    REPEATED_LINES,
    REPEATED_LINE_CHARACTERS,
    PARAGRAPHS,
    REPEATED_PARAGRAPHS,
    REPEATED_PARAGRAPH_CHARACTERS,
    TOP_2,  # characters of the most frequent 2-gram, all its occurrences together
    TOP_3,
    TOP_4,
    REPEATED_5,  # characters in 5-grams that occurred before
    REPEATED_6,
    REPEATED_7,
    REPEATED_8,
    REPEATED_9,
    REPEATED_10,
    LETTERS,
    UPPERCASE,
    DIGITS,
    SIGNS,  # neither letters, digits nor white space
    URL_CHARACTERS,
    SENTENCES,  # of the lines that C4 keeps
    BRACES,  # of the lines that C4 keeps: whether a curly bracket stands in one
    TOP_2_COUNT,  # how often the most frequent 2-gram occurs
    TOP_3_COUNT,
    TOP_4_COUNT,
    FIRST_EVIDENCE,
) = range(42)

#: Behind `FIRST_EVIDENCE` stand, for each of these, the first and last character of what repeats: [start, end).
EVIDENCE = (
    REPEATED_LINES,
    REPEATED_PARAGRAPHS,
    TOP_2,
    TOP_3,
    TOP_4,
    REPEATED_5,
    REPEATED_6,
    REPEATED_7,
    REPEATED_8,
    REPEATED_9,
    REPEATED_10,
)
LINE_AT, PARAGRAPH_AT, TOP_AT, REPEATED_AT = (FIRST_EVIDENCE + 2 * i for i in (0, 1, 2, 5))
N_STATS: Final = FIRST_EVIDENCE + 2 * len(EVIDENCE)

#: Longest n-gram, and the shortest whose repetition is counted by characters.
LONGEST, SHORTEST_REPEATED = 10, 5
MULTIPLIER, MIXER = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15)
THIRTY_TWO = np.uint64(32)
#: C4 leaves out lines with a longer word, and with fewer words.
C4_LONGEST_WORD, C4_FEWEST_WORDS = 1000, 3


@njit(cache=True, nogil=True)
def text_stats(
    data: Bytes,
    offsets: Offsets,
    table: npt.NDArray[np.uint16],
    stop_words: npt.NDArray[np.uint64],
    min_line_characters: int,
    short_line_characters: int,
) -> npt.NDArray[np.float64]:
    """Return the statistics of each text, shape (texts, N_STATS), float64.

    Args:
        data: UTF-8 of all texts.
        offsets: Shape (texts + 1,).
        table: `steps.kernels.character_flags.character_flags()`.
        stop_words: Hashes of the stop words, see `word_hashes`, at most 64.
        min_line_characters: Lines and paragraphs with fewer characters, outer white space aside, do not count as
            repeated.
        short_line_characters: Longest line that counts as short.
    """
    n_texts = len(offsets) - 1
    out = np.zeros((n_texts, N_STATS))
    room = 1
    for text in range(n_texts):
        room = max(room, offsets[text + 1] - offsets[text])
    room += 2
    codes, flags = np.empty(room, np.int32), np.empty(room, np.uint16)
    starts, ends = np.empty(room, np.int32), np.empty(room, np.int32)
    lengths = np.empty(room + 1, np.int32)
    ids, grams = np.empty(room, np.int32), np.empty(room, np.int32)
    active, repeats = np.empty(room, np.int32), np.zeros(room + LONGEST, np.uint8)
    size = 16
    while size < 2 * room + 2:
        size *= 2
    keys, stamps = np.empty(size, np.uint64), np.zeros(size, np.int64)
    counts, firsts = np.empty(size, np.int32), np.empty(size, np.int32)
    stamp = 0
    for text in range(n_texts):
        row = out[text]
        n = decode(data, offsets[text], offsets[text + 1], table, codes, flags)
        row[CHARACTERS] = n
        if n == 0:
            continue
        n_tokens = tokenise(codes, flags, n, starts, ends)
        row[TOKENS] = n_tokens
        _characters(codes, flags, n, row)
        stamp += 1
        _lines(codes, flags, n, row, keys, stamps, stamp, min_line_characters, short_line_characters)
        stamp += 1
        _paragraphs(codes, flags, n, row, keys, stamps, stamp, min_line_characters)
        _kept_lines(codes, flags, n, starts, ends, n_tokens, row)
        stamp += 1
        mask = 16
        while mask < 2 * n_tokens:
            mask *= 2
        mask -= 1
        _tokens(codes, flags, starts, ends, n_tokens, row, stop_words, ids, lengths, keys, stamps, counts, mask, stamp)
        stamp = _grams(
            starts, ends, ids, lengths, n_tokens, row, grams, active, repeats, keys, stamps, counts, firsts, mask, stamp
        )
    return out


@njit(cache=True, nogil=True)
def word_hashes(data: Bytes, offsets: Offsets, table: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint64]:
    """Return the hash of each text as the hash of one token, shape (texts,), uint64."""
    out = np.empty(len(offsets) - 1, np.uint64)
    codes, flags = np.empty(len(data) + 1, np.int32), np.empty(len(data) + 1, np.uint16)
    for text in range(len(out)):
        n = decode(data, offsets[text], offsets[text + 1], table, codes, flags)
        out[text] = _hash(codes, 0, n)
    return out


@njit(cache=True, nogil=True)
def _hash(codes, start, end):  # type: ignore[no-untyped-def]
    found = np.uint64(end - start)
    for i in range(start, end):
        found = (found ^ np.uint64(codes[i])) * MULTIPLIER
    return found * MIXER


@njit(cache=True, nogil=True)
def _slot(key, keys, stamps, stamp, mask):  # type: ignore[no-untyped-def]
    """Return where a key stands in the table, or the free place that it may take."""
    i = np.int64(((key * MIXER) >> THIRTY_TWO) & np.uint64(mask))
    while stamps[i] == stamp and keys[i] != key:
        i = (i + 1) & mask
    return i


@njit(cache=True, nogil=True)
def _seen(key, keys, stamps, stamp):  # type: ignore[no-untyped-def]
    """Whether a key occurred before; it has from now on."""
    i = _slot(key, keys, stamps, stamp, len(keys) - 1)
    if stamps[i] == stamp:
        return True
    stamps[i] = stamp
    keys[i] = key
    return False


@njit(cache=True, nogil=True)
def _characters(codes, flags, n, row):  # type: ignore[no-untyped-def]
    letters = upper = digits = signs = hashes = ellipses = breaks = urls = 0
    dots = 0
    in_url = False
    for i in range(n):
        flag = flags[i]
        code = codes[i]
        if flag & ALPHA:
            letters += 1
            if flag & UPPER:
                upper += 1
        elif flag & SPACE:
            in_url = False
            if code == 10:
                breaks += 1
        elif flag & DIGIT:
            digits += 1
        elif not flag & SINGLE:
            signs += 1
            if code == 0x23:
                hashes += 1
            elif code == ELLIPSIS:
                ellipses += 1
            elif code == 0x3A and i >= 4 and codes[i + 1] == 0x2F and codes[i - 1] | 0x20 in (0x70, 0x73):
                at = i - 4 if codes[i - 1] | 0x20 == 0x70 else i - 5  # http, https
                if at >= 0 and codes[at] | 0x20 == 0x68 and codes[at + 1] | 0x20 == 0x74 and not in_url:
                    in_url = True
                    urls += i - at
        if code == DOT:
            dots += 1
            if dots == 3:
                ellipses += 1
                dots = 0
        else:
            dots = 0
        if in_url:
            urls += 1
    row[LETTERS], row[UPPERCASE], row[DIGITS], row[SIGNS] = letters, upper, digits, signs
    row[HASHES], row[ELLIPSES], row[LINE_BREAKS], row[URL_CHARACTERS] = hashes, ellipses, breaks, urls


@njit(cache=True, nogil=True)
def _lines(codes, flags, n, row, keys, stamps, stamp, min_line_characters, short):  # type: ignore[no-untyped-def]
    """Count the lines that line feeds part."""
    full = terminal = short_lines = repeated_full = lines = repeated = repeated_characters = 0
    begin = 0
    while begin <= n:
        end = begin
        while end < n and codes[end] != 10:
            end += 1
        if end > begin:
            a, b = begin, end
            while a < b and flags[a] & SPACE:
                a += 1
            while b > a and flags[b - 1] & SPACE:
                b -= 1
            before = _seen(_hash(codes, begin, end), keys, stamps, stamp)
            lines += 1
            if before and b - a >= min_line_characters:
                if repeated == 0:
                    row[LINE_AT], row[LINE_AT + 1] = begin, end
                repeated += 1
                repeated_characters += end - begin
            if b > a:
                full += 1
                terminal += flags[end - 1] & TERMINAL != 0
                short_lines += end - begin <= short
                if before:
                    repeated_full += end - begin
        begin = end + 1
    if codes[0] == 10:  # an empty line stands before the first line break, and after the last
        lines += 1
    if codes[n - 1] == 10:
        lines += 1
        repeated += codes[0] == 10 and min_line_characters == 0
    row[FULL_LINES], row[TERMINAL_LINES], row[SHORT_LINES] = full, terminal, short_lines
    row[REPEATED_FULL_LINE_CHARACTERS] = repeated_full
    row[RUN_LINES], row[REPEATED_LINES], row[REPEATED_LINE_CHARACTERS] = lines, repeated, repeated_characters


@njit(cache=True, nogil=True)
def _paragraphs(codes, flags, n, row, keys, stamps, stamp, min_characters):  # type: ignore[no-untyped-def]
    """Count the paragraphs: what two or more line feeds part."""
    first, last = 0, n
    while first < last and flags[first] & SPACE:
        first += 1
    while last > first and flags[last - 1] & SPACE:
        last -= 1
    paragraphs = repeated = characters = 0
    begin = first
    i = first
    while i <= last:
        if i == last or (codes[i] == 10 and i + 1 < last and codes[i + 1] == 10):
            paragraphs += 1
            if _seen(_hash(codes, begin, i), keys, stamps, stamp) and i - begin >= min_characters:
                if repeated == 0:
                    row[PARAGRAPH_AT], row[PARAGRAPH_AT + 1] = begin, i
                repeated += 1
                characters += i - begin
            while i < last and codes[i] == 10:
                i += 1
            begin = i
            if i == last:
                break
        else:
            i += 1
    row[PARAGRAPHS], row[REPEATED_PARAGRAPHS], row[REPEATED_PARAGRAPH_CHARACTERS] = paragraphs, repeated, characters


@njit(cache=True, nogil=True)
def _kept_lines(codes, flags, n, starts, ends, n_tokens, row):  # type: ignore[no-untyped-def]
    """Count lines as `str.splitlines` parts them, and the sentences of those that C4 keeps."""
    lines = bullets = ellipses = sentences = braces = 0
    token = 0
    begin = 0
    while begin < n:
        end = begin
        while end < n and not flags[end] & LINE_BREAK:
            end += 1
        lines += 1
        a, b = begin, end
        while a < b and flags[a] & SPACE:
            a += 1
        while b > a and flags[b - 1] & SPACE:
            b -= 1
        if b > a:
            bullets += flags[a] & BULLET != 0
            last = codes[b - 1]
            trails = last == ELLIPSIS or (last == DOT and b - a > 2 and codes[b - 2] == DOT and codes[b - 3] == DOT)
            ellipses += trails
            if last in (DOT, 0x3F, 0x21, 0x22, 0x27) and not (trails and last == DOT) and _enough(flags, a, b):
                for i in range(a, b):
                    braces |= codes[i] == 0x7B
                while token < n_tokens and starts[token] < a:
                    token += 1
                sentences += 1
                over = False
                while token < n_tokens and starts[token] < b:
                    single = ends[token] - starts[token] == 1
                    if single and flags[starts[token]] & TERMINAL:
                        over = True
                    elif over and not _is_mark(flags, starts[token], ends[token]):
                        sentences += 1
                        over = False
                    token += 1
        begin = end + 1
        if end + 1 < n and codes[end] == 13 and codes[end + 1] == 10:
            begin += 1
    row[LINES], row[BULLET_LINES], row[ELLIPSIS_LINES] = lines, bullets, ellipses
    row[SENTENCES], row[BRACES] = sentences, braces


@njit(cache=True, nogil=True)
def _enough(flags, a, b):  # type: ignore[no-untyped-def]
    """Whether a line has enough words and none that is too long."""
    words = longest = run = 0
    for i in range(a, b):
        if flags[i] & SPACE:
            run = 0
        else:
            run += 1
            words += run == 1
            longest = max(longest, run)
    return words >= C4_FEWEST_WORDS and longest <= C4_LONGEST_WORD


@njit(cache=True, nogil=True)
def _is_mark(flags, start, end):  # type: ignore[no-untyped-def]
    for i in range(start, end):
        if not flags[i] & SYMBOL:
            return False
    return True


@njit(cache=True, nogil=True)
def _tokens(codes, flags, starts, ends, n, row, stop_words, ids, lengths, keys, stamps, counts, mask, stamp):  # type: ignore[no-untyped-def]
    """Number the tokens by what they say, and count the kinds of tokens."""
    words = characters = alphas = 0
    stopped = np.uint64(0)
    lengths[0] = 0
    for token in range(n):
        start, end = starts[token], ends[token]
        key = np.uint64(end - start)
        every = np.uint16(SYMBOL)
        some = np.uint16(0)
        for i in range(start, end):
            key = (key ^ np.uint64(codes[i])) * MULTIPLIER
            every &= flags[i]
            some |= flags[i]
        key *= MIXER
        lengths[token + 1] = lengths[token] + end - start
        if not every:
            words += 1
            characters += end - start
        if some & ALPHA:
            alphas += 1
        slot = _slot(key, keys, stamps, stamp, mask)
        if stamps[slot] != stamp:
            stamps[slot] = stamp
            keys[slot] = key
            counts[slot] = 0
            for i in range(len(stop_words)):
                if stop_words[i] == key:
                    stopped |= np.uint64(1) << np.uint64(i)
        counts[slot] += 1
        ids[token] = slot
    n_stopped = 0
    while stopped:
        n_stopped += 1
        stopped &= stopped - np.uint64(1)
    row[WORDS], row[WORD_CHARACTERS], row[ALPHA_TOKENS], row[STOP_WORDS] = words, characters, alphas, n_stopped


@njit(cache=True, nogil=True)
def _grams(
    starts, ends, ids, lengths, n_tokens, row, grams, active, repeats, keys, stamps, counts, firsts, mask, stamp
):  # type: ignore[no-untyped-def]
    """Count the n-grams of tokens; return the last stamp used.

    The key of an n-gram is the number of the (n - 1)-gram at its start and that of its last token: exact, no hash.
    """
    n_active = 0
    for token in range(n_tokens):
        grams[token] = ids[token]
        repeats[token] = counts[ids[token]] > 1
        if repeats[token]:
            active[n_active] = token
            n_active += 1
    for i in range(n_tokens, n_tokens + LONGEST):
        repeats[i] = 0
    for size in range(2, LONGEST + 1):
        stamp += 1
        kept = 0
        best, best_first = 1, 0
        for j in range(n_active):
            i = active[j]
            if not repeats[i + 1]:
                repeats[i] = 0
                continue
            key = (np.uint64(grams[i]) << THIRTY_TWO) | np.uint64(ids[i + size - 1])
            slot = _slot(key, keys, stamps, stamp, mask)
            if stamps[slot] != stamp:
                stamps[slot] = stamp
                keys[slot] = key
                counts[slot] = 0
                firsts[slot] = i
            counts[slot] += 1
            if counts[slot] > best or (counts[slot] == best and best > 1 and firsts[slot] < best_first):
                best, best_first = counts[slot], firsts[slot]
            active[kept] = i
            grams[i] = slot
            kept += 1
        n_active = 0
        for j in range(kept):  # a gram that occurs once begins no longer one that repeats
            i = active[j]
            if counts[grams[i]] > 1:
                active[n_active] = i
                n_active += 1
            else:
                repeats[i] = 0
        if size < SHORTEST_REPEATED:
            if n_tokens >= size:
                row[TOP_2_COUNT + size - 2] = best
                row[TOP_AT + 2 * size - 4] = starts[best_first]
                row[TOP_AT + 2 * size - 3] = ends[best_first + size - 1]
                row[TOP_2 + size - 2] = best * (lengths[best_first + size] - lengths[best_first] + size - 1)
        else:
            at = size - SHORTEST_REPEATED
            row[REPEATED_5 + at], first = _covered(lengths, grams, active, n_active, size, counts)
            if first >= 0:
                row[REPEATED_AT + 2 * at], row[REPEATED_AT + 2 * at + 1] = starts[first], ends[first + size - 1]
        if n_active == 0 and size >= SHORTEST_REPEATED - 1:
            break
    return stamp


@njit(cache=True, nogil=True)
def _covered(lengths, grams, active, n_active, size, counts):  # type: ignore[no-untyped-def]
    """Characters of the n-grams that occurred before, none counted twice: a found one is leapt over.

    Returns them, and where the first such n-gram begins (-1: there is none).
    """
    characters = 0
    first = -1
    free = 0
    for j in range(n_active):
        i = active[j]
        if i < free:
            continue
        slot = grams[i]
        if counts[slot] < 0:
            characters += lengths[i + size] - lengths[i]
            free = i + size
            if first < 0:
                first = i
        else:
            counts[slot] = -counts[slot]
    return characters, first
