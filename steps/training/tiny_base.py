"""The embedded base model: a Llama-shaped causal language model of under a million parameters, trained in a minute.

It makes the whole way from documents to a released model runnable on any machine, without a hub, a key or a GPU. It
is a base model in earnest: it knows its own little world of notes (`steps.extraction.notes`), or the text of a
folder that it is given, and nothing of the task that fine-tuning is to teach it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field, model_validator

from steps.chat.template import CHATML
from steps.errors import TrainingError
from steps.progress import progress
from steps.settings import Settings
from steps.training.tiny_text import pretraining_text, read_texts

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

END_OF_TEXT, TURN_START, TURN_END, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"
SPECIAL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END, PAD)
#: 256 bytes and the special tokens: the smallest vocabulary that can spell every text.
SMALLEST_VOCABULARY = 256 + len(SPECIAL_TOKENS)
#: Texts of the built-in world that the tokenizer is trained on; more change none of its merges.
TOKENIZER_TEXTS = 2000


class TinyBaseSettings(Settings):
    """How large the embedded base model is, what it reads, and for how long."""

    seed: int = Field(default=0, ge=0)
    """Seed of the weights, of the text and of its order."""

    text_path: str | None = None
    """A folder of Markdown or text files, or a JSONL file with the column `text`; null: the built-in world of notes."""

    vocab_size: int = Field(default=1024, ge=SMALLEST_VOCABULARY, le=32768)
    """Tokens of the byte-level BPE, special tokens included. A small text may yield fewer."""

    hidden_size: int = Field(default=128, ge=16, le=1024)
    """Width of the residual stream."""

    n_layers: int = Field(default=2, ge=1, le=24)
    """Transformer blocks; copying what was read takes at least two (Olsson et al. 2022, induction heads)."""

    n_heads: int = Field(default=4, ge=1, le=32)
    """Attention heads; must divide `hidden_size` into even parts."""

    intermediate_size: int = Field(default=256, ge=16, le=4096)
    """Width of the gated feed-forward layers."""

    context_length: int = Field(default=1024, ge=64, le=8192)
    """Positions that the model's configuration allows; training sees `sequence_length` of them."""

    sequence_length: int = Field(default=160, ge=16, le=8192)
    """Tokens of the longest training sequence; longer texts are cut into pieces of it."""

    steps: int = Field(default=900, ge=1)
    """Optimiser steps."""

    batch_size: int = Field(default=16, ge=1)
    """Sequences per step."""

    learning_rate: float = Field(default=4e-3, gt=0, le=1)
    """Peak of the one-cycle schedule (Smith and Topin 2018)."""

    weight_decay: float = Field(default=0.1, ge=0, le=1)
    """AdamW's decoupled decay, on matrices only."""

    rope_theta: float = Field(default=100.0, gt=1)
    """Base of the rotary position encoding. Llama's 10,000 is made for thousands of tokens; at a hundred or two, 100
    halves the steps until copying is learnt. Raise it with `sequence_length`."""

    initializer_range: float = Field(default=0.08, gt=0, le=1)
    """Standard deviation of the initial weights; at widths of about 128 the usual 0.02 delays copying."""

    @model_validator(mode="after")
    def _heads_fit(self) -> TinyBaseSettings:
        if self.hidden_size % (2 * self.n_heads):
            raise ValueError(
                f"hidden_size={self.hidden_size} is not a multiple of 2 x n_heads={2 * self.n_heads}; "
                f"set e.g. hidden_size={2 * self.n_heads * max(1, round(self.hidden_size / (2 * self.n_heads)))}"
            )
        if self.sequence_length > self.context_length:
            raise ValueError(
                f"sequence_length={self.sequence_length} exceeds context_length={self.context_length}; lower it"
            )
        return self


class Batch(NamedTuple):
    """Token ids of shape (sequences, tokens), padded to the longest sequence, and how many are real."""

    input_ids: torch.Tensor
    n_tokens: int


