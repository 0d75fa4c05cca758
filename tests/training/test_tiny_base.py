import json

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from steps.chat.template import CHATML
from steps.training.tiny_base import TinyBaseSettings, train_tiny_base

SMALL = {
    "vocab_size": 400,
    "hidden_size": 32,
    "n_layers": 1,
    "n_heads": 2,
    "intermediate_size": 64,
    "context_length": 256,
    "sequence_length": 64,
    "steps": 60,
    "batch_size": 8,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_tiny_base(TinyBaseSettings(**SMALL), tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def loaded(trained):
    return AutoModelForCausalLM.from_pretrained(trained), AutoTokenizer.from_pretrained(trained)


def weights(path):
    return AutoModelForCausalLM.from_pretrained(path).state_dict()


def same(left, right):
    return all(torch.equal(left[name], right[name]) for name in left)


def test_the_directory_is_complete_and_loads(trained, loaded):
    model, tokenizer = loaded

    assert (trained / "model.safetensors").is_file()
    assert (trained / "chat_template.jinja").read_text() == CHATML
    assert not list(trained.glob("*.bin"))
    assert model.config.vocab_size == len(tokenizer)


def test_the_end_of_a_turn_is_eos_and_not_padding(loaded):
    model, tokenizer = loaded

    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.pad_token == "<|pad|>"
    assert tokenizer.eos_token_id in model.generation_config.eos_token_id
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id != tokenizer.eos_token_id


def test_chat_tokens_are_one_token_each(loaded):
    _, tokenizer = loaded

    for token in ("<|im_start|>", "<|im_end|>", "<|pad|>", "<|endoftext|>"):
        assert len(tokenizer(token, add_special_tokens=False)["input_ids"]) == 1


def test_any_text_survives_the_tokenizer(loaded):
    _, tokenizer = loaded
    text = "  Ünïcode, 日本語 🙂\tand\n\nspaces  "

    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_training_lowers_the_loss(trained):
    history = json.loads((trained / "pretraining.json").read_text())["history"]

    assert history[-1]["step"] == SMALL["steps"]
    assert history[-1]["loss"] < history[0]["loss"] - 1


def test_a_seed_gives_the_same_weights_every_time(trained, tmp_path):
    again = train_tiny_base(TinyBaseSettings(**SMALL), tmp_path / "again")

    assert same(weights(trained), weights(again))


def test_another_seed_gives_other_weights(trained, tmp_path):
    other = train_tiny_base(TinyBaseSettings(**{**SMALL, "steps": 2}, seed=1), tmp_path / "other")

    left, right = weights(trained), weights(other)
    assert left["model.norm.weight"].shape == right["model.norm.weight"].shape
    assert not torch.equal(left["model.norm.weight"], right["model.norm.weight"])


def test_the_global_random_state_is_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_tiny_base(TinyBaseSettings(**{**SMALL, "steps": 1}), tmp_path / "model")

    assert torch.equal(torch.rand(3), expected)


def test_a_folder_of_text_can_be_learnt(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "a.md").write_text("The quick brown fox jumps over the lazy dog. " * 40)
    (texts / "ignored.bin").write_bytes(b"\0\1")
    settings = TinyBaseSettings(**{**SMALL, "steps": 120, "vocab_size": 300}, text_path=str(texts))
    model_dir = train_tiny_base(settings, tmp_path / "model")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(model_dir), AutoTokenizer.from_pretrained(model_dir)
    prompt = tokenizer("The quick brown", return_tensors="pt")
    answer = model.generate(**prompt, max_new_tokens=24, do_sample=False)

    assert "fox jumps" in tokenizer.decode(answer[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"hidden_size": 36}, "not a multiple"), ({"sequence_length": 512}, "exceeds context_length")],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        TinyBaseSettings(**{**SMALL, "n_heads": 4, **changes})
