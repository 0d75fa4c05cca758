"""Splits by group: all rows of a document and of its duplicates stand in the same split.

**Stable.** A document (or imported row) has a position in [0, 1), a hash of its id and the seed. The test split is the
lowest positions, validation comes next, training last. A group stands where its lowest document stands, so that when
new data links two groups, both go where the lower one was: rows then move from training towards the test split and
never back. Nothing else decides, so that no memory of earlier runs is needed. The price: a group of many documents is
likely to be tested on, and an alarm says so of one that is larger than the split should be.

**Stratified.** Every stratum (source and kind) then gets its share by expectation, with the spread of a coin. No rule
without memory can do better and never move a test row: were a stratum of one document promised a test row, every
document would once have been that one. So `stratify: exact` fills the quota of every stratum, to half a group, and
needs `previous`, the splits of the version before, from the second version on. Earlier splits are then honoured first.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from steps.errors import InputError
from steps.ledger import check_books
from steps.rows import LEDGER, SPLITS
from steps.settings import Settings
from steps.splitting.earlier import UNKNOWN, earlier_of_groups, earlier_of_rows
from steps.splitting.strata import Groups, groups_of, quota_splits, strata_report

STAGE = "split"


class SplitReason(StrEnum):
    """Why a row stands in another split than in the version before."""

    LEFT_TRAINING = "left_training"
    SPLIT_CHANGED = "split_changed"


class SplitSettings(Settings):
    """How large the splits are."""

    validation_fraction: float = Field(0.1, ge=0, lt=1)
    """Share of the groups that validate during training; 0 leaves the validation split empty on purpose."""

    test_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the groups that only the evaluation sees."""

    seed: int = Field(0, ge=0)
    """Another seed gives other splits. Keep it for the life of a data set: a row then never changes its split."""

    stratify: Literal["expected", "exact"] = "expected"
    """`expected`: each source and kind gets its share on average, and no memory is needed. `exact`: each gets its share
    of rows, to half a group; set `previous` too, without it rows near a quota's edge change splits as data is added."""

    previous: str | None = None
    """Model version (name, number, stage, or `latest`) whose splits are honoured. None: only the hash decides."""

    max_share_deviation: float = Field(0.05, gt=0, le=1)
    """By how much the share of a split in one source and kind may differ from the asked one, beyond what three standard
    deviations of chance explain, before the report raises an alarm."""

    min_test_rows: int = Field(1, ge=1)
    """Rows below which the test split is too small to be of use, and the run stops."""

    min_validation_rows: int = Field(1, ge=1)
    """Rows below which the validation split is too small, if it is not empty on purpose."""

    min_train_rows: int = Field(1, ge=1)
    """Rows below which the training split is too small."""

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError(
                f"validation_fraction={self.validation_fraction:g} and test_fraction={self.test_fraction:g} leave "
                "nothing to train on; their sum must be below 1"
            )
        return self

    @property
    def fractions(self) -> dict[str, float]:
        """Asked share of every split, in the order of `SPLITS`."""
        held_out = {"validation": self.validation_fraction, "test": self.test_fraction}
        return {"train": 1 - sum(held_out.values()), **held_out}


class SplitResult(NamedTuple):
    """The rows with their split, one ledger row per row, and what a reader should know of the splits (plain JSON)."""

    kept: pa.Table
    ledger: pa.Table
    report: dict[str, Any]


def split_examples(examples: pa.Table, settings: SplitSettings, previous: pa.Table | None = None) -> SplitResult:
    """Add the column `split`; no row is dropped.

    Args:
        examples: Schema `SCORED` (any table with `id`, `group_id`, `document_id`, `source` and `kind`).
        settings: Fractions, seed, stratification and least sizes.
        previous: Columns `id`, `group_id`, `document_id` and `split` of an earlier version. A group any of whose rows,
            documents or groups had a split then keeps it; of several, test goes before validation before training.

    Returns:
        The same rows with `split`, a ledger whose `detail` names each row's split (with a remark where it differs from
        the earlier one), and a report with the shares of every source and kind, and alarms.

    Raises:
        InputError: if a split has fewer rows than it must have.
    """
    groups = groups_of(examples, settings.seed)
    fixed = np.full(groups.n, UNKNOWN, np.int8)
    if previous is not None:
        fixed = earlier_of_groups(examples, groups.of_row, groups.n, previous)
    splits = _splits(groups, fixed, settings)[groups.of_row]
    _check_sizes(splits, groups, settings)
    column = pa.array(SPLITS).take(pa.array(splits))
    kept = examples.append_column(pa.field("split", pa.string(), nullable=False), column)
    ledger, changes = _ledger(examples, splits, column, previous)
    check_books(STAGE, examples.num_rows, kept.num_rows, ledger)
    strata, alarms = strata_report(groups, splits, settings.fractions, settings.max_share_deviation)
    report = {
        "n_groups": groups.n,
        "asked": settings.fractions,
        "stratify": settings.stratify,
        "changes": changes,
        "alarms": [*_oversized(groups, splits, settings), *alarms],
        "strata": strata,
    }
    return SplitResult(kept, ledger, report)


