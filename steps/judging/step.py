"""Step `judge_examples`."""

from typing import Annotated

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.judging.judge import judge_rows
from steps.judging.judging_settings import JudgingSettings


@step(cache_policy=rerun_when_changed(__file__))
def judge_examples(
    unique_examples: pa.Table, documents: pa.Table, settings: JudgingSettings, files_hash: str = ""
) -> tuple[
    Annotated[pa.Table, "scored_examples"],
    Annotated[pa.Table, "judge_ledger"],
    Annotated[pa.Table, "judge_verdicts"],
    Annotated[dict, "judge_report"],
]:
    """Score every example, or say why it has no score; `files_hash` is of `settings.files`, for the cache key."""
    result = judge_rows(unique_examples, settings, documents)
    return result.kept, result.ledger, result.verdicts, result.report
