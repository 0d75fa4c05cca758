"""The steps that split and decontaminate."""

from typing import Annotated

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.splitting.decontaminate import DecontaminationSettings, decontaminate
from steps.splitting.split import SplitSettings, split_examples


@step(cache_policy=rerun_when_changed(__file__))
def split_dataset(
    examples: pa.Table, settings: SplitSettings
) -> tuple[Annotated[pa.Table, "split_examples"], Annotated[pa.Table, "split_ledger"]]:
    """Assign each group of examples to training, validation or test."""
    result = split_examples(examples, settings)
    return result.kept, result.ledger


@step(cache_policy=rerun_when_changed(__file__))
def decontaminate_dataset(
    examples: pa.Table, settings: DecontaminationSettings, benchmarks_hash: str = ""
) -> tuple[Annotated[pa.Table, "sft_dataset"], Annotated[pa.Table, "decontaminate_ledger"]]:
    """Drop the training and validation rows that overlap a test row or a benchmark, whose files the hash covers."""
    result = decontaminate(examples, settings)
    return result.kept, result.ledger
