"""The step that mixes the training rows."""

from typing import Annotated, Any

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.mixing.mix import MixSettings, mix_examples


@step(cache_policy=rerun_when_changed(__file__))
def mix_dataset(
    examples: pa.Table, settings: MixSettings | None
) -> tuple[
    Annotated[pa.Table, "sft_dataset"], Annotated[pa.Table, "mix_ledger"], Annotated[dict[str, Any], "mix_report"]
]:
    """Choose the training rows that fill the asked mix; without one, all."""
    result = mix_examples(examples, settings)
    return result.kept, result.ledger, result.report
