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
    SINGLE,
    SPACE,
    SYMBOL,
    TERMINAL,
    UPPER,
)
from steps.kernels.text_tokens import COLON, DOT, ELLIPSIS, MARGIN, SLASH, decode, tokenise
from steps.kernels.words import word_hash

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
THIRTY_TWO = np.uint64(32)
ONE_OCCURRENCE = 1 << 32
#: Of the hash of a number: the prime of FNV-1a, and 2^64 divided by the golden ratio.
MULTIPLIER, MIXER = np.uint64(0x100000001B3), np.uint64(0x9E3779B97F4A7C15)
#: C4 leaves out lines with a longer word, and with fewer words.
C4_LONGEST_WORD, C4_FEWEST_WORDS = 1000, 3


@njit(cache=True, nogil=True)
def text_stats(
    data: Bytes,
    offsets: Offsets,
    table: npt.NDArray[np.uint32],
    stop_words: npt.NDArray[np.uint64],
    min_line_characters: int,
    short_line_characters: int,
) -> npt.NDArray[np.float64]:
    """Return the statistics of each text, shape (texts, N_STATS), float64.

    Args:
        data: UTF-8 of all texts.
        offsets: Shape (texts + 1,).
        table: `steps.kernels.character_flags.character_flags()`.
        stop_words: Hashes of the stop words, see `word_hashes`.
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
    utf8, marks = np.zeros(room + MARGIN, np.uint8), np.zeros(room + MARGIN, np.uint8)
    codes, flags, places = np.empty(room, np.int32), np.empty(room, np.uint32), np.empty(room, np.int32)
    starts, ends, breaks = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    hashes, kinds = np.empty(room, np.uint64), np.empty(room, np.uint32)
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
        n = decode(data, offsets[text], offsets[text + 1], table, utf8, places, marks, codes, flags)
        row[CHARACTERS] = n
        if n == 0:
            continue
        n_tokens, n_breaks = tokenise(utf8, places, marks, codes, flags, n, starts, ends, hashes, kinds, breaks)
        row[TOKENS] = n_tokens
        n_braces = _characters(utf8, offsets[text + 1] - offsets[text], codes, flags, n, row)
        _lines(codes, flags, n, row, breaks, n_breaks, keys, stamps, counts, firsts, stamp + 1,
               min_line_characters, short_line_characters)  # fmt: skip
        _paragraphs(
            codes, flags, n, row, breaks, n_breaks, keys, stamps, counts, firsts, stamp + 2, min_line_characters
        )
        _kept_lines(codes, flags, n, breaks, n_breaks, n_braces, starts, ends, kinds, n_tokens, row)
        stamp += 3
        mask = _mask(n_tokens)
        lengths[0] = 0
        for token in range(n_tokens):
            lengths[token + 1] = lengths[token] + ends[token] - starts[token]
        _tokens(lengths, hashes, kinds, n_tokens, row, ids, keys, stamps, counts, mask, stamp)
        for i in range(len(stop_words)):
            row[STOP_WORDS] += stamps[_slot(stop_words[i], keys, stamps, stamp, mask)] == stamp
        stamp = _grams(
            starts, ends, ids, lengths, n_tokens, row, grams, active, repeats, keys, stamps, counts, firsts, stamp
        )
    return out


@njit(cache=True, nogil=True)
def word_hashes(data: Bytes, offsets: Offsets) -> npt.NDArray[np.uint64]:
    """Return the hash of each text as the hash of one token, shape (texts,), uint64."""
    out = np.empty(len(offsets) - 1, np.uint64)
    text = np.zeros(len(data) + MARGIN, np.uint8)
    text[: len(data)] = data
    for i in range(len(out)):
        out[i] = word_hash(text, offsets[i], offsets[i + 1])
    return out


@njit(cache=True, nogil=True)
def _mask(n):  # type: ignore[no-untyped-def]
    """Mask of the smallest hash table that `n` entries fill by half at most."""
    size = 16
    while size < 2 * n:
        size *= 2
    return size - 1


@njit(cache=True, nogil=True)
def _slot(key, keys, stamps, stamp, mask):  # type: ignore[no-untyped-def]
    """Return where a key stands in the table, or the free place that it may take."""
    i = np.int64(((key * MIXER) >> THIRTY_TWO) & np.uint64(mask))
    while (stamps[i] == stamp) & (keys[i] != key):  # one branch, which is hardly ever taken
        i = (i + 1) & mask
    return i


@njit(cache=True, nogil=True)
def _seen(codes, begin, end, keys, stamps, counts, firsts, stamp, mask):  # type: ignore[no-untyped-def]
    """Whether a piece of the text occurred before; it has from now on.

    The key is of the length and four characters; pieces with one key are compared, so that the answer is exact.
    """
    size = end - begin
    key = np.uint64(size)
    for place in (begin, begin + size // 3, begin + 2 * size // 3, end - 1):
        key = (key ^ np.uint64(codes[place])) * MULTIPLIER
    i = np.int64(((key * MIXER) >> THIRTY_TWO) & np.uint64(mask))
    while stamps[i] == stamp:
        if keys[i] == key and counts[i] == size:
            first = firsts[i]
            same = 0
            while same < size and codes[first + same] == codes[begin + same]:
                same += 1
            if same == size:
                return True
        i = (i + 1) & mask
    stamps[i], keys[i], counts[i], firsts[i] = stamp, key, size, begin
    return False


@njit(cache=True, nogil=True)
def _characters(text, size, codes, flags, n, row):  # type: ignore[no-untyped-def]
    """Count the characters of each kind in a text of `size` bytes; return the number of curly brackets."""
    if n == size:
        letters, upper, digits, spaces, hashes, breaks, braces, pairs, slashes = _of_ascii(text[: n + 1])
        singles = ellipses = 0
    else:
        letters = upper = digits = spaces = singles = 0
        for i in range(n):
            flag = flags[i]
            letters += (flag & ALPHA) != 0
            upper += (flag & UPPER) != 0
            digits += (flag & DIGIT) != 0
            spaces += (flag & SPACE) != 0
            singles += (flag & (SINGLE | ALPHA)) == SINGLE
        hashes = ellipses = breaks = braces = pairs = slashes = 0
        for i in range(n):
            code = codes[i]
            hashes += code == 0x23
            ellipses += code == ELLIPSIS
            breaks += code == 10
            braces += code == 0x7B
            pairs += (code == DOT) & (codes[i + 1] == DOT)
            slashes += (code == COLON) & (codes[i + 1] == SLASH)
    if pairs > 1:
        ellipses += _runs_of_dots(codes, n)
    if slashes:
        row[URL_CHARACTERS] = _url_characters(codes, flags, n)
    row[LETTERS], row[UPPERCASE], row[DIGITS], row[SIGNS] = (
        letters,
        upper,
        digits,
        n - letters - digits - spaces - singles,
    )
    row[HASHES], row[ELLIPSES], row[LINE_BREAKS] = hashes, ellipses, breaks
    return braces


@njit(cache=True, nogil=True)
def _of_ascii(text):  # type: ignore[no-untyped-def]
    """Count the letters, capitals, digits, … of ASCII; its last byte, which stands behind the text, does not count.

    The sums are of bytes, so that it compiles to SIMD of as many lanes; none of 255 characters can overflow.
    """
    one = np.uint8(1)
    totals = (0, 0, 0, 0, 0, 0, 0, 0, 0)
    for start in range(0, text.shape[0] - 1, 255):
        here = text[start : min(start + 255, text.shape[0] - 1)]
        behind = text[start + 1 : start + 1 + here.shape[0]]
        letters = upper = digits = spaces = hashes = breaks = braces = pairs = slashes = np.uint8(0)
        for i in range(here.shape[0]):
            c, d = here[i], behind[i]
            small = np.uint8(c | np.uint8(32))
            letter = np.uint8(small - np.uint8(97)) < np.uint8(26)
            control = (np.uint8(c - np.uint8(9)) < np.uint8(5)) | (np.uint8(c - np.uint8(28)) < np.uint8(5))
            letters = np.uint8(letters + one * letter)
            upper = np.uint8(upper + one * (np.uint8(c - np.uint8(65)) < np.uint8(26)))
            digits = np.uint8(digits + one * (np.uint8(c - np.uint8(48)) < np.uint8(10)))
            spaces = np.uint8(spaces + one * control)
            hashes = np.uint8(hashes + one * (c == np.uint8(0x23)))
            breaks = np.uint8(breaks + one * (c == np.uint8(10)))
            braces = np.uint8(braces + one * (c == np.uint8(0x7B)))
            pairs = np.uint8(pairs + one * ((c == np.uint8(DOT)) & (d == np.uint8(DOT))))
            slashes = np.uint8(slashes + one * ((c == np.uint8(COLON)) & (d == np.uint8(SLASH))))
        t = totals
        totals = (t[0] + letters, t[1] + upper, t[2] + digits, t[3] + spaces, t[4] + hashes,
                  t[5] + breaks, t[6] + braces, t[7] + pairs, t[8] + slashes)  # type: ignore[assignment]  # fmt: skip
    return totals


@njit(cache=True, nogil=True)
def _runs_of_dots(codes, n):  # type: ignore[no-untyped-def]
    found = dots = 0
    for i in range(n):
        dots = dots + 1 if codes[i] == DOT else 0
        if dots == 3:
            found += 1
            dots = 0
    return found


@njit(cache=True, nogil=True)
def _url_characters(codes, flags, n):  # type: ignore[no-untyped-def]
    """Count the characters of http and https URLs, each up to the next white space."""
    characters = 0
    i = 4
    while i < n:
        if codes[i] == COLON and codes[i + 1] == SLASH:
            begin = i
            while begin > 0 and flags[begin - 1] & ALPHA:
                begin -= 1
            size = i - begin
            if 4 <= size <= 5 and codes[begin] | 0x20 == 0x68 and codes[begin + 3] | 0x20 == 0x70:  # h..p
                while i < n and not flags[i] & SPACE:
                    i += 1
                characters += i - begin
        i += 1
    return characters


@njit(cache=True, nogil=True)
def _lines(codes, flags, n, row, breaks, n_breaks, keys, stamps, counts, firsts, stamp, min_line_characters, short):  # type: ignore[no-untyped-def]
    """Count the lines that line feeds part."""
    full = terminal = short_lines = repeated_full = lines = repeated = repeated_characters = 0
    mask = _mask(n_breaks + 1)
    begin = 0
    for j in range(n_breaks + 1):
        end = n
        if j < n_breaks:
            end = breaks[j]
            if codes[end] != 10:
                continue
        if end > begin:
            a, b = begin, end
            while a < b and flags[a] & SPACE:
                a += 1
            while b > a and flags[b - 1] & SPACE:
                b -= 1
            before = _seen(codes, begin, end, keys, stamps, counts, firsts, stamp, mask)
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
def _paragraphs(  # type: ignore[no-untyped-def]
    codes, flags, n, row, breaks, n_breaks, keys, stamps, counts, firsts, stamp, min_characters
):
    """Count the paragraphs: what two or more line feeds part."""
    first, last = 0, n
    while first < last and flags[first] & SPACE:
        first += 1
    while last > first and flags[last - 1] & SPACE:
        last -= 1
    mask = _mask(n_breaks + 1)
    paragraphs = repeated = characters = 0
    begin = first
    for j in range(n_breaks + 1):
        end = breaks[j] if j < n_breaks else last
        if j < n_breaks:
            if end < begin or end + 1 >= last or codes[end] != 10 or codes[end + 1] != 10:
                continue
        elif paragraphs == 0:  # most texts of a line or two: nothing can repeat
            paragraphs = 1
            break
        paragraphs += 1
        before = _seen(codes, begin, end, keys, stamps, counts, firsts, stamp, mask)
        if before and end - begin >= min_characters:
            if repeated == 0:
                row[PARAGRAPH_AT], row[PARAGRAPH_AT + 1] = begin, end
            repeated += 1
            characters += end - begin
        begin = end
        while begin < last and codes[begin] == 10:
            begin += 1
    row[PARAGRAPHS], row[REPEATED_PARAGRAPHS], row[REPEATED_PARAGRAPH_CHARACTERS] = paragraphs, repeated, characters


@njit(cache=True, nogil=True)
def _kept_lines(codes, flags, n, breaks, n_breaks, n_braces, starts, ends, kinds, n_tokens, row):  # type: ignore[no-untyped-def]
    """Count lines as `str.splitlines` parts them, and the sentences of those that C4 keeps."""
    lines = bullets = ellipses = sentences = braces = 0
    token = 0
    begin = 0
    for j in range(n_breaks + 1):
        end = breaks[j] if j < n_breaks else n
        if j == n_breaks and begin >= n:
            break
        if end == begin and end > 0 and codes[end] == 10 and codes[end - 1] == 13 and j < n_breaks:
            begin += 1  # the second half of a line break of two characters
            continue
        lines += 1
        a, b = begin, end
        while a < b and flags[a] & SPACE:
            a += 1
        while b > a and flags[b - 1] & SPACE:
            b -= 1
        begin = end + 1
        if b == a:
            continue
        bullets += flags[a] & BULLET != 0
        last = codes[b - 1]
        trails = last == DOT and b - a > 2 and codes[b - 2] == DOT and codes[b - 3] == DOT
        ellipses += trails or last == ELLIPSIS
        if last in (DOT, 0x3F, 0x21, 0x22, 0x27) and not trails and _enough(flags, a, b):
            if n_braces:
                for i in range(a, b):
                    braces |= codes[i] == 0x7B
            while token < n_tokens and starts[token] < a:
                token += 1
            sentences += 1
            over = False
            while token < n_tokens and starts[token] < b:
                if ends[token] - starts[token] == 1 and flags[starts[token]] & TERMINAL:
                    over = True
                elif over and not kinds[token] & SYMBOL:
                    sentences += 1
                    over = False
                token += 1
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
            if words == C4_FEWEST_WORDS and b - a <= C4_LONGEST_WORD:
                return True
    return words >= C4_FEWEST_WORDS and longest <= C4_LONGEST_WORD


@njit(cache=True, nogil=True)
def _tokens(lengths, hashes, kinds, n, row, ids, keys, stamps, counts, mask, stamp):  # type: ignore[no-untyped-def]
    """Number the tokens by what they say, and count the kinds of tokens."""
    words = characters = alphas = 0
    for token in range(n):
        kind = kinds[token]
        is_word = kind & SYMBOL == 0
        words += is_word
        characters += (lengths[token + 1] - lengths[token]) * is_word
        alphas += kind & ALPHA != 0
        key = hashes[token]
        slot = _slot(key, keys, stamps, stamp, mask)
        counts[slot] = 1 + counts[slot] * (stamps[slot] == stamp)
        stamps[slot], keys[slot], ids[token] = stamp, key, slot
    row[WORDS], row[WORD_CHARACTERS], row[ALPHA_TOKENS] = words, characters, alphas


@njit(cache=True, nogil=True)
def _grams(  # type: ignore[no-untyped-def]
    starts, ends, ids, lengths, n_tokens, row, grams, active, repeats, keys, stamps, counts, firsts, stamp
):
    """Count the n-grams of tokens; return the last stamp used.

    The key of an n-gram is the number of the (n - 1)-gram at its start and that of its last token: exact, no hash.
    """
    n_active = 0
    for token in range(n_tokens):
        grams[token] = ids[token]
        active[n_active] = token
        repeats[token] = counts[ids[token]] > 1
        n_active += repeats[token]
    for i in range(n_tokens, n_tokens + LONGEST):
        repeats[i] = 0
    for size in range(2, LONGEST + 1):
        stamp += 1
        mask = _mask(n_active)
        kept = 0
        for j in range(n_active):
            i = active[j]
            active[kept] = i
            repeats[i] = repeats[i + 1]
            kept += repeats[i]
        top = ONE_OCCURRENCE  # of the most frequent gram, how often it occurs; of several, the one that begins first
        for j in range(kept):
            i = active[j]
            key = (np.uint64(grams[i]) << THIRTY_TWO) | np.uint64(ids[i + size - 1])
            slot = _slot(key, keys, stamps, stamp, mask)
            before = stamps[slot] == stamp
            count = 1 + counts[slot] * before
            first = firsts[slot] if before else i
            stamps[slot], keys[slot], counts[slot], firsts[slot] = stamp, key, count, first
            top = max(top, count * ONE_OCCURRENCE - first)
            grams[i] = slot
        best = -(-top // ONE_OCCURRENCE)
        best_first = best * ONE_OCCURRENCE - top
        n_active = 0
        for j in range(kept):  # a gram that occurs once begins no longer one that repeats
            i = active[j]
            active[n_active] = i
            repeats[i] = counts[grams[i]] > 1
            n_active += repeats[i]
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
