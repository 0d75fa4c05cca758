"""Finds rules that hit one slice of the rows far more than the rest.

A rule made for one kind of text may throw another kind away: stop words of English drop German, a bound on signs
drops programs. For each rule and slice the rate inside is compared with the rate outside by Fisher's exact test, one
sided; the p-values of all comparisons are corrected together by Holm's method, and a difference must be large besides
being sure, since among many rows every small difference is sure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from steps.filtering.slices import Slicing
from steps.settings import Settings

#: A rule that bounds what a slice is made of hits it by definition.
SAME_THING = {"length": "length", "language": "language"}


class UnevenSettings(Settings):
    """When a rule is called uneven."""

    max_p: float = Field(0.01, gt=0, lt=1)
    """Largest probability, over all comparisons together, of calling any rule uneven that is not."""
    min_ratio: float = Field(2.0, ge=1)
    """How many times the rate outside a slice that inside must be."""
    min_rows: int = Field(30, ge=1)
    """Rows that a slice must have, and the rest as well."""
    min_dropped: int = Field(5, ge=1)
    """Rows of the slice that the rule must drop."""


def uneven_rules(
    failed: Mapping[tuple[str, str], npt.NDArray[np.bool_]], slicings: Sequence[Slicing], settings: UnevenSettings
) -> list[dict[str, Any]]:
    """Return the pairs of rule and slice that stand out, the surest first.

    Args:
        failed: Per (family, reason), which rows fail.
        slicings: How the rows are cut.
        settings: What stands out.

    Returns:
        `family, reason, dimension, slice, n_rows, n_dropped, rate, n_rest, n_dropped_rest, rate_rest, ratio, p`; the
        ratio is None where nothing outside the slice is dropped, `p` is corrected.
    """
    pairs = list(_comparisons(failed, slicings, settings))
    corrected = holm(fisher_greater(*(np.array([pair[key] for pair in pairs], np.int64) for key in _COUNTS)))
    found = []
    for pair, p in zip(pairs, corrected.tolist(), strict=True):
        rate, rest = pair["n_dropped"] / pair["n_rows"], pair["n_dropped_rest"] / pair["n_rest"]
        if p < settings.max_p and rate >= settings.min_ratio * rest and pair["n_dropped"] >= settings.min_dropped:
            ratio = rate / rest if rest else None
            found.append({**pair, "rate": rate, "rate_rest": rest, "ratio": ratio, "p": p})
    return sorted(found, key=lambda pair: (pair["p"], -pair["n_dropped"]))


_COUNTS = ("n_dropped", "n_rows", "n_dropped_rest", "n_rest")


def _comparisons(
    failed: Mapping[tuple[str, str], npt.NDArray[np.bool_]], slicings: Sequence[Slicing], settings: UnevenSettings
) -> Iterator[dict[str, Any]]:
    for slicing in slicings:
        sizes = np.bincount(slicing.codes, minlength=len(slicing.labels))
        for (family, reason), mask in failed.items():
            if not mask.any() or SAME_THING.get(family) == slicing.dimension:
                continue
            dropped = np.bincount(slicing.codes[mask], minlength=len(slicing.labels))
            for place, label in enumerate(slicing.labels):
                rest = len(mask) - int(sizes[place])
                if min(int(sizes[place]), rest) >= settings.min_rows:
                    yield {
                        "family": family,
                        "reason": reason,
                        "dimension": slicing.dimension,
                        "slice": label,
                        "n_rows": int(sizes[place]),
                        "n_dropped": int(dropped[place]),
                        "n_rest": rest,
                        "n_dropped_rest": int(mask.sum() - dropped[place]),
                    }


def fisher_greater(
    dropped: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    dropped_rest: npt.NDArray[np.int64],
    rest: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return the one-sided p-values of Fisher's exact test: as many or more dropped inside, were the rates equal."""
    from scipy.stats import hypergeom

    return np.asarray(hypergeom.sf(dropped - 1, rows + rest, dropped + dropped_rest, rows), np.float64)


def holm(p_values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return p-values corrected by Holm's step-down method (1979), at most 1.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected
