"""Supervised fine-tuning on the assistant's tokens, with TRL and PEFT."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import Field

from steps.chat.model import context_length, load_tokenizer, quiet
from steps.chat.template import check_template, template_of
from steps.errors import TrainingError
from steps.rows import rows_of_split
from steps.training import adapters
from steps.training.data import EncodedRows, check_skipped, encode_conversations
from steps.training.loop import TrainResult, arguments, isolated_randomness, run_trainer, silent
from steps.training.manifest import read_manifest, write_manifest
from steps.training.options import TrainerSettings, require_hardware
from steps.training.tracking import TrackingSettings, tracked

#: Rows on which the stored model is compared with the trained one.
N_CHECKED_ROWS = 4


class SFTSettings(TrainerSettings):
    """Supervised fine-tuning. Only the assistant's text and its end-of-turn tokens are trained."""

    packing: bool = False
    """Several rows per sequence. Not supported: rows would attend to each other without a word of warning."""
    early_stopping_patience: int | None = Field(default=None, ge=1)
    """Epochs without a lower validation loss after which training stops and the best weights return. None: off."""

    def model_post_init(self, _: Any) -> None:
        """Refuse what would train silently on the wrong thing."""
        if self.packing:
            raise ValueError("packing=true is not supported; leave it out, rows are padded to their batch instead")


def train_sft(
    base_model: Path,
    dataset: pa.Table,
    settings: SFTSettings,
    output: Path,
    tracking: TrackingSettings | None = None,
) -> TrainResult:
    """Fine-tune a prepared base model on the `train` split.

    Args:
        base_model: What `prepare_base` wrote.
        dataset: Schema `steps.rows.SFT`; the `validation` split measures, the `test` split is not touched.
        settings: How to train.
        output: A directory to write; created if it is missing.
        tracking: Where the curves go besides.

    Returns:
        The model: merged at the root of `output`, with the adapter beside it (LoRA), tokenizer and template.

    Raises:
        ConfigError: for a method that this machine cannot do.
        InputError: if the base model was not prepared.
        TrainingError: if too many rows cannot be trained on, training diverges, or the stored model differs.
    """
    require_hardware(settings, "training.sft")
    manifest = read_manifest(base_model)
    tokenizer = load_tokenizer(base_model)
    output.mkdir(parents=True, exist_ok=True)
    with isolated_randomness(), quiet(), tempfile.TemporaryDirectory() as scratch:
        check_template(tokenizer, template_of(base_model))
        model = trainable_model(base_model, tokenizer, settings, manifest)
        train, validation = encode_splits(tokenizer, dataset, longest_row(model, tokenizer, settings), settings)
        with tracked(tracking or TrackingSettings()) as report_to:
            trainer = build_trainer(model, tokenizer, train.rows, validation.rows, settings, Path(scratch), report_to)
            history = run_trainer(trainer, "supervised fine-tuning", settings.early_stopping_patience)
        probes = sorted((row["input_ids"] for row in train.rows), key=len)[:N_CHECKED_ROWS]
        metrics = _parameter_counts(trainer.model)
        metrics["merge_difference"] = store(trainer.model, base_model, output, settings, manifest["base"], probes)
    result = TrainResult(output, history, len(train.rows), [*train.skipped, *validation.skipped], metrics)
    over = None if settings.method == "full" else "base"
    write_manifest(output, history_of_model(manifest, "sft", over, settings, result))
    return result


def history_of_model(
    parent: dict[str, Any], kind: str, adapter_over: str | None, settings: TrainerSettings, result: TrainResult
) -> dict[str, Any]:
    """Return the manifest of a model that was trained from one with the manifest `parent`."""
    return {
        **{key: parent[key] for key in ("base", "revision", "template", "untrained_tokens")},
        "kind": kind,
        "adapter_over": adapter_over,
        "seed": settings.seed,
        "settings": settings.model_dump(mode="json"),
        "n_rows_trained": result.n_rows_trained,
        "n_rows_skipped": len(result.skipped),
        "metrics": result.metrics,
        "history": result.history,
    }


