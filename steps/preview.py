"""Small HTML pages about artifacts, for the dashboard: what is in a table, a model directory, a report."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import pyarrow as pa
import pyarrow.compute as pc

from steps.ledger import count_dropped, reasons
from steps.rows import LEDGER
from steps.tables import take_rows

#: Rows shown of a table; the whole of it is one click away in the artifact.
PREVIEW_ROWS = 20
PREVIEW_CHARACTERS = 600


def table_facts(table: pa.Table) -> dict[str, Any]:
    """Return the counts that stand in a table's metadata; for a ledger what was kept, dropped and why."""
    facts: dict[str, Any] = {"n_rows": table.num_rows, "columns": list(table.column_names)}
    if table.schema.equals(LEDGER):
        n_dropped = count_dropped(table)
        facts |= {"n_in": table.num_rows, "n_kept": table.num_rows - n_dropped, "n_dropped": n_dropped}
        facts["reasons"] = reasons(table)
    if "n_tokens" in table.column_names:
        facts["n_tokens"] = int(pc.sum(table["n_tokens"]).as_py() or 0)
    if "split" in table.column_names:
        facts["splits"] = {entry["values"]: entry["counts"] for entry in table["split"].value_counts().to_pylist()}
    return facts


def preview_table(table: pa.Table, content_sha256: str) -> str:
    """Render the first rows; of a ledger the reasons and the first dropped rows."""
    n, shown = table.num_rows, table.slice(0, PREVIEW_ROWS)
    if table.schema.equals(LEDGER):
        dropped = pc.indices_nonzero(pc.equal(table["decision"], "dropped"))
        n, shown = len(dropped), take_rows(table, dropped[:PREVIEW_ROWS])
    rows = [{name: _cell(value) for name, value in row.items()} for row in shown.to_pylist()]
    facts = table_facts(table)
    facts.pop("columns")
    return _page("table", facts=facts, sha=content_sha256, columns=table.column_names, rows=rows, n=n)


def preview_model(root: Path, manifest: dict[str, str]) -> str:
    """Render the files of a model directory, with its own record of how it was made."""
    record = root / "tunesmith.json"
    made = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    files = [(name, (root / name).stat().st_size, sha) for name, sha in manifest.items() if (root / name).exists()]
    return _page("model", files=files, record=json.dumps(made, indent=1, ensure_ascii=False)[:20_000])


def preview_report(report: dict[str, Any]) -> str:
    """Render a report's values as nested tables."""
    return _page("report", report=report)


def _cell(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict) and "role" in value[0]:
        text = "\n".join(f"{message['role']}: {message['content']}" for message in value)
    else:
        text = "" if value is None else str(value)
    return text if len(text) <= PREVIEW_CHARACTERS else text[:PREVIEW_CHARACTERS] + " …"


def _page(kind: str, **values: Any) -> str:
    return environment().get_template("preview.html.jinja").render(kind=kind, **values)


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return the template environment of all HTML that Tunesmith writes: everything is escaped."""
    folders = [Path(__file__).parent / "templates", Path(__file__).parents[1] / "pipelines" / "templates"]
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
