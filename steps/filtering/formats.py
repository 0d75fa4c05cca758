"""Answers that claim a format must hold to it: code parses, JSON keeps its schema, fences close, tables line up."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from steps.filtering.batch import Batch, Outcome
from steps.filtering.candidates import Candidate, chosen_turns, first_failures
from steps.filtering.code_syntax import ALIASES, Language, syntax_error
from steps.filtering.markdown_blocks import DELIMITER_ROW, Block, fenced_blocks, table_defect, without_fences
from steps.filtering.row import Failure, FilterReason
from steps.settings import Settings

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

REASONS = {"json": FilterReason.INVALID_JSON, "python": FilterReason.INVALID_PYTHON}


class FormatSettings(Settings):
    """Which claims are checked."""

    languages: tuple[Language, ...] = ("json", "python", "javascript", "typescript", "java", "go", "rust", "c", "cpp")
    """Languages whose fenced blocks must parse; empty for none. Shell is left out: of the `bash` blocks of technical
    documents that do not parse, nearly all are what a command printed. Of the blocks of the other languages, 3 %
    fail there, and most of those read were wrong or labelled wrongly."""

    allow_fragments: bool = True
    """Accept code that leaves something out on purpose: `...`, `<your-name>`, comments in JSON, members without the
    braces around them, a head without a body. Switch it off where a model is to learn to write whole files."""

    max_error_fraction: float = Field(0.0, ge=0, le=1)
    """Bytes of a block that may not fit into the grammar of its language, of all its bytes. JSON and Python, whose
    parsers say yes or no, know no such share."""

    json_schema: dict[str, Any] | None = None
    """JSON Schema that every block of JSON must satisfy; it must hold all that it refers to."""

    check_fences: bool = True
    """Whether every opened code fence must be closed."""

    check_tables: bool = False
    """Whether the rows of a table must have no more cells than its header. Off: readers still understand such."""

    code_kind_language: Language | None = None
    """Language that an answer of kind `code` without any fence must parse as. None, because the code of documents
    is in many languages and says so only in its fence. It must be among `languages`."""

    @model_validator(mode="after")
    def _is_checked(self) -> Self:
        if self.code_kind_language is not None and self.code_kind_language not in self.languages:
            raise ValueError(f"code_kind_language={self.code_kind_language!r} is not among languages={self.languages}")
        if self.json_schema is not None:
            _check_schema(self.json_schema)
        return self


def broken_formats(batch: Batch, settings: FormatSettings) -> Outcome:
    """Fail the rows with an assistant turn that breaks a claim; only turns with a fence or a table are read."""
    has_fence = pc.or_(
        pc.match_substring(batch.contents, pattern="```"), pc.match_substring(batch.contents, pattern="~~~")
    )
    chosen = np.asarray(has_fence, np.bool_)
    if settings.code_kind_language is not None:
        is_code = np.asarray(pc.equal(batch.kinds, "code"), np.bool_)
        chosen = chosen | is_code[batch.turn_rows]
    if settings.check_tables:
        chosen = chosen | np.asarray(pc.match_substring_regex(batch.contents, pattern=DELIMITER_ROW), np.bool_)
    kinds = batch.kinds
    validator = None if settings.json_schema is None else _validator(json.dumps(settings.json_schema))

    def defect(candidate: Candidate) -> Failure | None:
        found = _first_defect(candidate.text, kinds[candidate.row].as_py(), settings, validator)
        return Failure(candidate.row, found[0], None, found[1]) if found else None

    return Outcome(first_failures(chosen_turns(batch, pa.array(chosen), answers_only=True), defect))


def _first_defect(
    answer: str, kind: str, settings: FormatSettings, validator: Validator | None
) -> tuple[FilterReason, str] | None:
    blocks = fenced_blocks(answer)
    if settings.check_fences and any(not block.closed for block in blocks):
        return FilterReason.UNCLOSED_CODE_FENCE, f"block {len(blocks)} never closes"
    if not blocks and kind == "code" and settings.code_kind_language is not None:
        blocks = [Block(settings.code_kind_language, answer, closed=True)]
    for number, block in enumerate(blocks, start=1):
        found = _block_defect(block, settings, validator)
        if found:
            return found[0], f"block {number}: {found[1]}"
    if settings.check_tables and "|" in answer:
        table = table_defect(without_fences(answer))
        if table:
            return FilterReason.MALFORMED_TABLE, table
    return None


def _block_defect(
    block: Block, settings: FormatSettings, validator: Validator | None
) -> tuple[FilterReason, str] | None:
    language = ALIASES.get(block.language)
    if language is None or language not in settings.languages:
        return None
    error = syntax_error(
        language,
        block.content,
        fragments=settings.allow_fragments,
        max_error_fraction=settings.max_error_fraction,
    )
    if error:
        reason = REASONS.get(language, FilterReason.INVALID_CODE)
        return reason, error if language in REASONS else f"{language}: {error}"
    if language == "json" and validator is not None:
        error = _schema_error(block.content, validator)
        if error:
            return FilterReason.JSON_BREAKS_SCHEMA, error
    return None


def _schema_error(text: str, validator: Validator) -> str | None:
    try:
        value = json.loads(text)
    except ValueError:
        return "a fragment satisfies no schema"
    errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path)))
    return f"{errors[0].json_path}: {errors[0].message[:160]}" if errors else None


def _check_schema(schema: dict[str, Any]) -> None:
    from jsonschema import SchemaError
    from jsonschema.validators import validator_for

    try:
        validator_for(schema).check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"json_schema is no JSON Schema: {error.json_path}: {error.message}") from error
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise ValueError(f"json_schema refers to {reference!r}, which it does not hold; copy it into $defs")


def _references(schema: Any) -> list[str]:
    """Return the values of every `$ref` in a schema."""
    if isinstance(schema, dict):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [found for value in schema.values() for found in _references(value)]
    if isinstance(schema, list):
        return [found for value in schema for found in _references(value)]
    return []


@cache
def _validator(schema: str) -> Validator:
    from jsonschema.validators import validator_for

    loaded = json.loads(schema)
    validator: Validator = validator_for(loaded)(loaded)
    return validator
