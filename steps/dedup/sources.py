"""A guard per source: deduplication must not wipe one out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from steps.errors import DropLimitError

#: Below this many rows, a few copies are a large share of a source and say nothing.
MIN_ROWS = 20


class SourceLoss(NamedTuple):
    """The rows of one source, and how many of them one method dropped."""

    source: str
    n_rows: int
    n_dropped: int

    @property
    def fraction(self) -> float:
        """Share of the rows that were dropped; 0 for a source that is too small to judge."""
        return self.n_dropped / self.n_rows if self.n_rows >= MIN_ROWS else 0.0


def losses_by_source(sources: pa.ChunkedArray, dropped: npt.NDArray[np.int64]) -> list[SourceLoss]:
    """Return what each source lost, in the order of their names.

    Args:
        sources: Source of each row.
        dropped: Positions of the dropped rows.
    """
    coded = (
        sources.combine_chunks().dictionary_encode() if len(sources) else pa.array([], pa.string()).dictionary_encode()
    )
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.chunk(0)
    codes, names = coded.indices.to_numpy(), coded.dictionary.to_pylist()
    rows, gone = (np.bincount(each, minlength=len(names)).tolist() for each in (codes, codes[dropped]))
    return sorted(map(SourceLoss, names, rows, gone))


def check_sources(stage: str, losses: Sequence[SourceLoss], max_fraction: float | None, ledger: pa.Table) -> None:
    """Stop the run when a source lost nearly everything.

    Raises:
        DropLimitError: with the source and the key to change.
    """
    for loss in losses:
        if max_fraction is not None and loss.fraction > max_fraction:
            raise DropLimitError(
                f"stage {stage} dropped {loss.n_dropped} of the {loss.n_rows} rows of source {loss.source} "
                f"({loss.fraction:.1%} > curation.dedup.max_source_drop_fraction={max_fraction}). Look at the pairs in "
                "the ledger: raise the threshold if they are no duplicates; remove the source, or raise the fraction, "
                "if it holds nothing new.",
                ledger,
            )


def source_alarms(losses: Sequence[SourceLoss], max_fraction: float | None) -> list[str]:
    """Return one sentence per source that lost a larger share of its rows than `max_fraction` (None: none)."""
    if max_fraction is None:
        return []
    return [
        f"source {loss.source} lost {loss.n_dropped} of its {loss.n_rows} rows ({loss.fraction:.1%} > "
        f"{max_fraction:.1%}): see which rows survived in their place, and whether it belongs into the data"
        for loss in losses
        if loss.fraction > max_fraction
    ]
