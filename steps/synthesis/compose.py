"""Documents to examples: what their structure gives, and what a model writes from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from steps.ledger import check_drop_fraction
from steps.mixing.guidance import TaskType
from steps.rows import GENERATIONS, LEDGER, table
from steps.synthesis.generate import Complete, Generated, generate
from steps.synthesis.pieces import CountTokens
from steps.synthesis.report import report_on
from steps.synthesis.synthesise import SynthesisSettings, synthesise


class Composed(NamedTuple):
    """Everything that synthesis gives."""

    examples: pa.Table
    """Schema `EXAMPLES`: those of the structure first, then the generated ones."""
    synthesise_ledger: pa.Table
    """One row for each document."""
    generations: pa.Table
    """Schema `GENERATIONS`, requests to the grounding judge (kind `ground`) behind those to the generator."""
    generate_ledger: pa.Table
    ground_ledger: pa.Table
    report: dict[str, Any]


def compose(
    documents: pa.Table,
    settings: SynthesisSettings,
    count_tokens: CountTokens | None = None,
    complete: Complete | None = None,
    judge: Complete | None = None,
    task: TaskType | None = None,
    n_parameters: int | None = None,
) -> Composed:
    """Make examples of the documents.

    A document counts as used if it gave a pair either way.

    Args:
        documents: Schema `DOCUMENTS`.
        settings: Kinds and limits; `generate` None asks no model.
        count_tokens: Counts tokens as the base model does; needed where `generate` is set.
        complete: Answers the generator's requests in the place of its client.
        judge: Answers the grounding judge's requests in the place of its client.
        task: What the model shall learn, for the guidance on quantity; None guesses it from the kinds.
        n_parameters: Of the base model, for the same.

    Raises:
        DropLimitError: if a stage dropped more than its settings allow.
        EndpointError: if the model cannot be asked.
    """
    if settings.generate is None or count_tokens is None:
        result = synthesise(documents, settings)
        report = report_on(documents, result.kept, None, settings, task, n_parameters)
        nothing = table([], LEDGER)
        return Composed(result.kept, result.ledger, table([], GENERATIONS), nothing, nothing, report)
    found = synthesise(documents, settings.model_copy(update={"max_drop_fraction": 1.0}))
    made = generate(documents, settings.generate, count_tokens, complete, judge)
    ledger = _with_generated(found.ledger, made)
    check_drop_fraction(ledger, settings.max_drop_fraction)
    examples = pa.concat_tables([found.kept, made.examples])
    generations = pa.concat_tables([made.generations, made.judgements])
    report = report_on(documents, examples, made, settings, task, n_parameters)
    return Composed(examples, ledger, generations, made.generate_ledger, made.ground_ledger, report)


def _with_generated(ledger: pa.Table, made: Generated) -> pa.Table:
    """Return the ledger of the documents with what generation made of each."""
    counts = Counter(made.examples["document_id"].to_pylist())
    rows = [_said(row, counts[row["row_id"]], made.chunks[row["row_id"]]) for row in ledger.to_pylist()]
    return table(rows, LEDGER)


def _said(row: dict[str, Any], n_generated: int, chunks: Mapping[str, int]) -> dict[str, Any]:
    said = f"{n_generated} generated from {chunks['n_asked_chunks']} of {chunks['n_chunks']} chunks"
    notes = [
        f"{chunks['n_cut_blocks']} blocks longer than a chunk were cut" if chunks["n_cut_blocks"] else "",
        f"{chunks['n_too_short']} chunks too short to ask about" if chunks["n_too_short"] else "",
    ]
    kept = {"decision": "kept", "reason": None} if n_generated else {}
    found = "no pair found in its structure" if row["decision"] == "dropped" and n_generated else row["detail"]
    return {**row, **kept, "detail": "; ".join(part for part in (found, said, *notes) if part)}
