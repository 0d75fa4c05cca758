"""Rule filters over a table of examples: the first rule that a row fails names the reason."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pyarrow as pa
from pydantic import Field, model_validator

from steps.engines.engine import Engine, LocalEngine
from steps.filtering.arithmetic import ArithmeticSettings, wrong_arithmetic
from steps.filtering.batch import TokenCounter
from steps.filtering.engine import ActiveRule, Rule, filter_rows
from steps.filtering.formats import FormatSettings, broken_formats
from steps.filtering.keywords import KeywordSettings, excluded_keywords
from steps.filtering.languages import LanguageSettings, unwanted_languages
from steps.filtering.length import LengthSettings, out_of_bounds
from steps.filtering.maths import MathsSettings, broken_maths
from steps.filtering.personal_data import PersonalDataSettings, personal_data
from steps.filtering.presets import PresetName, with_preset
from steps.filtering.quality import QualitySettings, unlike_prose
from steps.filtering.ratios import RatioSettings, lopsided
from steps.filtering.refusals import RefusalSettings, refused
from steps.filtering.repetition import RepetitionSettings, repetitive
from steps.filtering.secrets import SecretSettings, secrets
from steps.filtering.toxicity import ToxicitySettings, toxic
from steps.filtering.turns import TurnSettings, broken_turns
from steps.filtering.web_page import WebPageSettings, web_page_remains
from steps.ledger import StageResult, check_books, check_drop_fraction
from steps.rows import LEDGER
from steps.settings import Settings

STAGE = "filter"

#: Every rule family, in the order in which they are applied: the field of `FilteringSettings` that holds its
#: settings, and its rule. Cheap ones stand first, so that dear ones see fewer rows.
RULES: tuple[tuple[str, Rule], ...] = (
    ("turns", broken_turns),
    ("length", out_of_bounds),
    ("formats", broken_formats),
    ("refusals", refused),
    ("keywords", excluded_keywords),
    ("repetition", repetitive),
    ("ratios", lopsided),
    ("quality", unlike_prose),
    ("web_page", web_page_remains),
    ("maths", broken_maths),
    ("arithmetic", wrong_arithmetic),
    ("languages", unwanted_languages),
    ("toxicity", toxic),
    ("secrets", secrets),
    ("personal_data", personal_data),
)


class FilteringSettings(Settings):
    """The rule families, in the order in which they are applied; `null` switches one off."""

    preset: PresetName = "instruction"
    """Values for what the file does not set: `instruction` for data sets of questions and answers, `code` for those
    whose answers are programs, `web_gopher` for text of web pages under the published thresholds of Gopher, FineWeb
    and C4, `none` for nothing but what the file sets."""

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

    ratios: RatioSettings | None = RatioSettings()
    """Shares of URLs, digits, signs and capitals."""

    quality: QualitySettings | None = None
    """Whether a text looks like prose of a web page: the quality rules of Gopher and FineWeb."""

    web_page: WebPageSettings | None = None
    """What is left of a web page: the rules of C4."""

    maths: MathsSettings | None = MathsSettings()
    """Formulas and calculator annotations are whole."""

    arithmetic: ArithmeticSettings | None = ArithmeticSettings()
    """The sums that answers show are worked out again; a wrong one drops the row."""

    languages: LanguageSettings | None = None
    """Languages that are wanted or not; off until they are named."""

    toxicity: ToxicitySettings | None = None
    """Toxic words, and a classifier of offensive English (extra `toxicity`); off, since a classifier of words is
    unfair to some groups of people, and word lists are for their owner to write."""

    secrets: SecretSettings | None = SecretSettings()
    """Credentials, which are masked: a model that has seen one can repeat it, and no row is lost."""

    personal_data: PersonalDataSettings | None = None
    """E-mail addresses, numbers of telephones, cards, accounts and documents (extra `pii`); off, because a
    support desk's own address may be just what a model is to learn."""

    max_drop_fraction: float = Field(0.5, ge=0, le=1)
    """Share of rows above which the run stops."""

    @model_validator(mode="before")
    @classmethod
    def _take_from_preset(cls, given: Any) -> Any:
        return with_preset(given) if isinstance(given, dict) else given

    @property
    def needs_tokens(self) -> bool:
        """Whether the base model's tokenizer is needed."""
        return self.length is not None and self.length.needs_tokens


def apply_filters(
    examples: pa.Table,
    settings: FilteringSettings,
    count_tokens: TokenCounter | None = None,
    engine: Engine | None = None,
) -> StageResult:
    """Drop the rows that fail a rule.

    Args:
        examples: Schema `EXAMPLES`.
        settings: The rules.
        count_tokens: Token count of each text, of the base model; needed when a length rule counts tokens.
        engine: Where the rules run; None: in this process.

    Returns:
        The rows that passed every rule, in order, and the ledger.

    Raises:
        ConfigError: if tokens are to be counted and `count_tokens` is None.
        DropLimitError: if more than `max_drop_fraction` of the rows fail.
    """
    run = partial(filter_batch, settings=settings, count_tokens=count_tokens)
    result = StageResult(*(engine or LocalEngine()).map(examples, run, (examples.schema, LEDGER)))
    check_books(STAGE, examples.num_rows, result.kept.num_rows, result.ledger)
    check_drop_fraction(result.ledger, settings.max_drop_fraction)
    return result


def filter_batch(
    examples: pa.Table, settings: FilteringSettings, count_tokens: TokenCounter | None = None
) -> StageResult:
    """Drop the rows of one batch or partition that fail a rule; `apply_filters` and distributed engines call it.

    The result of a row does not depend on the rows beside it, and `max_drop_fraction` is not looked at, since it is a
    share of the whole table.

    Raises:
        ConfigError: if tokens are to be counted and `count_tokens` is None.
    """
    return filter_rows(STAGE, examples, list(active_rules(settings)), count_tokens)


def active_rules(settings: FilteringSettings) -> Iterator[ActiveRule]:
    """Yield the rule families that are on."""
    for name, rule in RULES:
        chosen = getattr(settings, name)
        if chosen is not None:
            yield ActiveRule(name, rule, chosen)
