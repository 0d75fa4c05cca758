"""Synthesis: documents to grounded instruction pairs, without any model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from itertools import zip_longest
from typing import Any, Literal, NamedTuple

import pyarrow as pa
from pydantic import Field, model_validator

from steps.judging.defect_score import BUNDLED_EMBEDDER
from steps.ledger import StageResult, check_books, check_drop_fraction
from steps.progress import progress
from steps.rows import EXAMPLES, LEDGER, messages_id, table
from steps.settings import Settings
from steps.synthesis.code_blocks import code_pairs
from steps.synthesis.definitions import definition_pairs
from steps.synthesis.generation_settings import GenerationSettings
from steps.synthesis.lists import list_pairs
from steps.synthesis.pairs import Document, Pair
from steps.synthesis.passages import section_pairs
from steps.synthesis.summaries import summary_pairs
from steps.tables import Spill, batches_of

STAGE = "synthesise"
Kind = Literal["summary", "definition", "code", "list", "section"]

#: What finds pairs of each kind. They yield in the order of the document.
FINDERS: Mapping[Kind, Callable[[Document], Iterator[Pair]]] = {
    "summary": summary_pairs,
    "definition": definition_pairs,
    "code": code_pairs,
    "list": list_pairs,
    "section": section_pairs,
}


#: Documents that are in memory as Python objects at once, with their pairs.
BATCH_DOCUMENTS = 256


class SynthesiseDrop(StrEnum):
    """Why nothing was made of a document."""

    NO_USABLE_STRUCTURE = "no_usable_structure"
    CONTEXT_TOO_LONG = "context_too_long"


class SpreadSettings(Settings):
    """How the spread of the instructions is measured: by the distances of their embeddings."""

    embedder: str = BUNDLED_EMBEDDER
    """The bundled MiniLM, a local folder or a Hub id of a sentence-transformers model."""
    max_length_tokens: int = Field(default=128, ge=8)
    """Tokens of an instruction that are read."""
    max_rows: int = Field(default=2_000, ge=2)
    """Rows that are compared; more are sampled. 2,000 instructions of ten words took 14 s of CPU time."""


class SynthesisSettings(Settings):
    """Which pairs are made, and how many."""

    kinds: tuple[Kind, ...] = ("summary", "definition", "code", "list", "section")
    """Kinds of pairs that the structure of the documents gives, in the order in which a document's share is filled.
    None at all is for `generate` alone."""
    generate: GenerationSettings | None = None
    """Pairs that a language model writes from the documents, besides those of their structure; none asks no model."""
    spread: SpreadSettings | None = None
    """Whether the report measures how far apart the instructions are; none spares the time."""
    max_pairs_per_document: int = Field(default=8, ge=1)
    """Pairs of one document at most, taken in turn from each kind, so that long documents do not dominate."""
    with_context: bool = False
    """Whether the prompt of definitions, code, lists and sections holds the document too, cut to the section that
    holds the answer where it is too long. A summary's prompt always holds what it summarises."""
    max_context_characters: int = Field(default=12_000, ge=200)
    """Document text in a prompt, in characters: about 3,000 tokens. A longer text is not summarised, because a
    summary of a part would not be grounded; the ledger counts these."""
    seed: int = Field(default=7, ge=0)
    """Seed of the choice among phrasings."""
    max_drop_fraction: float = Field(default=0.9, ge=0, le=1)
    """Share of documents without any pair above which the run stops."""

    @model_validator(mode="after")
    def _makes_something(self) -> SynthesisSettings:
        if not self.kinds and self.generate is None:
            raise ValueError("kinds=[] makes no pairs; name some kinds, or set generate")
        return self


class _Made(NamedTuple):
    pairs: list[Pair]
    n_found: int
    n_too_long: int


