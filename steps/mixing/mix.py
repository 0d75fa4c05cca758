"""Stage `mix`: which training rows are read in an epoch, and how often.

The rows of a part are ranked by a hash of their id and the seed, and the first ones that fill the part's quota stay.
The rank of a row depends on nothing else, so that the order of the table is no matter, and added data takes the place
of few rows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.errors import InputError
from steps.ledger import check_drop_fraction
from steps.mixing.quotas import Quotas, quotas_of
from steps.mixing.selection import counts_for
from steps.mixing.settings import MixSettings
from steps.rows import LEDGER, SFT, rows_of_split
from steps.splitting.remarks import settle_remarks

STAGE = "mix"

__all__ = ["MixResult", "MixSettings", "mix_examples"]

#: Added to the run's seed, so that the hashes of other stages with the same seed are others.
_SEED_OF_STAGE = 0x6D6978  # "mix"


class MixReason(StrEnum):
    """Why a training row is not read."""

    OVER_SOURCE_CAP = "over_source_cap"
    SAMPLED_OUT = "sampled_out"


class MixResult(NamedTuple):
    """The data set, one ledger row per input row, and the asked and the realised mix (plain JSON)."""

    kept: pa.Table
    ledger: pa.Table
    report: dict[str, Any]


class _Parts(NamedTuple):
    """The training rows by part: names, the part of each row, its size in units and in tokens (0 where unknown)."""

    names: list[str]
    of_row: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.int64]
    ranks: npt.NDArray[np.uint64]


def mix_examples(dataset: pa.Table, settings: MixSettings | None) -> MixResult:
    """Choose the training rows that fill the asked mix, and say how often each is read.

    Args:
        dataset: Columns `id`, `source`, `kind`, `split`, `n_tokens`.
        settings: Parts, weights, caps, temperature; None keeps every row, once.

    Returns:
        Schema `SFT`: the rows that stay, with `repeats` where a mix was asked. A dropped row's `detail` names its part.

    Raises:
        InputError: if the asked mix cannot be had, or tokens are asked and not known.
        DropLimitError: if more than `max_drop_fraction` went.
    """
    if settings is None:
        plain = _with_repeats(dataset, pa.nulls(dataset.num_rows, pa.int32()))
        kept, ledger = settle_remarks(STAGE, plain, LEDGER.empty_table())
        return MixResult(kept, ledger, {"asked": None, "parts": [], "max_deviation": 0.0})
    train = rows_of_split(dataset, "train")
    parts = _parts_of(train, settings)
    within = _within_caps(parts, settings)
    counts, quotas = within.astype(np.int64), None
    if settings.asks_shares:
        sizes = np.bincount(parts.of_row, weights=parts.units * within, minlength=len(parts.names)).astype(np.float64)
        quotas = quotas_of(parts.names, sizes, settings)
        counts = _counts(parts, within, quotas)
    report = _report(parts, counts, quotas, settings)
    dropped = _dropped(train["id"], parts, counts, within, quotas)
    repeats = pa.array(counts, pa.int32())
    place = pc.index_in(dataset["id"], value_set=train["id"].combine_chunks())
    mixed = _with_repeats(dataset, pc.take(repeats, place))
    kept, ledger = settle_remarks(STAGE, mixed, dropped)
    check_drop_fraction(ledger, settings.max_drop_fraction)
    return MixResult(kept, ledger, report)


def _with_repeats(dataset: pa.Table, repeats: Any) -> pa.Table:
    field = SFT.field("repeats")
    if "repeats" in dataset.column_names:
        return dataset.set_column(dataset.schema.get_field_index("repeats"), field, repeats)
    return dataset.append_column(field, repeats)


def _parts_of(train: pa.Table, settings: MixSettings) -> _Parts:
    from steps.kernels.hashing import hash_strings

    source, kind = train["source"], train["kind"]
    both = pc.binary_join_element_wise(source, kind, "/")
    column = {"source": source, "kind": kind, "source_and_kind": both}[settings.by]
    names = sorted(column.unique().to_pylist())
    unknown = sorted(set(settings.parts) - set(names))
    if unknown:
        raise InputError(
            f"curation.mix.parts names {', '.join(unknown)}, but the training rows have ({settings.by}): "
            f"{', '.join(names) or 'none'}; correct the names"
        )
    counted = settings.unit == "tokens" or any(part.max_tokens is not None for part in settings.parts.values())
    n_unknown = train["n_tokens"].null_count if "n_tokens" in train.column_names else train.num_rows
    if counted and n_unknown:
        raise InputError(
            f"curation.mix counts tokens, but {n_unknown} of {train.num_rows} training rows have no n_tokens; set "
            "curation.mix.unit to rows and use max_rows"
        )
    tokens = np.zeros(train.num_rows, np.int64)
    if not n_unknown and train.num_rows:
        tokens = np.asarray(train["n_tokens"].combine_chunks(), np.int64)
    of_row = np.asarray(pc.index_in(column, value_set=pa.array(names, pa.string())), np.int64)
    units = tokens if settings.unit == "tokens" else np.ones(train.num_rows, np.int64)
    ranks = hash_strings(train["id"], (_SEED_OF_STAGE + settings.seed) % 2**64)
    return _Parts(names, of_row, units, tokens, ranks)


def _within_caps(parts: _Parts, settings: MixSettings) -> npt.NDArray[np.bool_]:
    """Return which rows stand within `max_rows` and `max_tokens` of their part, in the order of their ranks."""
    within = np.ones(len(parts.of_row), np.bool_)
    for number, name in enumerate(parts.names):
        own = settings.part(name)
        rows = np.flatnonzero(parts.of_row == number)
        rows = rows[np.argsort(parts.ranks[rows], kind="stable")]
        if own.max_rows is not None:
            within[rows[own.max_rows :]] = False
        if own.max_tokens is not None:
            within[rows[np.cumsum(parts.tokens[rows]) > own.max_tokens]] = False
    return within


def _counts(parts: _Parts, within: npt.NDArray[np.bool_], quotas: Quotas) -> npt.NDArray[np.int64]:
    """Return how often each row is read so that every part fills its quota."""
    counts = np.zeros(len(parts.of_row), np.int64)
    for number, quota in enumerate(quotas.units):
        rows = np.flatnonzero((parts.of_row == number) & within)
        rows = rows[np.argsort(parts.ranks[rows], kind="stable")]
        counts[rows] = counts_for(parts.units[rows], int(quota))
    return counts


def _dropped(
    ids: pa.ChunkedArray,
    parts: _Parts,
    counts: npt.NDArray[np.int64],
    within: npt.NDArray[np.bool_],
    quotas: Quotas | None,
) -> pa.Table:
    gone = counts == 0
    over = ~within | (quotas.capped[parts.of_row] if quotas is not None else False)
    details = [
        f"{name}: {int((counts[own] > 0).sum())} of {int(own.sum())} rows are read"
        for number, name in enumerate(parts.names)
        for own in [parts.of_row == number]
    ]
    reasons = pa.array([MixReason.SAMPLED_OUT.value, MixReason.OVER_SOURCE_CAP.value])
    n = int(gone.sum())
    arrays = [ids.filter(pa.array(gone)), pa.repeat(STAGE, n), pa.repeat("dropped", n)]
    arrays += [reasons.take(pa.array((over & gone)[gone].astype(np.int64))), pa.nulls(n, pa.string())]
    arrays += [pa.nulls(n, pa.float64()), pa.array(details, pa.string()).take(pa.array(parts.of_row[gone]))]
    return pa.Table.from_arrays(arrays, schema=LEDGER)


def _report(
    parts: _Parts, counts: npt.NDArray[np.int64], quotas: Quotas | None, settings: MixSettings
) -> dict[str, Any]:
    """Return per part what it had, what was asked and what came of it.

    Raises:
        InputError: if the realised mix is not the asked one, because the rows are too few or too long.
    """
    n_parts = len(parts.names)
    read = np.bincount(parts.of_row, weights=parts.units * counts, minlength=n_parts)
    total = float(read.sum())
    realised = read / total if total else read
    asked = quotas.shares if quotas is not None else realised
    deviation = float(np.abs(realised - asked).max()) if n_parts else 0.0
    # A small data set cannot be mixed more finely than by whole rows; one that the user sized can be sized otherwise.
    by_row = 1 / total if settings.total is None and settings.unit == "rows" and total else 0.0
    if deviation > max(settings.tolerance, by_row) or ((asked > 0) & (read == 0)).any():
        worst = int(np.argmax(np.abs(realised - asked)))
        raise InputError(
            f"curation.mix: {parts.names[worst]} should be {asked[worst]:.1%} of the mix, but the nearest that "
            f"{total:.0f} {settings.unit} allow is {realised[worst]:.1%}, more than tolerance={settings.tolerance:g} "
            "away. Add rows, raise max_repeats, ask for other weights, or raise curation.mix.tolerance"
        )
    rows = [np.flatnonzero(parts.of_row == number) for number in range(n_parts)]
    found = [
        {
            "part": name,
            "n_rows": len(own),
            "n_rows_read": int((counts[own] > 0).sum()),
            "units_read": int(read[number]),
            "asked_share": round(float(asked[number]), 4),
            "realised_share": round(float(realised[number]), 4),
            "most_repeats": int(counts[own].max(initial=0)),
        }
        for number, (name, own) in enumerate(zip(parts.names, rows, strict=True))
    ]
    return {"asked": settings.model_dump(mode="json"), "parts": found, "max_deviation": round(deviation, 6)}
