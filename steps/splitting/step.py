"""The steps that split and decontaminate."""

from typing import Annotated, Any

import pyarrow as pa
from zenml import step

from steps.cache_folder import cache_folder
from steps.caching import rerun_when_changed
from steps.splitting.decontaminate import DecontaminationSettings, decontaminate
from steps.splitting.split import SplitSettings, split_examples


@step(cache_policy=rerun_when_changed(__file__))
def split_dataset(
    examples: pa.Table, settings: SplitSettings, previous: pa.Table | None = None
) -> tuple[
    Annotated[pa.Table, "split_examples"],
    Annotated[pa.Table, "split_ledger"],
    Annotated[dict[str, Any], "split_report"],
]:
    """Assign each group of examples to training, validation or test; `previous` are the splits to honour."""
    result = split_examples(examples, settings, previous)
    return result.kept, result.ledger, result.report


@step(cache_policy=rerun_when_changed(__file__))
def decontaminate_dataset(
    examples: pa.Table, settings: DecontaminationSettings, benchmarks_hash: str = ""
) -> tuple[
    Annotated[pa.Table, "clean_examples"],
    Annotated[pa.Table, "decontaminate_ledger"],
    Annotated[dict[str, Any], "decontaminate_report"],
]:
    """Drop the training and validation rows that overlap a test row or a benchmark, whose files the hash covers."""
    cache = cache_folder() / "decontamination"
    result = decontaminate(examples, settings, cache)
    return result.kept, result.ledger, result.report