def longest_row(model: Any, tokenizer: Any, settings: TrainerSettings) -> int:
    """Return how many tokens a row may have: never more than the model's positions reach."""
    return min(settings.max_length_tokens or tokenizer.model_max_length, context_length(model))


def encode_splits(
    tokenizer: Any, dataset: pa.Table, longest: int, settings: SFTSettings
) -> tuple[EncodedRows, EncodedRows]:
    """Tokenise the training and the validation rows, and refuse if too many of either cannot be."""
    encoded = []
    for split in ("train", "validation"):
        rows = rows_of_split(dataset, split)
        part = encode_conversations(tokenizer, rows, longest)
        if split == "train" or rows.num_rows:
            check_skipped(f"SFT, {split} split", rows.num_rows, part.skipped, settings.max_skipped_fraction)
        encoded.append(part)
    return encoded[0], encoded[1]


def trainable_model(base_model: Path, tokenizer: Any, settings: TrainerSettings, manifest: dict[str, Any]) -> Any:
    """Load the base model, with a fresh adapter unless all of it is trained."""
    import torch

    torch.manual_seed(settings.seed)
    model = adapters.load_for_training(base_model, settings)
    if settings.method == "full":
        return model
    untrained = manifest.get("untrained_tokens", [])
    train_tokens = bool(untrained) if settings.train_chat_tokens is None else settings.train_chat_tokens
    if untrained and not train_tokens:
        raise TrainingError(
            f"the base model has never seen {' '.join(untrained)}, and an adapter on the linear layers leaves their "
            "embeddings as they are. Set train_chat_tokens: true, or method: full"
        )
    tokens = [*template_of(base_model).required_tokens] if train_tokens else []
    ids = sorted({tokenizer.convert_tokens_to_ids(token) for token in [*tokens, *(untrained if train_tokens else [])]})
    return adapters.new_adapter(model, tokenizer, settings, ids)


def build_trainer(
    model: Any,
    tokenizer: Any,
    train: Sequence[dict[str, list[int]]],
    validation: Sequence[dict[str, list[int]]],
    settings: SFTSettings,
    directory: Path,
    report_to: list[str],
) -> Any:
    """Return a TRL trainer that takes our tokens and labels as they are."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        **arguments(settings, directory, report_to, len(train)),
        dataset_kwargs={"skip_prepare_dataset": True},
        eval_strategy="epoch" if validation else "no",
        eval_on_start=bool(validation),
    )
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=Dataset.from_list(list(train)),
        eval_dataset=Dataset.from_list(list(validation)) if validation else None,
        processing_class=tokenizer,
    )
    return silent(trainer)


def store(
    model: Any, base_model: Path, output: Path, settings: TrainerSettings, reference: str, probes: list[list[int]]
) -> float:
    """Write the trained model and return how far its logits are from those of the model in memory.

    Args:
        model: The trained model, a `PeftModel` unless the method is `full`.
        base_model: The model below the adapter, or the one that full fine-tuning started from.
        output: The directory to write.
        settings: How it was trained.
        reference: The name by which the adapter knows its base model.
        probes: Token ids of the rows to compare on.
    """
    dtype = "bfloat16" if settings.method == "qlora" else str(model.dtype).removeprefix("torch.")
    expected = adapters.logits_of(model, probes)
    if settings.method == "full":
        adapters.save_full(model, base_model, output)
    else:
        adapter_dir = adapters.save_adapter(model, output, reference)
        adapters.save_merged(base_model, adapter_dir, output)
    adapters.save_tokenizer(base_model, output)
    return adapters.check_stored(expected, output, probes, dtype)


def _parameter_counts(model: Any) -> dict[str, float]:
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return {"n_trainable_parameters": trainable, "n_parameters": sum(p.numel() for p in model.parameters())}
