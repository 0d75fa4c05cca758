"""Step `judge_examples`."""

from typing import Annotated

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.judging.judge import JudgingSettings, judge_rows


@step(cache_policy=rerun_when_changed(__file__))
def judge_examples(
    unique_examples: pa.Table, settings: JudgingSettings
) -> tuple[
    Annotated[pa.Table, "scored_examples"], Annotated[pa.Table, "judge_ledger"], Annotated[dict, "judge_report"]
]:
    """Score every example, or say why it has no score."""
    result = judge_rows(unique_examples, settings)
    return result.kept, result.ledger, result.report
