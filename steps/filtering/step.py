"""The step that applies the rule filters."""

from pathlib import Path
from typing import Annotated

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.filtering.rules import FilteringSettings, apply_filters
from steps.filtering.tokens import token_counter, with_token_counts


@step(cache_policy=rerun_when_changed(__file__))
def filter_examples(
    examples: pa.Table, base_model: Path, settings: FilteringSettings
) -> tuple[Annotated[pa.Table, "filtered_examples"], Annotated[pa.Table, "filter_ledger"]]:
    """Drop the examples that fail a rule, and count the tokens of those that stay, as the rules rewrote them."""
    count_tokens = token_counter(base_model)
    result = apply_filters(examples, settings, count_tokens)
    return with_token_counts(result.kept, count_tokens), result.ledger