def synthesise(documents: pa.Table, settings: SynthesisSettings) -> StageResult:
    """Make pairs of documents.

    Args:
        documents: Schema `DOCUMENTS`.
        settings: Kinds and limits.

    Returns:
        Examples (schema `EXAMPLES`), and one ledger row per document; the detail of a kept one counts its pairs.

    Raises:
        DropLimitError: if more than `max_drop_fraction` of the documents give no pair.
    """
    kept, books = Spill(EXAMPLES), Spill(LEDGER)
    n_used = 0
    with progress(STAGE, documents.num_rows) as bar:
        for batch in batches_of(documents, BATCH_DOCUMENTS):
            rows = batch.to_pylist()
            found = [_make(row, settings) for row in rows]
            examples = [_example(row, pair) for row, made in zip(rows, found, strict=True) for pair in made.pairs]
            kept.append(table(examples, EXAMPLES))
            decisions = [_decision(row, made) for row, made in zip(rows, found, strict=True)]
            books.append(pa.Table.from_pylist(decisions, schema=LEDGER))
            n_used += sum(bool(made.pairs) for made in found)
            bar.advance(len(rows))
    ledger = books.table()
    check_books(STAGE, documents.num_rows, n_used, ledger)
    check_drop_fraction(ledger, settings.max_drop_fraction)
    return StageResult(kept.table(), ledger)


def _make(row: Mapping[str, Any], settings: SynthesisSettings) -> _Made:
    """Find the pairs of a document and choose among them."""
    document = Document(row["text"], row["title"], row["format"], settings.seed)
    by_kind = {kind: list(FINDERS[kind](document)) for kind in settings.kinds}
    summaries = by_kind.get("summary", [])
    short = [pair for pair in summaries if len(pair.prompt) <= settings.max_context_characters]
    if summaries:
        by_kind["summary"] = short
    in_turn = [pair for round_ in zip_longest(*by_kind.values()) for pair in round_ if pair is not None]
    chosen: dict[str, Pair] = {}
    for pair in in_turn:
        if len(chosen) < settings.max_pairs_per_document:
            chosen.setdefault(pair.prompt, pair)
    pairs = [_with_context(document, pair, settings) for pair in chosen.values()]
    return _Made(pairs, len(in_turn), len(summaries) - len(short))


def _with_context(document: Document, pair: Pair, settings: SynthesisSettings) -> Pair:
    """Put the document, or the section that holds the answer, behind the question."""
    if not settings.with_context or pair.kind == "summary":
        return pair
    context = document.text
    if len(context) > settings.max_context_characters:
        around = next(s for s in document.sections if s.start <= pair.start < max(s.end, s.start + 1))
        context = document.text[around.start : around.end]
    if len(context) > settings.max_context_characters:
        context = document.text[pair.start : pair.end]
    return pair._replace(prompt=f"{pair.prompt}\n\n{context}")


def _example(row: Mapping[str, Any], pair: Pair) -> dict[str, Any]:
    messages = [{"role": "user", "content": pair.prompt}, {"role": "assistant", "content": pair.answer}]
    return {
        "id": messages_id(messages, row["id"], pair.kind, pair.start, pair.end),
        "messages": messages,
        "kind": pair.kind,
        "source": row["source"],
        "path": row["path"],
        "document_id": row["id"],
        "group_id": row["id"],
        "span_start": pair.start,
        "span_end": pair.end,
        "licence": row["licence"],
    }


def _decision(row: Mapping[str, Any], made: _Made) -> dict[str, Any]:
    left_out = f"{made.n_too_long} summaries of too long a text left out" if made.n_too_long else ""
    if made.pairs:
        of = f" of {made.n_found} found" if made.n_found > len(made.pairs) else ""
        said = f"{len(made.pairs)} pair{'s' if len(made.pairs) > 1 else ''}{of}"
        decision, reason = "kept", None
    else:
        said, decision = row["path"], "dropped"
        reason = SynthesiseDrop.CONTEXT_TOO_LONG if made.n_too_long else SynthesiseDrop.NO_USABLE_STRUCTURE
    detail = "; ".join(part for part in (said, left_out) if part)
    return {"row_id": row["id"], "stage": STAGE, "decision": decision, "reason": reason, "detail": detail}
