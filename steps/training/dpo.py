"""Direct preference optimisation (Rafailov et al. 2023, arXiv 2305.18290), with TRL and PEFT.

The reference is never a second model on disk. With LoRA, the SFT adapter goes on being trained and a frozen copy of
it is the reference, so that the result is the base model and one adapter; after a full SFT, a fresh adapter over the
SFT model is trained, and the reference is that model without it. Full fine-tuning keeps a frozen copy in memory.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from steps.chat.model import load_tokenizer, quiet
from steps.chat.template import check_template, template_of
from steps.errors import InputError, TrainingError
from steps.training import adapters
from steps.training.data import EncodedRows, check_skipped, encode_preferences, hold_out
from steps.training.loop import TrainResult, arguments, history_of, isolated_randomness, run_trainer, silent
from steps.training.manifest import read_manifest, write_manifest
from steps.training.options import TrainerSettings, require_hardware
from steps.training.sft import N_CHECKED_ROWS, history_of_model, longest_row, store
from steps.training.tracking import TrackingSettings, tracked

#: Policy and reference are the same model before the first step, so each pair's loss is -log sigmoid(0).
FIRST_LOSS = math.log(2)
#: Half precision computes both alike; more than this means that the reference is another model.
FIRST_LOSS_TOLERANCE = 1e-2

_METRICS = {"loss": "eval_loss", "reward_accuracy": "eval_rewards/accuracies", "reward_margin": "eval_rewards/margins"}


class DPOSettings(TrainerSettings):
    """Preference alignment."""

    beta: float = Field(default=0.1, gt=0.0, le=10.0)
    """Strength of the pull towards the reference (the paper uses 0.1, and 0.5 for summaries). 0 would make the loss a
    constant ln 2 without a gradient."""
    learning_rate: float = Field(default=5e-5, gt=0, le=1)
    """Peak learning rate of AdamW; DPO wants far less than SFT."""
    warmup_ratio: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the steps over which the learning rate rises."""
    held_out_fraction: float = Field(default=0.1, ge=0.0, le=0.5)
    """Share of the examples whose pairs are not trained on but measured before and after; 0 measures none."""


def train_dpo(
    sft_model: Path,
    base_model: Path,
    preferences: pa.Table,
    settings: DPOSettings,
    output: Path,
    tracking: TrackingSettings | None = None,
) -> TrainResult:
    """Align an SFT model with preference pairs.

    Args:
        sft_model: What `train_sft` wrote.
        base_model: What it was trained from.
        preferences: Schema `steps.rows.PREFERENCES`.
        settings: How to train.
        output: A directory to write; created if it is missing.
        tracking: Where the curves go besides.

    Returns:
        The model, laid out as the SFT model is. `metrics` holds `first_loss`, and loss, reward accuracy and margin
        on the held-out pairs `_before` and `_after`.

    Raises:
        ConfigError: for a method that this machine cannot do.
        InputError: if the two models do not belong together.
        TrainingError: if too many pairs cannot be trained on, the first loss is not ln 2, or as in `train_sft`.
    """
    require_hardware(settings, "training.dpo")
    manifest = read_manifest(sft_model)
    _check_family(manifest, read_manifest(base_model))
    tokenizer = load_tokenizer(sft_model)
    continues = settings.method != "full" and (sft_model / adapters.ADAPTER).is_dir()
    below = base_model if continues else sft_model
    output.mkdir(parents=True, exist_ok=True)
    with isolated_randomness(), quiet(), tempfile.TemporaryDirectory() as scratch:
        check_template(tokenizer, template_of(sft_model))
        model = _policy(below, sft_model, tokenizer, settings, continues=continues)
        train, held_out = _encode(tokenizer, preferences, longest_row(model, tokenizer, settings), settings)
        probes = sorted((row["prompt_ids"] + row["chosen_ids"] for row in train.rows), key=len)[:N_CHECKED_ROWS]
        if continues and settings.method == "lora":
            dtype = str(model.dtype).removeprefix("torch.")
            adapters.check_stored(adapters.logits_of(model, probes), sft_model, probes, dtype)
        with tracked(tracking or TrackingSettings()) as report_to:
            trainer = build_trainer(
                model, sft_model, tokenizer, train.rows, held_out.rows, settings, scratch, report_to
            )
            history, metrics = _train_and_measure(trainer, bool(held_out.rows))
        metrics["n_rows_held_out"] = len(held_out.rows)
        reference = manifest["base"] if continues else "sft"
        metrics["merge_difference"] = store(trainer.model, below, output, settings, reference, probes)
    result = TrainResult(output, history, len(train.rows), [*train.skipped, *held_out.skipped], metrics)
    over = None if settings.method == "full" else "base" if continues else "sft"
    content = history_of_model(manifest, "dpo", over, settings, result)
    sft = {key: manifest[key] for key in ("settings", "n_rows_trained", "history")}
    write_manifest(output, {**content, "sft": sft})
    return result


