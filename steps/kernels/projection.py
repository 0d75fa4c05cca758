"""Joins of vectors by an upper bound of their similarity and an exact check, as compiled loops.

`upper` is a tile of bounds: no pair's similarity exceeds its entry. Only pairs whose bound reaches a floor are checked,
by a product in double precision of the vectors themselves, in the fixed order of their dimensions.

The similarity of rows `a` and `b` is `offset + dot(a, b) * scale[a] * scale[b] - half[a] - half[b]`, which is the
cosine (scale: one over the length, half: 0) or one minus half the squared Euclidean distance (scale: 1, half: half the
squared length).
"""

from __future__ import annotations

from numba import njit

#: Similarities are rounded to this step, the resolution of single precision, so that equal vectors have exactly 1.
STEPS = 1e7
#: Bounds looked at together; whole spans without a candidate are passed over by vector instructions.
SPAN = 64

#: Codes of `apart`.
TOGETHER, NUMBERS, NEGATIONS, OPPOSITES, NAMES, QUOTED, ANSWERS = 0, 1, 2, 3, 4, 5, 6


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def dot(vectors, a, b):  # type: ignore[no-untyped-def]
    """Return the product of two rows in double precision."""
    total = 0.0
    for column in range(vectors.shape[1]):
        total += float(vectors[a, column]) * float(vectors[b, column])
    return total


@njit(cache=True, nogil=True)
def lengths(vectors, out):  # type: ignore[no-untyped-def]
    """Write the squared length of each row, summed as `dot` sums."""
    for row in range(vectors.shape[0]):
        out[row] = dot(vectors, row, row)


@njit(cache=True, nogil=True)
def similarity(vectors, scale, half, offset, a, b):  # type: ignore[no-untyped-def]
    """Return the similarity of two rows, rounded."""
    exact = offset + dot(vectors, a, b) * (scale[a] * scale[b]) - (half[a] + half[b])
    return round(exact * STEPS) / STEPS


@njit(cache=True, nogil=True)
def _covers(outer_offsets, outer, a, inner_offsets, inner, b):  # type: ignore[no-untyped-def]
    """Return whether set `a` of the first holds all of set `b` of the second; both are sorted."""
    at, end = outer_offsets[a], outer_offsets[a + 1]
    for position in range(inner_offsets[b], inner_offsets[b + 1]):
        while at < end and outer[at] < inner[position]:
            at += 1
        if at == end or outer[at] != inner[position]:
            return False
    return True


@njit(cache=True, nogil=True)
def _jaccard(offsets, values, a, b):  # type: ignore[no-untyped-def]
    """Return the Jaccard similarity of two sorted sets; two empty sets are equal."""
    i, j, shared = offsets[a], offsets[b], 0
    while i < offsets[a + 1] and j < offsets[b + 1]:
        if values[i] == values[j]:
            shared += 1
            i += 1
            j += 1
        elif values[i] < values[j]:
            i += 1
        else:
            j += 1
    union = (offsets[a + 1] - offsets[a]) + (offsets[b + 1] - offsets[b]) - shared
    return shared / union if union else 1.0


@njit(cache=True, nogil=True)
def apart(marks, a, b):  # type: ignore[no-untyped-def]
    """Return what keeps two rows apart, `TOGETHER` if nothing does; `marks` is a `steps.dedup.marks.Marks`."""
    codes = marks.codes
    if codes[a, 0] != codes[b, 0]:
        return NUMBERS
    if codes[a, 1] != codes[b, 1]:
        return NEGATIONS
    for pole in (3, 5):
        first_a, second_a, first_b, second_b = codes[a, pole], codes[a, pole + 1], codes[b, pole], codes[b, pole + 1]
        if (first_a & ~second_a & second_b & ~first_b) | (second_a & ~first_a & first_b & ~second_b):
            return OPPOSITES
    if codes[a, 2] != codes[b, 2]:
        return NAMES
    quoted, asked = marks.quoted, marks.asked
    if not _covers(asked.offsets, asked.values, a, quoted.offsets, quoted.values, b):
        return QUOTED
    if not _covers(asked.offsets, asked.values, b, quoted.offsets, quoted.values, a):
        return QUOTED
    # Without the minimum, its value is negative and every overlap is enough.
    if _jaccard(marks.answers.offsets, marks.answers.values, a, b) < marks.min_answer_overlap:
        return ANSWERS
    return TOGETHER


