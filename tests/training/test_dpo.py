import math

import pyarrow as pa
import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from steps.chat.generation import held_out_loss
from steps.chat.model import load_tokenizer, quiet
from steps.chat.render import encode, encode_prompt
from steps.errors import InputError, TrainingError
from steps.rows import PREFERENCES, table
from steps.training.base import ModelSettings, prepare_base
from steps.training.data import encode_preferences, hold_out
from steps.training.dpo import DPOSettings, train_dpo
from steps.training.manifest import read_manifest
from steps.training.sft import SFTSettings, train_sft
from tests.training.conftest import conversation, write_bare_model

QUICK = DPOSettings(epochs=4, learning_rate=3e-3, batch_size=4, held_out_fraction=0.25, logging_steps=1)


@pytest.fixture(scope="module")
def sft_model(base_model, sft_dataset, tmp_path_factory):
    settings = SFTSettings(epochs=6, learning_rate=1e-2)
    return train_sft(base_model, sft_dataset, settings, tmp_path_factory.mktemp("sft")).path


@pytest.fixture(scope="module")
def dpo(sft_model, base_model, preferences, tmp_path_factory):
    return train_dpo(sft_model, base_model, preferences, QUICK, tmp_path_factory.mktemp("dpo"))


def test_the_first_loss_is_ln_2(dpo):
    assert dpo.metrics["first_loss"] == pytest.approx(math.log(2), abs=1e-3)
    assert dpo.metrics["loss_before"] == pytest.approx(math.log(2), abs=1e-3)


def test_held_out_pairs_move_towards_the_chosen_answer(dpo):
    assert dpo.metrics["loss_after"] < 0.5
    assert dpo.metrics["reward_accuracy_after"] == 1.0
    assert dpo.metrics["reward_margin_before"] == 0.0
    assert dpo.metrics["reward_margin_after"] > 0.5
    assert (dpo.n_rows_trained, dpo.metrics["n_rows_held_out"]) == (12, 4)


def test_the_stored_model_prefers_the_chosen_answers_more_than_the_sft_model(dpo, sft_model, preferences):
    def margin(path):
        sides = (
            held_out_loss(path, [p + a for p, a in zip(prompts, preferences[s].to_pylist(), strict=True)])
            for s in ("chosen", "rejected")
        )
        chosen, rejected = (sum(row.total_nll for row in rows) for rows in sides)
        return rejected - chosen

    prompts = preferences["prompt"].to_pylist()
    assert margin(dpo.path) > margin(sft_model) + 10


def test_the_dpo_model_is_the_base_model_and_one_adapter(dpo, base_model):
    assert read_manifest(dpo.path)["adapter_over"] == "base"
    assert [file.name for file in (dpo.path / "adapter").iterdir() if file.is_dir()] == []
    ids = torch.tensor([encode(load_tokenizer(dpo.path), conversation("red")).input_ids])
    base = AutoModelForCausalLM.from_pretrained(base_model)
    with torch.inference_mode(), quiet():
        adapted = PeftModel.from_pretrained(base, dpo.path / "adapter")(ids).logits
        stored = AutoModelForCausalLM.from_pretrained(dpo.path)(ids).logits
    assert float((adapted - stored).abs().max()) < 1e-3


def test_a_beta_of_zero_is_refused():
    with pytest.raises(ValidationError, match="beta"):
        DPOSettings(beta=0)


def test_full_alignment_keeps_a_frozen_reference(sft_model, base_model, preferences, tmp_path):
    settings = QUICK.model_copy(update={"method": "full", "learning_rate": 1e-3, "epochs": 2})
    result = train_dpo(sft_model, base_model, preferences, settings, tmp_path)
    assert result.metrics["first_loss"] == pytest.approx(math.log(2), abs=1e-3)
    assert result.metrics["loss_after"] < 0.69
    assert read_manifest(tmp_path)["adapter_over"] is None


