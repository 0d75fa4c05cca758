"""A data set in; a fine-tuned, then an aligned model out."""

from typing import Any, NamedTuple

from zenml import pipeline
from zenml.enums import ExecutionMode

from pipelines.config import RunConfig
from pipelines.versions import stored
from steps.extraction.sources import hash_paths
from steps.preference.inputs import files_of
from steps.preference.step import build_preference_dataset
from steps.training.step import train_dpo_model, train_sft_model


class Finetuned(NamedTuple):
    """The models of a run; `dpo_model` is None when alignment is off."""

    sft_model: Any
    dpo_model: Any | None

    @classmethod
    def of(cls, inputs: dict[str, str]) -> "Finetuned":
        """Return the stored models of an earlier run."""
        return cls(stored(inputs["sft_model"]), stored(inputs["dpo_model"]) if "dpo_model" in inputs else None)

    @property
    def last(self) -> Any:
        """The model that training ended with."""
        return self.sft_model if self.dpo_model is None else self.dpo_model


def finetuning_steps(config: RunConfig, base_model: Any, sft_dataset: Any, imported_preferences: Any) -> Finetuned:
    """Add SFT, preference building and DPO to the pipeline being built."""
    training = config.training
    train_sft, train_dpo = train_sft_model, train_dpo_model
    if config.stack.gpu_step_operator:
        train_sft = train_sft.with_options(step_operator=config.stack.gpu_step_operator)
        train_dpo = train_dpo.with_options(step_operator=config.stack.gpu_step_operator)
    sft_model, _ = train_sft(
        base_model=base_model, sft_dataset=sft_dataset, settings=training.sft, tracking=config.tracking
    )
    if training.preferences is None or training.dpo is None:
        return Finetuned(sft_model, None)
    preferences, *_ = build_preference_dataset(
        imported_preferences=imported_preferences,
        sft_dataset=sft_dataset,
        sft_model=sft_model,
        settings=training.preferences,
        files_hash=hash_paths(files_of(training.preferences)),
    )
    dpo_model, _ = train_dpo(
        sft_model=sft_model,
        base_model=base_model,
        preference_dataset=preferences,
        settings=training.dpo,
        tracking=config.tracking,
    )
    return Finetuned(sft_model, dpo_model)


@pipeline(name="finetune", execution_mode=ExecutionMode.FAIL_FAST)
def finetune(config: RunConfig, inputs: dict[str, str]) -> None:
    """Fine-tune on the data set of an earlier version; `inputs` maps artifact names to ids."""
    finetuning_steps(
        config,
        stored(inputs["base_model"]),
        stored(inputs["sft_dataset"]),
        stored(inputs["imported_preferences"]),
    )