def train_tiny_base(settings: TinyBaseSettings, output: Path) -> Path:
    """Train the tokenizer and the model, and write a complete model directory.

    Args:
        settings: Size, text and length of the training.
        output: A directory to write; created if it is missing.

    Returns:
        `output`: config, safetensors, tokenizer, `chat_template.jinja`, generation config and `pretraining.json`.

    Raises:
        InputError: if `text_path` is missing or holds no text.
        TrainingError: if the loss stops being a number.
    """
    texts = None if settings.text_path is None else read_texts(Path(settings.text_path))
    tokenizer = train_tokenizer(settings, texts)
    model = build_model(settings, tokenizer)
    history = _pretrain(model, _batches(settings, tokenizer, texts), settings)
    output.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(output)
    tokenizer.save_pretrained(output)
    report = {
        "settings": settings.model_dump(),
        "n_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "vocab_size": len(tokenizer),
        **history,
    }
    (output / "pretraining.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return output


def train_tokenizer(settings: TinyBaseSettings, texts: list[str] | None) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE with ChatML's tokens on the texts, or on the built-in world if `texts` is None."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    if texts is None:
        random = Random(f"{settings.seed} tokenizer")
        texts = [pretraining_text(random) for _ in range(TOKENIZER_TEXTS)]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=TURN_END,
        pad_token=PAD,
        additional_special_tokens=[TURN_START],
        clean_up_tokenization_spaces=False,
        model_max_length=settings.context_length,
    )
    tokenizer.chat_template = CHATML
    return tokenizer


def build_model(settings: TinyBaseSettings, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return a freshly initialised model that fits the tokenizer; the global random state is left as it was."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    end_of_text = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=settings.intermediate_size,
        num_hidden_layers=settings.n_layers,
        num_attention_heads=settings.n_heads,
        num_key_value_heads=settings.n_heads,
        max_position_embeddings=settings.context_length,
        initializer_range=settings.initializer_range,
        rope_theta=settings.rope_theta,
        tie_word_embeddings=True,
        bos_token_id=end_of_text,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(
        bos_token_id=end_of_text,
        eos_token_id=[tokenizer.eos_token_id, end_of_text],
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


def _batches(
    settings: TinyBaseSettings, tokenizer: PreTrainedTokenizerFast, texts: list[str] | None
) -> Iterator[Batch]:
    """Yield batches without end, sequences of like length together, so that little is spent on padding."""
    random = Random(f"{settings.seed} batches")
    pool_size = 16 * settings.batch_size
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    pieces: list[list[int]] = []
    while True:
        while len(pieces) < pool_size:
            if texts is None:
                drawn = [pretraining_text(random) for _ in range(pool_size - len(pieces))]
            else:
                drawn = random.sample(texts, min(len(texts), 64))
            for ids in tokenizer(drawn, add_special_tokens=False)["input_ids"]:
                pieces += _pieces([*ids, end], settings.sequence_length)
        random.shuffle(pieces)
        pool, pieces = sorted(pieces[:pool_size], key=len), pieces[pool_size:]
        starts = list(range(0, pool_size, settings.batch_size))
        random.shuffle(starts)
        for start in starts:
            yield _pad(pool[start : start + settings.batch_size], tokenizer.pad_token_id)


def _pieces(ids: list[int], length: int) -> list[list[int]]:
    pieces = [ids[start : start + length] for start in range(0, len(ids), length)]
    return [piece for piece in pieces if len(piece) > 1]


def _pad(rows: list[list[int]], pad: int) -> Batch:
    import torch

    longest = max(map(len, rows))
    input_ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
    return Batch(input_ids, sum(map(len, rows)))


def _pretrain(model: LlamaForCausalLM, batches: Iterator[Batch], settings: TinyBaseSettings) -> dict[str, Any]:
    """Train in place; return the tokens seen and the loss now and then."""
    import torch

    optimizer = _optimizer(model, settings)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps + 1, pct_start=0.1, final_div_factor=10
    )
    losses: list[dict[str, float]] = []
    n_tokens = 0
    model.train()
    with progress("pre-training the tiny base model", settings.steps) as bar:
        for step in range(1, settings.steps + 1):
            batch = next(batches)
            loss = _loss(model, batch.input_ids)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad(set_to_none=True)
            n_tokens += batch.n_tokens
            value = loss.item()
            if value != value:
                raise TrainingError(f"pre-training diverged at step {step}: the loss is NaN; lower learning_rate")
            if step % max(1, settings.steps // 20) == 0 or step == settings.steps:
                losses.append({"step": step, "loss": round(value, 4)})
            bar.advance(note=f"loss {value:.3f}")
    model.eval()
    return {"n_tokens": n_tokens, "history": losses}


def _loss(model: LlamaForCausalLM, input_ids: torch.Tensor) -> torch.Tensor:
    """Return the mean next-token loss. Padding stands at the end, where causal attention never looks back from."""
    from torch.nn.functional import cross_entropy

    logits = model(input_ids=input_ids[:, :-1], use_cache=False).logits
    targets = input_ids[:, 1:]
    return cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=model.config.pad_token_id)


def _optimizer(model: LlamaForCausalLM, settings: TinyBaseSettings) -> torch.optim.Optimizer:
    import torch

    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.95), fused=True)