def _splits(groups: Groups, fixed: npt.NDArray[np.int8], settings: SplitSettings) -> npt.NDArray[np.int8]:
    """Return the split of each group, as a position in `SPLITS`."""
    if settings.stratify == "exact":
        return quota_splits(groups, fixed, settings.fractions)
    splits = np.full(groups.n, SPLITS.index("train"), np.int8)
    splits[groups.positions < settings.test_fraction + settings.validation_fraction] = SPLITS.index("validation")
    splits[groups.positions < settings.test_fraction] = SPLITS.index("test")
    return np.where(fixed == UNKNOWN, splits, fixed)


def _ledger(
    examples: pa.Table, splits: npt.NDArray[np.int8], column: pa.Array, previous: pa.Table | None
) -> tuple[pa.Table, dict[str, int]]:
    """Write the ledger, with a remark upon every row that had another split; count the moves."""
    n = examples.num_rows
    reasons, details = pa.nulls(n, pa.string()), column
    changes: dict[str, int] = {}
    if previous is not None:
        before = earlier_of_rows(examples["id"], previous)
        changed = (before != UNKNOWN) & (before != splits)
        left = before == SPLITS.index("train")
        named = pa.array([reason.value for reason in (SplitReason.SPLIT_CHANGED, SplitReason.LEFT_TRAINING)])
        reasons = named.take(pc.if_else(pa.array(changed), pa.array(left.astype(np.int8)), None))
        names = pa.array(SPLITS).take(pa.array(np.maximum(before, 0)))
        details = pc.if_else(pa.array(changed), pc.binary_join_element_wise(names, column, " → "), column)
        moves, counts = np.unique(details.filter(pa.array(changed)).to_numpy(zero_copy_only=False), return_counts=True)
        changes = dict(zip(moves.tolist(), counts.tolist(), strict=True))
    arrays = [examples["id"], pa.repeat(STAGE, n), pa.repeat("kept", n), reasons]
    arrays += [pa.nulls(n, pa.string()), pa.nulls(n, pa.float64()), details]
    return pa.Table.from_arrays(arrays, schema=LEDGER).combine_chunks(), changes


def _oversized(groups: Groups, splits: npt.NDArray[np.int8], settings: SplitSettings) -> list[str]:
    """Name the groups that are larger than a held-out split should be, and say where they stand."""
    limits = {name: share * len(splits) for name, share in settings.fractions.items() if name != "train" and share}
    least = min(limits.values())
    split_of = np.zeros(groups.n, np.int8)
    split_of[groups.of_row] = splits
    alarms = []
    for group in np.flatnonzero(groups.sizes > least)[:10]:
        where = SPLITS[split_of[group]]
        skewed = where in limits and groups.sizes[group] > limits[where]
        effect = f", which should have {limits[where]:.0f}: its shares are skewed" if skewed else ""
        alarms.append(
            f"group {groups.ids[int(group)].as_py()} has {groups.sizes[group]} rows, more than a held-out split should "
            f"have ({least:.0f}); it stands in {where}{effect}. Loosen the deduplication that merged it, part its "
            "document, or try another curation.split.seed"
        )
    return alarms


def _check_sizes(splits: npt.NDArray[np.int8], groups: Groups, settings: SplitSettings) -> None:
    sizes = dict(zip(SPLITS, np.bincount(splits, minlength=len(SPLITS)).tolist(), strict=True))
    for split in SPLITS:
        if split == "validation" and settings.validation_fraction == 0:
            continue
        least = getattr(settings, f"min_{split}_rows")
        if sizes[split] < least:
            raise InputError(
                f"the {split} split has {sizes[split]} rows, but curation.split.min_{split}_rows={least}. "
                f"{len(splits)} rows stand in {groups.n} groups, the largest of {max(groups.sizes, default=0)} rows, "
                "and a group goes to one split as a whole. Add documents, change curation.split.test_fraction or "
                "validation_fraction, try another curation.split.seed, or loosen the deduplication that merged them"
            )