def test_after_a_full_sft_a_fresh_adapter_lies_over_the_sft_model(base_model, sft_dataset, preferences, tmp_path):
    full = train_sft(base_model, sft_dataset, SFTSettings(method="full", epochs=2), tmp_path / "sft").path
    settings = QUICK.model_copy(update={"epochs": 1})
    result = train_dpo(full, base_model, preferences, settings, tmp_path / "dpo")
    assert result.metrics["first_loss"] == pytest.approx(math.log(2), abs=1e-3)
    assert read_manifest(result.path)["adapter_over"] == "sft"


def test_models_with_an_output_head_of_its_own_align_too(sft_dataset, preferences, tmp_path):
    bare = write_bare_model(tmp_path / "bare", tied=False)
    base = prepare_base(ModelSettings(base=str(bare)), tmp_path / "base")
    sft = train_sft(base, sft_dataset, SFTSettings(epochs=2, learning_rate=1e-2), tmp_path / "sft").path
    result = train_dpo(sft, base, preferences, QUICK.model_copy(update={"epochs": 1}), tmp_path / "dpo")
    assert result.metrics["first_loss"] == pytest.approx(math.log(2), abs=1e-3)


def test_pairs_are_the_tokens_of_the_shared_renderer(base_model, preferences):
    tokenizer = load_tokenizer(base_model)
    rows, skipped = encode_preferences(tokenizer, preferences, 200)
    assert skipped == []
    prompt = preferences["prompt"][0].as_py()
    chosen = preferences["chosen"][0].as_py()
    assert rows[0]["prompt_ids"] == encode_prompt(tokenizer, prompt)
    whole = encode(tokenizer, prompt + chosen)
    assert rows[0]["chosen_ids"] == [label for label in whole.labels if label != -100]
    assert rows[0]["rejected_ids"][-1] == tokenizer.eos_token_id


def test_pairs_that_cannot_be_trained_on_are_skipped_with_their_reason(base_model):
    def row(name, chosen, rejected):
        origin = {"ranker": "human", "source": "s", "path": "p"}
        return {"id": name, "prompt": conversation("red")[:1], "chosen": chosen, "rejected": rejected} | origin

    yes, no = ([{"role": "assistant", "content": text}] for text in ("Yes.", "No."))
    rows = [
        row("fine", yes, no),
        row("same", yes, yes),
        row("long", [{"role": "assistant", "content": "x" * 500}], no),
        row("user", [{"role": "user", "content": "x"}], no),
        row("none", [], no),
        row("robot", [{"role": "assistant", "content": "x"}], no) | {"prompt": [{"role": "robot", "content": ""}]},
    ]
    encoded = encode_preferences(load_tokenizer(base_model), table(rows, PREFERENCES), 200)
    assert len(encoded.rows) == 1
    assert {skip.row_id: skip.reason.value for skip in encoded.skipped} == {
        "same": "identical_answers",
        "long": "too_many_tokens",
        "user": "not_one_answer",
        "none": "not_one_answer",
        "robot": "does_not_render",
    }


def test_pairs_of_one_example_stay_on_one_side(preferences):
    train, held_out = hold_out(preferences, 0.25, seed=1)
    assert train.num_rows + held_out.num_rows == preferences.num_rows
    assert not set(train["example_id"].to_pylist()) & set(held_out["example_id"].to_pylist())
    assert len(set(held_out["example_id"].to_pylist())) == 2
    assert hold_out(preferences, 0.25, seed=1)[1].equals(held_out)
    assert hold_out(preferences, 0.0, seed=1)[1].num_rows == 0
    assert hold_out(preferences.slice(0, 1), 0.5, seed=1)[0].num_rows == 1


def test_no_pairs_at_all_are_refused(sft_model, base_model, tmp_path):
    with pytest.raises(TrainingError, match="no rows to train on"):
        train_dpo(sft_model, base_model, pa.Table.from_pylist([], schema=PREFERENCES), QUICK, tmp_path)


def test_the_base_model_of_another_run_is_refused(sft_model, preferences, tmp_path):
    bare = write_bare_model(tmp_path / "another")
    other = prepare_base(ModelSettings(base=str(bare)), tmp_path / "base")
    with pytest.raises(InputError, match="give the base model of the same run"):
        train_dpo(sft_model, other, preferences, QUICK, tmp_path / "dpo")
