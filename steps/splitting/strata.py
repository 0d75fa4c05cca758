"""Groups with their positions and strata: quotas that are filled in the order of the positions, and realised shares."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.rows import SPLITS
from steps.splitting.earlier import UNKNOWN, origins_of

Ints = npt.NDArray[np.int64]

#: Added to the run's seed, so that the hashes of other stages with the same seed are others.
_SEED_OF_STAGE = 0x73706C6974  # "split"


class Groups(NamedTuple):
    """The split groups of a table.

    Attributes:
        ids: Id of each group.
        of_row: Group of each row.
        sizes: Rows of each group.
        positions: Shape (groups,), float64 in [0, 1); the lowest of the group's documents.
        strata: Stratum of each group: the one that most of its rows have.
        stratum_of_row: Stratum of each row.
        names: Source and kind of each stratum, sorted.
    """

    ids: pa.Array
    of_row: Ints
    sizes: Ints
    positions: npt.NDArray[np.float64]
    strata: Ints
    stratum_of_row: Ints
    names: list[tuple[str, str]]

    @property
    def n(self) -> int:
        """Number of groups."""
        return len(self.sizes)


def groups_of(rows: pa.Table, seed: int) -> Groups:
    """Return the groups of a table with columns `id`, `group_id`, `document_id`, `source` and `kind`."""
    from steps.kernels.hashing import hash_strings

    ids, of_row = _encoded(rows["group_id"])
    origins, origin_of_row = _encoded(origins_of(rows))
    positions = np.ones(len(ids))
    hashes = hash_strings(origins, (_SEED_OF_STAGE + seed) % 2**64)
    # The top 53 bits: a float64 holds no more, and rounding up to 1 would leave every split.
    np.minimum.at(positions, of_row, ((hashes >> np.uint64(11)) / 2**53)[origin_of_row])
    sources, source_of_row = _encoded(rows["source"])
    kinds, kind_of_row = _encoded(rows["kind"])
    pairs = source_of_row * len(kinds) + kind_of_row
    present, pair_of_row = np.unique(pairs, return_inverse=True)
    names = [(sources[int(p) // len(kinds)].as_py(), kinds[int(p) % len(kinds)].as_py()) for p in present]
    order = sorted(range(len(names)), key=names.__getitem__)
    stratum_of_row = np.argsort(np.array(order, np.int64))[pair_of_row] if names else pair_of_row
    sizes = np.bincount(of_row, minlength=len(ids)).astype(np.int64)
    strata = _main_strata(of_row, stratum_of_row, len(ids), len(names))
    return Groups(ids, of_row, sizes, positions, strata, stratum_of_row, [names[i] for i in order])


def _encoded(column: pa.ChunkedArray) -> tuple[pa.Array, Ints]:
    """Return the distinct values in their first order, and the place of each row's."""
    encoded = pc.dictionary_encode(column.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        return pa.array([], pa.string()), np.zeros(0, np.int64)
    return encoded.dictionary, np.asarray(encoded.indices, np.int64)


def _main_strata(of_row: Ints, stratum_of_row: Ints, n_groups: int, n_strata: int) -> Ints:
    """Return the stratum that most rows of each group have; of equal ones the first."""
    pairs, counts = np.unique(of_row * max(n_strata, 1) + stratum_of_row, return_counts=True)
    groups, strata = np.divmod(pairs, max(n_strata, 1))
    order = np.lexsort((strata, -counts, groups))
    _, first = np.unique(groups[order], return_index=True)
    return strata[order][first] if n_groups else np.zeros(0, np.int64)


def quota_splits(groups: Groups, fixed: npt.NDArray[np.int8], fractions: Mapping[str, float]) -> npt.NDArray[np.int8]:
    """Fill the quota of every stratum, in the order of the positions; what is fixed counts first.

    A group goes to a split when its middle row still belongs there, so that a quota is missed by half a group at most.
    A group of more than twice the quota of either held-out split is trained on.

    Args:
        groups: The groups.
        fixed: Split of each group as a position in `SPLITS`, or `UNKNOWN`.
        fractions: Asked share of each split.
    """
    rows = np.bincount(groups.strata, weights=groups.sizes, minlength=len(groups.names)).astype(np.float64)
    quotas = {name: largest_remainder(rows * fractions[name]) for name in ("test", "validation")}
    splits = np.where(fixed == UNKNOWN, SPLITS.index("train"), fixed).astype(np.int8)
    fits = groups.sizes <= 2 * np.maximum(*quotas.values())[groups.strata]
    order = np.lexsort((groups.positions, groups.strata))
    order = order[(fixed[order] == UNKNOWN) & fits[order]]
    strata, sizes = groups.strata[order], groups.sizes[order]
    ends = np.cumsum(sizes)
    free = np.bincount(strata, weights=sizes, minlength=len(rows))
    before = np.concatenate([[0.0], np.cumsum(free)[:-1]]) if len(free) else free
    middles = ends - sizes / 2 - before[strata]
    edge = np.zeros(len(rows))
    undecided = np.ones(len(order), np.bool_)
    for name, quota in quotas.items():
        held = groups.sizes * (fixed == SPLITS.index(name))
        taken = np.bincount(groups.strata, weights=held, minlength=len(rows))
        edge += np.maximum(quota - taken, 0)
        chosen = undecided & (middles < edge[strata])
        splits[order[chosen]] = SPLITS.index(name)
        undecided &= ~chosen
    return splits


def largest_remainder(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round to whole numbers whose sum is the rounded sum: the largest fractions are rounded up.

    >>> largest_remainder(np.array([0.3, 0.3, 0.4])).tolist()
    [0.0, 0.0, 1.0]
    """
    floors = np.floor(shares)
    short = round(float(shares.sum())) - int(floors.sum())
    up = np.argsort(floors - shares, kind="stable")[: max(short, 0)]
    floors[up] += 1
    return floors


def strata_report(
    groups: Groups, splits: npt.NDArray[np.int8], fractions: Mapping[str, float], max_deviation: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the share of each split in each source and kind, and alarms where it is not what was asked.

    An alarm is raised beyond `max_deviation` and three standard deviations of the chance with which groups of these
    sizes fall, or where a source and kind of which a held-out split should have three rows has none in it.
    """
    n_strata = len(groups.names)
    counts = np.bincount(groups.stratum_of_row * len(SPLITS) + splits, minlength=n_strata * len(SPLITS))
    counts = counts.reshape(n_strata, len(SPLITS))
    pairs, sizes = np.unique(groups.of_row * max(n_strata, 1) + groups.stratum_of_row, return_counts=True)
    squares = np.bincount(pairs % max(n_strata, 1), weights=sizes.astype(float) ** 2, minlength=n_strata)
    found, alarms = [], []
    for (source, kind), row, square in zip(groups.names, counts, squares, strict=True):
        n = int(row.sum())
        shares = {name: round(float(row[i] / n), 4) for i, name in enumerate(SPLITS)}
        found.append({"source": source, "kind": kind, "n_rows": n, **{f"{s}_share": shares[s] for s in SPLITS}})
        for name in ("validation", "test"):
            asked = fractions[name]
            chance = 3 * float(np.sqrt(asked * (1 - asked) * square)) / n
            if abs(shares[name] - asked) > max_deviation + chance:
                said = f"{shares[name]:.1%} of its {n} rows stand in {name}, {asked:.1%} were asked"
                alarms.append(f"{source}/{kind}: {said}")
            elif row[SPLITS.index(name)] == 0 and asked * n >= 3:
                alarms.append(f"{source}/{kind}: none of its {n} rows stands in {name}, {asked * n:.0f} were expected")
    return found, alarms