@njit(cache=True, nogil=True)
def touch_tile(upper, rows, others, inside, space, least, slack, touched):  # type: ignore[no-untyped-def]
    """Mark, by position, the rows of a tile that have another one with a similarity of `least`.

    A pair of rows that are both marked already is passed over, so that rows that are all alike cost one check each.
    """
    vectors, scale, half, offset = space
    cut = upper.dtype.type(least - slack)
    for i in range(len(rows)):
        width = i if inside else upper.shape[1]
        for start in range(0, width, SPAN):
            end = min(start + SPAN, width)
            near = 0
            for j in range(start, end):
                near += upper[i, j] >= cut
            if near == 0:
                continue
            for j in range(start, end):
                if upper[i, j] < cut or (touched[rows[i]] and touched[others[j]]):
                    continue
                if similarity(vectors, scale, half, offset, rows[i], others[j]) >= least:
                    touched[rows[i]] = True
                    touched[others[j]] = True


@njit(cache=True, nogil=True)
def select_tile(upper, certain, rows, others, alive, inside, space, marks, least, slack, border, state):  # type: ignore[no-untyped-def]
    """Update what is known of `rows` from their bounds with better rows, and count the pairs that a guard kept apart.

    Args:
        upper: Shape (rows, others), float32: bounds of the similarity, less `slack`.
        certain: Whether `upper` is the similarity itself but for `slack`.
        rows: Positions of the rows, best first.
        others: Positions of better rows; when `inside`, the same as `rows`.
        alive: Which of `others` are kept.
        inside: Whether to decide here: a row looks at the kept rows before it, and is kept if none is near.
        space: Tuple (vectors, scale, half, offset).
        marks: The guard.
        least: Least similarity of duplicates.
        slack: Greatest error of a bound.
        border: Least similarity of a pair that is remembered as just below the threshold.
        state: Tuple (best, best_other, veto, veto_other, below, below_other) with an entry a row of the tile.
    """
    vectors, scale, half, offset = space
    best, best_other, veto, veto_other, below, below_other = state
    n_vetoed = 0
    for i in range(len(rows)):
        width = i if inside else upper.shape[1]
        row = rows[i]
        for start in range(0, width, SPAN):
            end = min(start + SPAN, width)
            floor = min(least, max(border, below[i])) if best[i] < least else least
            cut = upper.dtype.type(floor - slack)
            near = 0
            for j in range(start, end):
                near += upper[i, j] >= cut
            if near == 0:
                continue
            for j in range(start, end):
                if not alive[j] or upper[i, j] < cut:
                    continue
                other = others[j]
                held = upper[i, j] + slack >= least and apart(marks, row, other) != TOGETHER
                if held and certain and upper[i, j] - slack >= least and upper[i, j] + slack < veto[i]:
                    n_vetoed += 1
                    continue
                value = similarity(vectors, scale, half, offset, row, other)
                if value < least:
                    if value > below[i] and value >= border:
                        below[i] = value
                        below_other[i] = other
                elif held:
                    n_vetoed += 1
                    if value > veto[i]:
                        veto[i] = value
                        veto_other[i] = other
                elif value > best[i]:
                    best[i] = value
                    best_other[i] = other
        if inside:
            alive[i] = best[i] < least
    return n_vetoed


@njit(cache=True, nogil=True)
def collect_tile(upper, rows, others, inside, space, marks, least, slack, pairs, veto, veto_other):  # type: ignore[no-untyped-def]
    """Write the pairs of a tile whose similarity reaches `least` and that no guard keeps apart.

    Args:
        upper: As in `select_tile`.
        rows: Positions of the rows.
        others: Positions of the rows that they are compared with.
        inside: Whether `rows` are `others`; then only pairs of a row with one before it are looked at.
        space: Tuple (vectors, scale, half, offset).
        marks: The guard.
        least: Least similarity.
        slack: Greatest error of a bound.
        pairs: Tuple (left, right, similarity) that is written to, with as many entries as the tile.
        veto: By position: the greatest similarity of a pair that was kept apart.
        veto_other: By position: the other row of that pair.

    Returns:
        How many pairs were written, and how many were kept apart.
    """
    vectors, scale, half, offset = space
    left, right, values = pairs
    cut = upper.dtype.type(least - slack)
    n = n_vetoed = 0
    for i in range(len(rows)):
        row = rows[i]
        width = i if inside else upper.shape[1]
        for start in range(0, width, SPAN):
            end = min(start + SPAN, width)
            near = 0
            for j in range(start, end):
                near += upper[i, j] >= cut
            if near == 0:
                continue
            for j in range(start, end):
                if upper[i, j] < cut:
                    continue
                other = others[j]
                value = similarity(vectors, scale, half, offset, row, other)
                if value < least:
                    continue
                if apart(marks, row, other) != TOGETHER:
                    n_vetoed += 1
                    if value > veto[row]:
                        veto[row] = value
                        veto_other[row] = other
                    continue
                left[n] = row
                right[n] = other
                values[n] = value
                n += 1
    return n, n_vetoed
