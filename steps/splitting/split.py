"""Splits by group: all rows of a document and of its duplicates stand in the same split."""

from __future__ import annotations

from collections import Counter
from typing import Any, Self

import pyarrow as pa
from pydantic import Field, model_validator

from steps.errors import InputError
from steps.ledger import StageResult, check_books
from steps.rows import LEDGER, SPLITS, content_id
from steps.settings import Settings

STAGE = "split"


class SplitSettings(Settings):
    """How large the splits are."""

    validation_fraction: float = Field(0.1, ge=0, lt=1)
    """Share of the groups that validate during training; 0 leaves the validation split empty on purpose."""

    test_fraction: float = Field(0.1, gt=0, lt=1)
    """Share of the groups that only the evaluation sees."""

    seed: int = Field(0, ge=0)
    """Another seed gives other splits. Keep it for the life of a data set: a row then never changes its split."""

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


def split_examples(examples: pa.Table, settings: SplitSettings) -> StageResult:
    """Add the column `split`; no row is dropped.

    A group's split follows from a hash of the seed and the group's id alone. New data never moves old rows.

    Args:
        examples: Schema `SCORED` (any table with `id` and `group_id`).
        settings: Fractions, seed and least sizes.

    Returns:
        The same rows with `split`, and a ledger whose `detail` names each row's split.

    Raises:
        InputError: if a split has fewer rows than it must have.
    """
    groups = examples["group_id"].to_pylist()
    split_of = {group: _split_of(group, settings) for group in set(groups)}
    splits = [split_of[group] for group in groups]
    _check_sizes(splits, groups, settings)
    field = pa.field("split", pa.string(), nullable=False)
    kept = examples.append_column(field, pa.array(splits, pa.string()))
    decisions: list[dict[str, Any]] = [
        {"row_id": row_id, "stage": STAGE, "decision": "kept", "detail": split}
        for row_id, split in zip(examples["id"].to_pylist(), splits, strict=True)
    ]
    ledger = pa.Table.from_pylist(decisions, schema=LEDGER)
    check_books(STAGE, examples.num_rows, kept.num_rows, ledger)
    return StageResult(kept, ledger)


def _split_of(group_id: str, settings: SplitSettings) -> str:
    # 64 bits of a hash as a fraction in [0, 1).
    position = int(content_id("split", settings.seed, group_id)[:16], 16) / 2**64
    if position < settings.test_fraction:
        return "test"
    if position < settings.test_fraction + settings.validation_fraction:
        return "validation"
    return "train"


def _check_sizes(splits: list[str], groups: list[str], settings: SplitSettings) -> None:
    sizes = Counter(splits)
    for split in SPLITS:
        if split == "validation" and settings.validation_fraction == 0:
            continue
        least = getattr(settings, f"min_{split}_rows")
        if sizes[split] < least:
            largest = max(Counter(groups).values(), default=0)
            raise InputError(
                f"the {split} split has {sizes[split]} rows, but curation.split.min_{split}_rows={least}. "
                f"{len(groups)} rows stand in {len(set(groups))} groups, the largest of {largest} rows, and a group "
                "goes to one split as a whole. Add documents, change curation.split.test_fraction or "
                "validation_fraction, try another curation.split.seed, or loosen the deduplication that merged them"
            )
