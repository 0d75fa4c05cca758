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
    """Count tokens, and drop the examples that fail a rule."""
    count_tokens = token_counter(base_model)
    result = apply_filters(with_token_counts(examples, count_tokens), settings, count_tokens)
    return result.kept, result.ledger
