"""The schema of every table that travels between stages, on one page.

A row keeps its `id` for life. The id hashes the row's content *and* where it came from, so that two identical
rows of two files stay two rows until deduplication says which of them goes. A table gains columns on its way:

    documents ─ synthesise ─> examples ─ filter ─ dedup ─> examples ─ judge ─> scored ─ split ─ mix ─> sft_dataset
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from steps.tables import filter_rows

MESSAGE = pa.struct([pa.field("role", pa.string(), nullable=False), pa.field("content", pa.string(), nullable=False)])
MESSAGES = pa.list_(MESSAGE)

#: From character `start` of a document's text on, what stands there came from `label`: a page, slide, cell, section.
PLACE = pa.struct([pa.field("start", pa.int64(), nullable=False), pa.field("label", pa.string(), nullable=False)])
#: How often each kind of repair was made; what they mean is said in `steps/extraction/repairs.py`.
REPAIRS = pa.struct(
    [pa.field(kind, pa.int64()) for kind in ("mojibake", "nul", "control", "bom", "not_nfc", "surrogate", "line_end")]
)

#: One extracted file. `source` is the name of the config's source, `path` is relative to it (of a Git repository with
#: `@commit` behind it).
DOCUMENTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("format", pa.string(), nullable=False),  # markdown | html | pdf | docx | code | text | …
        pa.field("title", pa.string()),
        pa.field("licence", pa.string()),  # SPDX, as the config or the file itself states it
        pa.field("language", pa.string()),  # ISO 639-1
        pa.field("offset_map", pa.list_(PLACE)),
        pa.field("repairs", REPAIRS),
    ]
)

#: One conversation. `group_id` names the document (or data set row) that it came from, merged with the groups of
#: its duplicates: rows of one group never stand on both sides of a split. `span_*` are character offsets into the
#: document's text; `row` is the zero-based row of a data set file.
EXAMPLES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("messages", MESSAGES, nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # summary | list | definition | code | … | imported
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("row", pa.int64()),
        pa.field("document_id", pa.string()),
        pa.field("group_id", pa.string(), nullable=False),
        pa.field("span_start", pa.int64()),
        pa.field("span_end", pa.int64()),
        pa.field("licence", pa.string()),
        # Of generated rows only: the chunk of the document that the model saw, the model as the endpoint named it, and
        # the prompt file with its SHA-256. `derived_from` is the row that this one rewrites, e.g. a simpler question.
        pa.field("chunk_id", pa.string()),
        pa.field("generator", pa.string()),
        pa.field("prompt_version", pa.string()),
        pa.field("prompt_sha256", pa.string()),
        pa.field("derived_from", pa.string()),
    ]
)

#: What a model reported of one call: columns that every table of calls shares. Costs are US dollars, null if unknown.
CALL = pa.schema(
    [
        pa.field("model", pa.string()),  # as the endpoint named it
        pa.field("prompt_version", pa.string()),
        pa.field("prompt_sha256", pa.string()),
        pa.field("raw", pa.string()),  # the reply, as it came
        pa.field("finish_reason", pa.string()),
        pa.field("error", pa.string()),  # `<Failed>: <message>` of `steps.llm.request`
        pa.field("attempts", pa.int32()),
        pa.field("prompt_tokens", pa.int64()),
        pa.field("completion_tokens", pa.int64()),
        pa.field("cost_usd", pa.float64()),
        pa.field("latency_s", pa.float64()),
        pa.field("cached", pa.bool_()),
    ]
)

#: One request to a generator: a kind of pair asked of a chunk, whatever came of it.
GENERATIONS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("chunk_id", pa.string(), nullable=False),
        pa.field("span_start", pa.int64(), nullable=False),
        pa.field("span_end", pa.int64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("persona", pa.string()),
        pa.field("derived_from", pa.string()),  # the row that was to be evolved
        pa.field("n_pairs", pa.int32()),  # pairs that the reply held, grounded or not
        *CALL,
    ]
)

#: One judge's say on one row, or on one pair of answers in one order.
VERDICTS = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("judge", pa.string(), nullable=False),  # its name in the config
        pa.field("fingerprint", pa.string(), nullable=False),  # model, prompt and scale: what a calibration is of
        pa.field("score", pa.float64()),  # the judge's own scale; of a pair: P(the first of `order` is better)
        pa.field("unscored_reason", pa.string()),
        pa.field("order", pa.string()),  # of a pair: `ab` as given, `ba` swapped; null: a single answer
        pa.field("criteria", pa.map_(pa.string(), pa.float64())),
        pa.field("probabilities", pa.map_(pa.string(), pa.float64())),  # of each level or choice, where known
        pa.field("rationale", pa.string()),
        pa.field("detail", pa.string()),
        *CALL,
    ]
)

#: What filtering adds: the tokens of the messages, by the base model's tokenizer, without the chat template's own.
FILTERED = pa.schema([*EXAMPLES, pa.field("n_tokens", pa.int64())])

#: What judging adds. `score` is null exactly when `unscored_reason` is not.
JUDGEMENT = pa.schema(
    [
        pa.field("score", pa.float64()),
        pa.field("unscored_reason", pa.string()),
        pa.field("rationale", pa.string()),
        pa.field("judge", pa.string()),
        pa.field("judge_version", pa.string()),
        pa.field("cost_usd", pa.float64()),
    ]
)
SCORED = pa.schema([*FILTERED, *JUDGEMENT])

SPLITS = ("train", "validation", "test")
SPLIT = pa.schema([*SCORED, pa.field("split", pa.string(), nullable=False)])

#: What mixing adds: how often a training row is read in one epoch; null reads as once.
SFT = pa.schema([*SPLIT, pa.field("repeats", pa.int32())])

#: One preference. `ranker` says who decided: `human` or `imported` for data sets, `check:<name>`, `judges:<names>` or
#: `pairwise:<name>` for samples of our own model. `example_id` is the row whose prompt was sampled. As imported, an
#: answer that was only called good (or bad) has no turn as `rejected` (or `chosen`): half a preference.
PREFERENCES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("prompt", MESSAGES, nullable=False),
        pa.field("chosen", MESSAGES, nullable=False),
        pa.field("rejected", MESSAGES, nullable=False),
        pa.field("ranker", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("row", pa.int64()),
        pa.field("example_id", pa.string()),
        pa.field("chosen_score", pa.float64()),
        pa.field("rejected_score", pa.float64()),
    ]
)

#: One decision: what a stage did with one row that it received, and why. Exactly one ledger row per input row.
LEDGER = pa.schema(
    [
        pa.field("row_id", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("decision", pa.string(), nullable=False),  # kept | dropped
        pa.field("reason", pa.string()),  # an enum of the stage; null when kept without remark
        pa.field("evidence_id", pa.string()),  # e.g. the row that this one duplicates
        pa.field("score", pa.float64()),
        pa.field("detail", pa.string()),
    ]
)


def content_id(*parts: str | int | None) -> str:
    """Return a 128-bit hexadecimal id of the parts, in order.

    >>> content_id("notes", "a.md", "text") == content_id("notes", "a.md", "text")
    True
    >>> content_id("ab", "c") == content_id("a", "bc")
    False
    """
    digest = hashlib.sha256()
    for part in parts:
        encoded = b"\xff" if part is None else str(part).encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()[:32]


def messages_id(messages: Sequence[Mapping[str, str]], *origin: str | int | None) -> str:
    """Return the id of a conversation that came from `origin` (source, path, row or span)."""
    return content_id(*origin, *(part for message in messages for part in (message["role"], message["content"])))


def table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Build a table of exactly `schema`'s columns; missing keys become null, a null in a required column raises.

    Raises:
        ValueError: if a required value is missing.
    """
    built = pa.Table.from_pylist(list(rows), schema=schema)
    built.validate()
    for field in schema:
        if not field.nullable and built.column(field.name).null_count:
            raise ValueError(
                f"column {field.name!r} is required, yet {built.column(field.name).null_count} rows lack it"
            )
    return built


def prompt_and_answer(messages: Sequence[Mapping[str, str]]) -> tuple[list[dict[str, str]], str]:
    """Split a conversation into all that precedes the last assistant turn, and that turn's text.

    Raises:
        ValueError: if the conversation does not end with an assistant turn.
    """
    if not messages or messages[-1]["role"] != "assistant":
        raise ValueError("the conversation does not end with an assistant turn")
    return [dict(message) for message in messages[:-1]], messages[-1]["content"]


def rows_of_split(dataset: pa.Table, split: str) -> pa.Table:
    """Return the rows of one split (`train`, `validation` or `test`)."""
    return filter_rows(dataset, pc.equal(dataset["split"], split))


def repeats_of(rows: pa.Table) -> list[int]:
    """Return how often each row is read in an epoch: once, unless mixing said otherwise."""
    if "repeats" not in rows.column_names:
        return [1] * rows.num_rows
    repeats: list[int] = pc.fill_null(rows["repeats"], 1).to_pylist()
    return repeats
