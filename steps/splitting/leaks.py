"""The leak report: what stands in more than one split although it must not. It is empty by construction."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.dedup.documents import Documents
from steps.dedup.oracle import similar_pairs
from steps.rows import SPLITS
from steps.splitting.texts import batches_of, hashed, sides_of

#: Leaks that the report shows of each kind.
SHOWN = 50
KEY_CHARACTERS = 200
#: Words of a shingle, as in deduplication (Lee et al. 2022).
SHINGLE_WORDS = 5


def leak_report(dataset: pa.Table, near_threshold: float | None = None) -> dict[str, list[dict[str, Any]]]:
    """Look at every row for groups and normalised conversations that stand in more than one split.

    Args:
        dataset: Columns `id`, `group_id`, `messages` and `split`.
        near_threshold: Jaccard similarity of word 5-grams from which two conversations are near-duplicates, as the
            deduplication before had it; all pairs are looked for, by an exact join. None does not look: where nothing
            deduplicated, pairs grow with the square of a cluster.

    Returns:
        `groups`, `texts`, and with a threshold `near_duplicates`: lists of `{key, splits, row_ids}`, the last also with
        `similarity`. All are empty when nothing leaks.
    """
    groups = pc.dictionary_encode(dataset["group_id"].combine_chunks())
    codes = _codes(groups)
    conversations = _conversations(dataset)
    _, texts = np.unique(_wholes(conversations), return_inverse=True)

    def excerpt(row: int) -> str:
        return str(conversations[row].as_py())[:KEY_CHARACTERS]

    found = {
        "groups": _across(codes, dataset, lambda row: str(dataset["group_id"][row].as_py())),
        "texts": _across(texts, dataset, excerpt),
    }
    if near_threshold is not None:
        found["near_duplicates"] = _near(dataset, near_threshold, excerpt)
    return found


def _near(dataset: pa.Table, threshold: float, name: Any) -> list[dict[str, Any]]:
    """Return the pairs of rows in different splits that are near-duplicates."""
    if not dataset.num_rows:
        return []
    pairs = similar_pairs(Documents(dataset["messages"]), threshold, SHINGLE_WORDS, "conversation")
    left, right = (dataset["split"].take(pairs[side]) for side in ("row", "other"))
    leaking = pairs.filter(pc.not_equal(left, right)).slice(0, SHOWN)
    return [
        {
            "key": name(pair["row"]),
            "splits": sorted(dataset["split"][pair[side]].as_py() for side in ("row", "other")),
            "row_ids": [dataset["id"][pair[side]].as_py() for side in ("row", "other")],
            "similarity": round(pair["similarity"], 4),
        }
        for pair in leaking.to_pylist()
    ]


def _codes(encoded: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    chunks = encoded.chunks if isinstance(encoded, pa.ChunkedArray) else [encoded]
    return np.concatenate([np.zeros(0, np.int64), *(np.asarray(chunk.indices, np.int64) for chunk in chunks)])


def _conversations(dataset: pa.Table) -> pa.Array:
    return pc.binary_join_element_wise(*sides_of(dataset), pa.scalar(" ⇒ ", pa.large_string()))


def _wholes(texts: pa.Array) -> npt.NDArray[np.uint64]:
    return np.concatenate([np.zeros(0, np.uint64), *(hashed(batch).wholes() for batch in batches_of(texts))])


def _across(keys: npt.NDArray[np.int64], dataset: pa.Table, name: Any) -> list[dict[str, Any]]:
    """Return the keys that stand in several splits, with their rows."""
    if not len(keys):
        return []
    splits = np.asarray(pc.index_in(dataset["split"], value_set=pa.array(SPLITS)).combine_chunks(), np.int64)
    seen = np.zeros((int(keys.max()) + 1, len(SPLITS)), np.bool_)
    seen[keys, splits] = True
    leaking = np.flatnonzero(seen.sum(axis=1) > 1)[:SHOWN]
    found = []
    for key in leaking:
        rows = np.flatnonzero(keys == key)
        found.append(
            {
                "key": name(int(rows[0])),
                "splits": sorted(SPLITS[split] for split in set(splits[rows].tolist())),
                "row_ids": dataset["id"].take(pa.array(rows[:SHOWN])).to_pylist(),
            }
        )
    return found
