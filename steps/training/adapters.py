"""LoRA adapters: made, saved, merged into the base model, and proven to be what was trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from steps.chat.model import load_tokenizer, quiet
from steps.errors import TrainingError
from steps.training.options import TrainerSettings, has_cuda

ADAPTER = "adapter"

#: Largest logit difference allowed between the model as trained and as stored, as a share of the largest logit.
#: Merging rounds each weight once: 24, 11 and 8 bits of mantissa, with room for some dozens of layers.
TOLERANCE = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}


def load_for_training(model_dir: Path, settings: TrainerSettings) -> Any:
    """Load a model in the precision that the settings ask for, quantised for `qlora`."""
    import torch
    from transformers import AutoModelForCausalLM

    half = settings.dtype == "bfloat16" or (settings.dtype == "auto" and has_cuda())
    dtype = torch.bfloat16 if half and settings.method != "full" else torch.float32
    options: dict[str, Any] = {"dtype": dtype, "local_files_only": True}
    if settings.method == "qlora":
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
        options["device_map"] = {"": 0}
    model = AutoModelForCausalLM.from_pretrained(model_dir, **options)
    if settings.method == "qlora":
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=settings.activation_checkpointing)
    return model


def new_adapter(model: Any, tokenizer: Any, settings: TrainerSettings, token_ids: list[int]) -> Any:
    """Wrap a model with a fresh adapter, which trains the embeddings of `token_ids` besides."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.target_modules
        if isinstance(settings.target_modules, str)
        else list(settings.target_modules),
        trainable_token_indices=_token_modules(model, token_ids) if token_ids else None,
        task_type="CAUSAL_LM",
    )
    try:
        return _with_head_bias(get_peft_model(model, config))
    except ValueError as error:
        raise TrainingError(f"target_modules={settings.target_modules} do not fit this model: {error}") from error


def _with_head_bias(model: Any) -> Any:
    """Let TRL's fused output head see a bias where PEFT 0.21 has wrapped the head for trained token embeddings."""
    head = model.get_output_embeddings()
    if not hasattr(head, "bias"):
        head.__dict__["bias"] = getattr(head.original_module, "bias", None)
    return model


def _token_modules(model: Any, token_ids: list[int]) -> dict[str, list[int]]:
    """Name the embedding, and the output head where it has weights of its own."""
    wanted = [model.get_input_embeddings()]
    if not model.config.get_text_config().tie_word_embeddings:
        wanted.append(model.get_output_embeddings())
    names = [name for name, module in model.named_modules() if any(module is layer for layer in wanted)]
    return {name.rsplit(".", 1)[-1]: token_ids for name in names}


def continued_adapter(model: Any, adapter_dir: Path) -> Any:
    """Wrap a model with a trained adapter that goes on being trained."""
    from peft import PeftModel

    return _with_head_bias(PeftModel.from_pretrained(model, adapter_dir, is_trainable=True))


def save_adapter(model: Any, output: Path, base_reference: str) -> Path:
    """Save the adapter `default` under `output/adapter`, naming the base model by its reference, not by a path."""
    target = output / ADAPTER
    model.save_pretrained(target, selected_adapters=["default"], save_embedding_layers=False)
    (target / "README.md").unlink(missing_ok=True)  # an empty form; the release writes a model card
    file = target / "adapter_config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = base_reference
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return target


def save_merged(base_dir: Path, adapter_dir: Path, output: Path) -> None:
    """Merge a saved adapter into the base model, in the base model's own precision, and save the whole."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(base_dir, local_files_only=True)
    generation = base.generation_config
    merged = PeftModel.from_pretrained(base, adapter_dir).merge_and_unload(safe_merge=True)
    merged.generation_config = generation
    merged.save_pretrained(output)


def save_full(model: Any, base_dir: Path, output: Path) -> None:
    """Save a fully fine-tuned model in the precision of the model that it started from."""
    import torch
    from transformers import AutoConfig

    stored = AutoConfig.from_pretrained(base_dir, local_files_only=True).dtype or torch.float32
    model.to(stored).save_pretrained(output)


def save_tokenizer(base_dir: Path, output: Path) -> None:
    """Copy the tokenizer and its template as they were trained with."""
    load_tokenizer(base_dir).save_pretrained(output)


def logits_of(model: Any, rows: list[list[int]]) -> list[Any]:
    """Return the float32 logits (tokens, vocabulary) of each row, in evaluation mode."""
    import torch

    training = model.training
    model.eval()
    with torch.inference_mode():
        logits = [model(input_ids=torch.tensor([row], device=model.device)).logits[0].float().cpu() for row in rows]
    model.train(training)
    return logits


def check_stored(expected: list[Any], output: Path, rows: list[list[int]], trained_dtype: str) -> float:
    """Load what was stored and compare it with what was trained.

    Args:
        expected: Logits of the trained model on `rows`.
        output: The stored model.
        rows: Token ids.
        trained_dtype: Precision of the training, e.g. `bfloat16`.

    Returns:
        The largest logit difference, as a share of the largest logit.

    Raises:
        TrainingError: if it exceeds the tolerance of the coarser of both precisions.
    """
    from transformers import AutoModelForCausalLM

    with quiet():
        stored = AutoModelForCausalLM.from_pretrained(output, local_files_only=True)
    stored_dtype = str(stored.dtype).removeprefix("torch.")
    found = logits_of(stored, rows)
    scale = max(1.0, *(float(logits.abs().max()) for logits in expected))
    difference = max(float((a - b).abs().max()) for a, b in zip(expected, found, strict=True)) / scale
    bound = max(TOLERANCE.get(dtype, TOLERANCE["bfloat16"]) for dtype in (trained_dtype, stored_dtype))
    if not difference <= bound:
        raise TrainingError(
            f"the stored model is not the trained one: its logits differ by {difference:.2g} of the largest, more than "
            f"{bound:g} ({trained_dtype} training, stored as {stored_dtype}). Nothing was released; please report "
            "this with the model's architecture"
        )
    return difference
