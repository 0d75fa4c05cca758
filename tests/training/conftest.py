"""A base model of ten thousand weights, built in-process and prepared as any other."""

from pathlib import Path

import pyarrow as pa
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from steps.rows import PREFERENCES, SFT, messages_id, table
from steps.training.base import ModelSettings, prepare_base

COLOURS = ("red", "blue", "green", "black", "white", "brown", "grey", "a very pale pink")


def conversation(colour: str) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"Name the colour {colour}."},
        {"role": "assistant", "content": f"It is {colour}."},
    ]


def write_bare_model(directory: Path, *, vocab_size: int = 320, tied: bool = True) -> Path:
    """Write a model whose tokenizer has neither a chat template nor chat tokens."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        [message["content"] for colour in COLOURS for message in conversation(colour)] * 4,
        trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=["<|endoftext|>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>", model_max_length=256)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                max_position_embeddings=256,
                tie_word_embeddings=tied,
                eos_token_id=tokenizer.eos_token_id,
                initializer_range=0.3,
            )
        )
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def bare_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bare_model(tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="session")
def base_model(bare_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_base(ModelSettings(base=str(bare_model)), tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def sft_dataset() -> pa.Table:
    rows = []
    for split in ("train", "validation", "test"):
        for colour in COLOURS if split == "train" else COLOURS[:2]:
            messages = conversation(colour)
            origin = {"source": "colours", "path": f"{split}.jsonl"}
            row_id = messages_id(messages, split)
            rows.append(
                {"id": row_id, "messages": messages, "kind": "list", "group_id": row_id, "split": split} | origin
            )
    return table(rows, SFT)


@pytest.fixture(scope="session")
def preferences() -> pa.Table:
    rows = []
    for i, colour in enumerate(COLOURS * 2):
        prompt, answer = conversation(colour)[:1], conversation(colour)[1:]
        rejected = [{"role": "assistant", "content": f"{colour}? No idea, {i}."}]
        row_id = messages_id([*prompt, *answer, *rejected], i)
        rows.append(
            {"id": row_id, "prompt": prompt, "chosen": answer, "rejected": rejected, "ranker": "human"}
            | {"source": "colours", "path": "pairs.jsonl", "row": i, "example_id": f"example-{colour}"}
        )
    return table(rows, PREFERENCES)
