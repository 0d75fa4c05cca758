"""Rule filters over a table of examples: the first rule that a row fails names the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pydantic import Field

from steps.filtering.formats import FormatSettings, broken_formats
from steps.filtering.keywords import KeywordSettings, excluded_keywords
from steps.filtering.length import LengthSettings, TokenCounter, out_of_bounds
from steps.filtering.refusals import RefusalSettings, refused
from steps.filtering.repetition import RepetitionSettings, repetitive
from steps.filtering.row import Failure, Row, rows_of
from steps.filtering.turns import TurnSettings, broken_turns
from steps.ledger import Drops, StageResult, settle
from steps.settings import Settings

STAGE = "filter"


class FilteringSettings(Settings):
    """The rule families, in the order in which they are applied; `null` switches one off."""

    turns: TurnSettings | None = TurnSettings()
    """Roles alternate, and no turn is empty."""

    length: LengthSettings | None = LengthSettings()
    """Words, characters and tokens of prompt and answer."""

    formats: FormatSettings | None = FormatSettings()
    """Blocks that claim a format parse; code fences close."""

    refusals: RefusalSettings | None = RefusalSettings()
    """Refusals and the boilerplate of AI assistants."""

    keywords: KeywordSettings | None = None
    """Phrases that exclude a row; off until there is a list."""

    repetition: RepetitionSettings | None = RepetitionSettings()
    """Lines, paragraphs and n-grams that repeat."""

    max_drop_fraction: float = Field(0.5, ge=0, le=1)
    """Share of rows above which the run stops."""

    @property
    def needs_tokens(self) -> bool:
        """Whether the base model's tokenizer is needed."""
        return self.length is not None and self.length.needs_tokens


def apply_filters(
    examples: pa.Table, settings: FilteringSettings, count_tokens: TokenCounter | None = None
) -> StageResult:
    """Drop the rows that fail a rule.

    Args:
        examples: Schema `EXAMPLES`.
        settings: The rules.
        count_tokens: Token count of each text, of the base model; needed when a length rule counts tokens.

    Returns:
        The rows that passed every rule, in order, and the ledger.

    Raises:
        ConfigError: if tokens are to be counted and `count_tokens` is None.
        DropLimitError: if more than `max_drop_fraction` of the rows fail.
    """
    drops = Drops(STAGE)
    ids = examples["id"].to_pylist()
    rows = list(rows_of(examples))
    for rule in _rules(settings, count_tokens):
        failures = {failure.position: failure for failure in rule(rows)}
        for failure in failures.values():
            drops.add(ids[failure.position], failure.reason, score=failure.score, detail=failure.detail)
        rows = [row for row in rows if row.position not in failures]
    return settle(STAGE, examples, drops, settings.max_drop_fraction)


def _rules(
    settings: FilteringSettings, count_tokens: TokenCounter | None
) -> Iterator[Callable[[Iterable[Row]], Iterator[Failure]]]:
    """Yield the rules that are on, with their settings bound."""
    chosen = settings
    if chosen.turns is not None:
        turns = chosen.turns
        yield lambda rows: broken_turns(rows, turns)
    if chosen.length is not None:
        length = chosen.length
        yield lambda rows: out_of_bounds(rows, length, count_tokens)
    if chosen.formats is not None:
        formats = chosen.formats
        yield lambda rows: broken_formats(rows, formats)
    if chosen.refusals is not None:
        refusals = chosen.refusals
        yield lambda rows: refused(rows, refusals)
    if chosen.keywords is not None:
        keywords = chosen.keywords
        yield lambda rows: excluded_keywords(rows, keywords)
    if chosen.repetition is not None:
        repetition = chosen.repetition
        yield lambda rows: repetitive(rows, repetition)
