"""A byte-level tokenizer and a model of ten thousand weights, built in-process."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from steps.chat.template import TEMPLATES, install


def bare_tokenizer(*special_tokens: str) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        ["user\nassistant\nsystem\n", "Name a colour.", "It is blue.", "\n\n\n", "Another one?"] * 8,
        trainers.BpeTrainer(
            vocab_size=320,
            special_tokens=["<|endoftext|>", *special_tokens],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>")


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerFast:
    """ChatML installed, EOS `<|im_end|>`, pad `<|endoftext|>`."""
    built = bare_tokenizer()
    install(built, TEMPLATES["chatml"])
    return built


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model of 96 positions with a ChatML tokenizer."""
    directory = tmp_path_factory.mktemp("model")
    tokenizer = bare_tokenizer()
    install(tokenizer, TEMPLATES["chatml"])
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
                max_position_embeddings=96,
                tie_word_embeddings=True,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                initializer_range=0.3,
            )
        )
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory
