"""A row's life: its source, every stage's decision with evidence, the data set and the models it went into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.side_by_side import beside, difference, spoken
from pipelines.versions import find_version
from steps.errors import InputError

if TYPE_CHECKING:
    from zenml.models import ModelVersionResponse

#: Ledgers in the order in which the stages decide.
LEDGERS = (
    "extract",
    "synthesise",
    "generate",
    "ground",
    "filter",
    "dedup_exact",
    "dedup_minhash",
    "dedup_semantic",
    "judge",
    "split",
    "decontaminate",
    "mix",
    "preferences",
)


def trace_row(row_id: str, name: str | None) -> dict[str, Any]:
    """Look a row or document up in the newest curated version of a model (of every model when `name` is None).

    Args:
        row_id: Its id, or a prefix that no other id has.
        name: Model name.

    Raises:
        InputError: if no version knows it, or the prefix fits several rows.
    """
    for version in _versions(name):
        found = _trace_in(version, row_id)
        if found is not None:
            return found
    where = f"model {name}" if name else "any model's latest version"
    raise InputError(f"no document or row with id {row_id!r} in {where}; ids stand in the ledgers and in report.html")


def _versions(name: str | None) -> list[ModelVersionResponse]:
    from zenml.client import Client

    client = Client()
    names = [name] if name else [model.name for model in client.list_models(size=200).items]
    return [find_version(each, "latest", ("sft_dataset",)) for each in names]


def _trace_in(version: ModelVersionResponse, row_id: str) -> dict[str, Any] | None:
    tables = {name: _load(version, name) for name in ("documents", "examples", "imported_preferences")}
    ledgers = {stage: _load(version, f"{stage}_ledger") for stage in LEDGERS}
    known = [table["id"] for table in tables.values() if table is not None]
    known += [ledger["row_id"] for ledger in ledgers.values() if ledger is not None]
    ids = {each for column in known for each in column.filter(pc.starts_with(column, row_id)).to_pylist()}
    if not ids:
        return None
    if len(ids) > 1:
        raise InputError(
            f"{row_id!r} is the beginning of {len(ids)} ids, e.g. {', '.join(sorted(ids)[:3])}; give more of it"
        )
    full_id = ids.pop()
    decisions = [row for ledger in ledgers.values() if ledger is not None for row in _where(ledger, "row_id", full_id)]
    row = next(
        (found[0] for table in tables.values() if table is not None and (found := _where(table, "id", full_id))), None
    )
    if row is None and not decisions:
        return None
    derived = tables["examples"]
    children = [child["id"] for child in _where(derived, "document_id", full_id)] if derived is not None else []
    _show_pairs(decisions, row, tables["examples"])
    trained = _load(version, "sft_dataset")
    in_dataset = _where(trained, "id", full_id) if trained is not None else []
    return {
        "id": full_id,
        "model": version.model.name,
        "version": version.name,
        "stage": version.stage or "none",
        "row": row,
        "decisions": decisions,
        "derived_rows": children,
        "sft_dataset_split": in_dataset[0]["split"] if in_dataset else None,
    }


def _show_pairs(decisions: list[dict[str, Any]], row: dict[str, Any] | None, examples: pa.Table | None) -> None:
    """Add to each decision that calls the row a duplicate where the two texts part, as `pair`."""
    for decision in decisions:
        if row is None or examples is None or not decision["stage"].startswith("dedup"):
            continue
        other = _where(examples, "id", decision["evidence_id"] or "")
        if other:
            decision["pair"] = difference(spoken(row["messages"]), spoken(other[0]["messages"]))


def _load(version: ModelVersionResponse, name: str) -> pa.Table | None:
    artifact = version.get_artifact(name)
    return artifact.load() if artifact is not None else None


def _where(table: pa.Table, column: str, value: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.filter(pc.equal(table[column], value)).to_pylist()
    return rows


def show(found: dict[str, Any]) -> str:
    """Render a trace for the terminal."""
    lines = [f"{found['id']}   model {found['model']} {found['version']} (stage: {found['stage']})"]
    row = found["row"]
    if row is not None:
        place = row["path"] if row.get("row") is None else f"{row['path']} row {row['row']}"
        span = f", characters {row['span_start']}–{row['span_end']}" if row.get("span_start") is not None else ""
        lines.append(f"  from {row['source']}: {place}{span}")
        if row.get("document_id"):
            lines.append(f"  document {row['document_id']}")
        if row.get("generator"):
            prompt = f"{row['prompt_version']} ({row['prompt_sha256'][:12]})"
            lines.append(f"  generated by {row['generator']} with {prompt} from chunk {row['chunk_id']}")
        if row.get("derived_from"):
            lines.append(f"  rewritten from row {row['derived_from']}")
    for decision in found["decisions"]:
        evidence = f" → {decision['evidence_id']}" if decision["evidence_id"] else ""
        score = f" ({decision['score']:.3f})" if decision["score"] is not None else ""
        said = " ".join(part for part in (decision["reason"], decision["detail"]) if part)
        lines.append(f"  {decision['stage']:16s} {decision['decision']:8s} {said}{score}{evidence}")
        lines += beside(decision["pair"]) if decision.get("pair") else []
    lines += [f"  derived row {child}" for child in found["derived_rows"]]
    if found["sft_dataset_split"]:
        lines.append(f"  in sft_dataset, split {found['sft_dataset_split']}")
    return "\n".join(lines)
