"""Tiny models with random weights, made in the test: a tokenizer of bytes, a decoder, and heads for judging."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'tool' %}{{ raise_exception('no tools here') }}{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer(*, template: str | None = TEMPLATE, pad: bool = True) -> Any:
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers import models as kinds
    from transformers import PreTrainedTokenizerFast

    bytes_only = Tokenizer(kinds.BPE())
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=260,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bytes_only.train_from_iterator(["abc"], trainer)
    bytes_only.add_tokens(["Yes", "No"])
    names = {"eos_token": "<|im_end|>", "bos_token": "<|endoftext|>"} | ({"pad_token": "<|endoftext|>"} if pad else {})
    made = PreTrainedTokenizerFast(tokenizer_object=bytes_only, **names)
    made.chat_template = template
    return made


def config(vocabulary: int, **changes: Any) -> Any:
    from transformers import LlamaConfig

    sizes = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 512, "bos_token_id": 0, "eos_token_id": 2,
    }  # fmt: skip
    return LlamaConfig(vocab_size=vocabulary, **{**sizes, **changes})


def reward_model(
    folder: Path, *, labels: int = 1, pad: bool = True, template: str | None = TEMPLATE, **changes: Any
) -> str:
    import torch
    from transformers import LlamaForSequenceClassification

    torch.manual_seed(0)
    words = tokenizer(template=template, pad=pad)
    made = config(len(words), num_labels=labels, pad_token_id=0 if pad else None, **changes)
    network = LlamaForSequenceClassification(made)
    # The random head hardly tells texts apart; a wider one does.
    network.score.weight.data.normal_(0, 1)
    network.save_pretrained(folder)
    words.save_pretrained(folder)
    return str(folder)


def causal_model(folder: Path, **changes: Any) -> str:
    import torch
    from transformers import LlamaForCausalLM

    torch.manual_seed(0)
    words = tokenizer()
    changes = {"max_position_embeddings": 8192, **changes}
    LlamaForCausalLM(config(len(words), pad_token_id=0, **changes)).save_pretrained(folder)
    words.save_pretrained(folder)
    return str(folder)
