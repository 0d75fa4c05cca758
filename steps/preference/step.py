"""Step `build_preference_dataset`."""

from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from zenml import step

from steps.caching import rerun_when_changed
from steps.chat.generation import Generated, GenerationSettings, generate
from steps.preference.build import PreferenceSettings, build_preferences


@step(cache_policy=rerun_when_changed(__file__))
def build_preference_dataset(
    imported_preferences: pa.Table,
    sft_dataset: pa.Table,
    sft_model: Path,
    settings: PreferenceSettings,
    files_hash: str = "",
) -> tuple[
    Annotated[pa.Table, "preference_dataset"],
    Annotated[pa.Table, "preferences_ledger"],
    Annotated[pa.Table, "preference_verdicts"],
    Annotated[dict[str, Any], "preference_report"],
]:
    """Collect chosen / rejected pairs from preference sources, ranked samples of the SFT model, and revisions.

    `files_hash` is that of the files that the settings name: another rubric under the same path is another result.
    """

    def sample(prompts: list[list[dict[str, str]]], generation: GenerationSettings) -> list[list[Generated]]:
        return generate(sft_model, prompts, generation)

    result = build_preferences(imported_preferences, sft_dataset, sample, settings)
    return result.kept, result.ledger, result.verdicts, result.report
