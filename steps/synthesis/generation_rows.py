"""What generation writes down: rows, calls, and the decisions of both of its stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steps.llm.request import Reply
from steps.rows import content_id, messages_id
from steps.synthesis.grounding import STAGE as GROUND
from steps.synthesis.grounding import Finding
from steps.synthesis.plan import Unit
from steps.synthesis.prompts import LoadedPrompt
from steps.synthesis.replies import Messages, Read

STAGE = "generate"


def revision_of(unit: Unit, row: Mapping[str, Any], finding: Finding) -> Iterator[Unit]:
    """Yield the request to correct an answer, where it is known what lacks support."""
    if finding.unsupported:
        yield unit._replace(
            id=content_id("revise", row["id"]),
            kind=f"{row['kind']}+revise",
            prompt_kind="revise",
            n_pairs=1,
            persona=None,
            examples=(),
            operation=None,
            parent=row,
            claims=finding.unsupported,
        )


def example_of(unit: Unit, messages: Messages, at: int, reply: Reply, loaded: LoadedPrompt) -> dict[str, Any]:
    """Return a row of schema `EXAMPLES`; its origin is that of the unit, whatever the reply said."""
    return {
        "id": messages_id(messages, unit.id, at),
        "messages": messages,
        "kind": unit.kind,
        "source": unit.origin.source,
        "path": unit.origin.path,
        "document_id": unit.origin.document_id,
        "group_id": unit.origin.document_id,
        "span_start": unit.chunk.start,
        "span_end": unit.chunk.end,
        "licence": unit.origin.licence,
        "chunk_id": unit.chunk.id,
        "generator": reply.model,
        "prompt_version": loaded.prompt.name,
        "prompt_sha256": loaded.sha256,
        "derived_from": unit.parent["id"] if unit.parent else None,
    }


def call_of(unit: Unit, reply: Reply, loaded: LoadedPrompt, n_held: int) -> dict[str, Any]:
    """Return a row of schema `GENERATIONS`."""
    return {
        "id": unit.id,
        "document_id": unit.origin.document_id,
        "chunk_id": unit.chunk.id,
        "span_start": unit.chunk.start,
        "span_end": unit.chunk.end,
        "kind": unit.kind,
        "persona": unit.persona,
        "derived_from": unit.parent["id"] if unit.parent else None,
        "n_pairs": n_held,
        "prompt_version": loaded.prompt.name,
        "prompt_sha256": loaded.sha256,
        **reply.call,
    }


def decision_of(unit: Unit, read: Read) -> dict[str, Any]:
    """Write the ledger row of one request; the evidence is the row that was to be rewritten, or else the chunk."""
    evidence = unit.parent["id"] if unit.parent else unit.chunk.id
    if read.drop is not None:
        said = "; ".join(part for part in (unit.kind, unit.origin.path, read.detail) if part)
        decision, reason = "dropped", read.drop.value
    else:
        refused = f"; refused: {read.detail}" if read.detail else ""
        said = f"{unit.kind}: {len(read.pairs)} of {unit.n_pairs} pairs{refused}"
        decision, reason = "kept", None
    return {
        "row_id": unit.id,
        "stage": STAGE,
        "decision": decision,
        "reason": reason,
        "evidence_id": evidence,
        "detail": said,
    }


def grounding_of(unit: Unit, row: Mapping[str, Any], finding: Finding) -> dict[str, Any]:
    """Write the ledger row of one pair; the evidence is its chunk."""
    return {
        "row_id": row["id"],
        "stage": GROUND,
        "decision": "kept" if finding.drop is None else "dropped",
        "reason": finding.drop.value if finding.drop else None,
        "evidence_id": unit.chunk.id,
        "score": finding.score,
        "detail": finding.detail,
    }
