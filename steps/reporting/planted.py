"""What a sample corpus planted, and which of it the stages caught."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from steps.errors import InputError
from steps.rows import content_id


class Drop(NamedTuple):
    """A dropped row: where, why, and for which row."""

    stage: str
    reason: str
    evidence_id: str | None


def load_planted(folder: Path) -> list[dict[str, Any]]:
    """Read what a sample corpus planted, from its `planted.json`.

    Raises:
        InputError: if the corpus has no readable manifest.
    """
    manifest = folder / "planted.json"
    try:
        planted: list[dict[str, Any]] = json.loads(manifest.read_text(encoding="utf-8"))["planted"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{manifest} is no corpus manifest ({error}); delete the folder to have it written anew"
        ) from None
    return planted


def caught(
    planted: Sequence[Mapping[str, Any]],
    ledgers: Mapping[str, pa.Table],
    tables: Iterable[pa.Table],
    prefixes: Mapping[str, str],
    test_ids: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """Count, per kind of planted thing, how many were caught where they should be.

    A duplicate counts as caught when either of the two went. A leak into a row of the test split is no leak.

    Args:
        planted: Entries of `planted.json`: `kind, path, row, stage, reason, partner`.
        ledgers: Per stage; what is to be caught at a stage without one is left out.
        tables: Documents, examples, preferences: columns `id, source, path` and perhaps `row, document_id`.
        prefixes: Source name -> what precedes its rows' `path` in the manifest (`notes` -> `notes/`).
        test_ids: Rows of the test split.

    Returns:
        One entry per kind, in order of appearance: `kind, stage, n_planted, n_caught, n_elsewhere, missed`.
    """
    places = _places(tables, prefixes)
    drops = dict(_drops(ledgers))
    summary: dict[str, dict[str, Any]] = {}
    for thing in planted:
        if thing["stage"] not in ledgers:  # a pipeline that ends before it
            continue
        entry = summary.setdefault(
            thing["kind"],
            {
                "kind": thing["kind"],
                "stage": thing["stage"],
                "n_planted": 0,
                "n_caught": 0,
                "n_elsewhere": 0,
                "missed": [],
            },
        )
        entry["n_planted"] += 1
        ids = _ids_of(thing, places, prefixes)
        found = [drops[row_id] for row_id in ids if row_id in drops]
        if any((drop.stage, drop.reason) == (thing["stage"], thing["reason"]) for drop in found):
            entry["n_caught"] += 1
        elif found or (thing["kind"] == "test_leak" and ids & test_ids):
            entry["n_elsewhere"] += 1
        else:
            entry["missed"].append(_name(thing))
    return list(summary.values())


def _places(tables: Iterable[pa.Table], prefixes: Mapping[str, str]) -> dict[tuple[str, int | None], set[str]]:
    """Return the ids of all rows by the manifest's (path, row) of the file that they came from."""
    places: dict[tuple[str, int | None], set[str]] = {}
    for table in tables:
        rows = table["row"].to_pylist() if "row" in table.column_names else [None] * table.num_rows
        origin = zip(table["source"].to_pylist(), table["path"].to_pylist(), rows, table["id"].to_pylist(), strict=True)
        for source, path, row, row_id in origin:
            places.setdefault((prefixes.get(source, "") + path, row), set()).add(row_id)
    return places


def _drops(ledgers: Mapping[str, pa.Table]) -> Iterator[tuple[str, Drop]]:
    for stage, ledger in ledgers.items():
        for row in ledger.filter(pc.equal(ledger["decision"], "dropped")).to_pylist():
            yield row["row_id"], Drop(stage, row["reason"], row["evidence_id"])


def _ids_of(
    thing: Mapping[str, Any], places: Mapping[tuple[str, int | None], set[str]], prefixes: Mapping[str, str]
) -> set[str]:
    """Return the ids of a planted thing and of what it duplicates; an unreadable file has the id of its place."""
    ids = set(places.get((thing["path"], thing["row"]), set()))
    if thing["partner"] and thing["stage"].startswith("dedup"):
        ids |= places.get((thing["partner"], None), set())
    for source, prefix in prefixes.items():
        if thing["path"].startswith(prefix):
            ids.add(content_id("unusable", source, thing["path"].removeprefix(prefix), None))
    return ids


def _name(thing: Mapping[str, Any]) -> str:
    return str(thing["path"]) if thing["row"] is None else f"{thing['path']}:{thing['row']}"
