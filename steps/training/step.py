"""The base model, supervised fine-tuning and preference alignment as steps."""

from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from zenml import step

from steps.artifacts import scratch_directory
from steps.caching import rerun_when_changed
from steps.training.base import ModelSettings, prepare_base
from steps.training.dpo import DPOSettings, train_dpo
from steps.training.sft import SFTSettings, train_sft
from steps.training.tracking import TrackingSettings


@step(cache_policy=rerun_when_changed(__file__))
def prepare_base_model(settings: ModelSettings, text_hash: str = "") -> Annotated[Path, "base_model"]:
    """Write the base model, its template installed and checked; `text_hash` covers a tiny model's own text."""
    return prepare_base(settings, scratch_directory())


@step(cache_policy=rerun_when_changed(__file__))
def train_sft_model(
    base_model: Path, sft_dataset: pa.Table, settings: SFTSettings, tracking: TrackingSettings
) -> tuple[Annotated[Path, "sft_model"], Annotated[dict[str, Any], "sft_report"]]:
    """Fine-tune the base model on the training split."""
    result = train_sft(base_model, sft_dataset, settings, scratch_directory(), tracking)
    return result.path, result.report()


@step(cache_policy=rerun_when_changed(__file__))
def train_dpo_model(
    sft_model: Path,
    base_model: Path,
    preference_dataset: pa.Table,
    settings: DPOSettings,
    tracking: TrackingSettings,
) -> tuple[Annotated[Path, "dpo_model"], Annotated[dict[str, Any], "dpo_report"]]:
    """Align the SFT model with the preference pairs."""
    result = train_dpo(sft_model, base_model, preference_dataset, settings, scratch_directory(), tracking)
    return result.path, result.report()