def build_trainer(
    model: Any,
    sft_model: Path,
    tokenizer: Any,
    train: Sequence[dict[str, list[int]]],
    held_out: Sequence[dict[str, list[int]]],
    settings: DPOSettings,
    directory: str | Path,
    report_to: list[str],
) -> Any:
    """Return a TRL trainer that takes our tokens as they are, with a reference that equals the policy."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    class TokenisedDPOTrainer(DPOTrainer):  # type: ignore[misc]
        """TRL's trainer without its own tokenising, which would render text that looks like a control token as one."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    config = DPOConfig(**arguments(settings, Path(directory), report_to, len(train)), beta=settings.beta)
    trainer = TokenisedDPOTrainer(
        model=model,
        ref_model=adapters.load_for_training(sft_model, settings) if settings.method == "full" else None,
        args=config,
        train_dataset=Dataset.from_list(list(train)),
        eval_dataset=Dataset.from_list(list(held_out)) if held_out else None,
        processing_class=tokenizer,
    )
    _complete_reference(trainer.model)
    return silent(trainer)


def _complete_reference(model: Any) -> None:
    """Copy into the reference adapter what TRL leaves out.

    TRL 1.16 copies parameters with `.default.` in their names; trained token embeddings are named `….default`.
    """
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if name.endswith(".default") and f"{name.removesuffix('default')}ref" in parameters:
            parameters[f"{name.removesuffix('default')}ref"].data.copy_(parameter.data)


def _policy(below: Path, sft_model: Path, tokenizer: Any, settings: DPOSettings, *, continues: bool) -> Any:
    import torch

    torch.manual_seed(settings.seed)
    model = adapters.load_for_training(below, settings)
    if settings.method == "full":
        return model
    if continues:
        return adapters.continued_adapter(model, sft_model / adapters.ADAPTER)
    return adapters.new_adapter(model, tokenizer, settings, [])


def _encode(
    tokenizer: Any, preferences: pa.Table, longest: int, settings: DPOSettings
) -> tuple[EncodedRows, EncodedRows]:
    parts = hold_out(preferences, settings.held_out_fraction, settings.seed)
    train, held_out = (encode_preferences(tokenizer, part, longest) for part in parts)
    check_skipped("DPO", preferences.num_rows, [*train.skipped, *held_out.skipped], settings.max_skipped_fraction)
    if not train.rows:
        raise TrainingError("DPO: every pair that was not held out was skipped; lower held_out_fraction")
    return train, held_out


def _train_and_measure(trainer: Any, measure: bool) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Train; measure the held-out pairs before and after."""
    before = trainer.evaluate() if measure else {}
    _check_first_loss(before.get("eval_loss", FIRST_LOSS))
    history = run_trainer(trainer, "preference optimisation")
    first = next(row["loss"] for row in history if "loss" in row)
    _check_first_loss(first)
    after = trainer.evaluate() if measure else {}
    metrics = {"first_loss": first}
    for name, key in _METRICS.items():
        if measure:
            metrics[f"{name}_before"], metrics[f"{name}_after"] = before[key], after[key]
    return history_of(trainer.state.log_history), metrics


def _check_first_loss(loss: float) -> None:
    if not abs(loss - FIRST_LOSS) <= FIRST_LOSS_TOLERANCE:
        raise TrainingError(
            f"DPO's first loss is {loss:.4f} where policy and reference are one model and ln 2 = {FIRST_LOSS:.4f} "
            "must come out: the reference is another model. Please report this with the model's architecture"
        )


def _check_family(sft: dict[str, Any], base: dict[str, Any]) -> None:
    for key in ("base", "template"):
        if sft.get(key) != base.get(key):
            raise InputError(
                f"the SFT model was trained from {key} {sft.get(key)!r}, but the base model given has "
                f"{base.get(key)!r}; give the base model of the same run"
            )
