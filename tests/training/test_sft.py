import json

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer

from steps.chat.generation import GenerationSettings, generate, held_out_loss, stream
from steps.chat.model import load_tokenizer, quiet
from steps.chat.render import encode
from steps.errors import ConfigError, InputError, TrainingError
from steps.rows import rows_of_split
from steps.training.loop import check_finite
from steps.training.manifest import read_manifest
from steps.training.options import require_hardware
from steps.training.sft import SFTSettings, build_trainer, encode_splits, train_sft, trainable_model
from tests.training.conftest import COLOURS, conversation

QUICK = SFTSettings(epochs=60, learning_rate=3e-2, batch_size=8, logging_steps=10)


@pytest.fixture(scope="module")
def sft(base_model, sft_dataset, tmp_path_factory):
    return train_sft(base_model, sft_dataset, QUICK, tmp_path_factory.mktemp("sft"))


def test_sft_teaches_the_answers_and_where_to_stop(sft, base_model):
    conversations = [conversation(colour) for colour in COLOURS]
    before, after = (held_out_loss(path, conversations) for path in (base_model, sft.path))
    assert sum(row.total_nll for row in after) < 0.3 * sum(row.total_nll for row in before)
    (answer,) = generate(sft.path, [conversations[0][:1]], GenerationSettings(max_new_tokens=20))[0]
    assert answer.text.startswith("It is ")
    assert answer.stopped
    assert len(list(stream(sft.path, conversations[0][:1], GenerationSettings(max_new_tokens=20)))) > 1


def test_the_history_starts_before_training_and_its_losses_fall(sft):
    assert sft.history[0]["step"] == 0
    assert sft.history[-1]["eval_loss"] < 0.5 * sft.history[0]["eval_loss"]
    losses = [row["loss"] for row in sft.history if "loss" in row]
    assert losses[-1] < 0.5 * losses[0]
    assert {"learning_rate", "grad_norm"} <= sft.history[1].keys()
    assert sft.n_rows_trained == len(COLOURS)
    json.dumps(sft.report(), allow_nan=False)


def test_the_merged_model_is_the_base_model_with_the_adapter(sft, base_model):
    ids = torch.tensor([encode(load_tokenizer(sft.path), conversation("red")).input_ids])
    base = AutoModelForCausalLM.from_pretrained(base_model)
    merged = AutoModelForCausalLM.from_pretrained(sft.path)
    with torch.inference_mode(), quiet():
        alone = base(ids).logits
        adapted = PeftModel.from_pretrained(base, sft.path / "adapter")(ids).logits
        stored = merged(ids).logits
    assert float((adapted - stored).abs().max()) < 1e-3
    assert float((alone - stored).abs().max()) > 0.1


def test_a_model_directory_is_complete_and_names_no_path_of_this_machine(sft, base_model):
    names = {file.name for file in sft.path.iterdir()}
    assert {"adapter", "chat_template.jinja", "config.json", "generation_config.json", "tokenizer.json"} <= names
    assert (sft.path / "chat_template.jinja").read_text() == (base_model / "chat_template.jinja").read_text()
    texts = [file.read_text() for file in sft.path.rglob("*.json")]
    assert not any(str(base_model.parent) in text for text in texts)
    manifest = read_manifest(sft.path)
    assert (manifest["kind"], manifest["adapter_over"]) == ("sft", "base")
    assert manifest["template"] == read_manifest(base_model)["template"]
    tokenizer = AutoTokenizer.from_pretrained(sft.path)
    generation = AutoModelForCausalLM.from_pretrained(sft.path).generation_config
    assert tokenizer.eos_token_id in generation.eos_token_id
    assert tokenizer.eos_token_id != tokenizer.pad_token_id


def test_the_trainer_hands_the_model_our_tokens_and_labels(base_model, sft_dataset, tmp_path):
    tokenizer = load_tokenizer(base_model)
    settings = SFTSettings(epochs=1, batch_size=2)
    train, _ = encode_splits(tokenizer, sft_dataset, 200, settings)
    with quiet():
        model = trainable_model(base_model, tokenizer, settings, read_manifest(base_model))
    seen = []
    model.register_forward_pre_hook(lambda _, args, kwargs: seen.append(kwargs), with_kwargs=True)
    with quiet():
        build_trainer(model, tokenizer, train.rows, [], settings, tmp_path, []).train()
    handed = set()
    for batch in seen:
        for ids, labels, mask in zip(batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True):
            n = int(mask.sum())
            handed.add((tuple(ids[:n].tolist()), tuple(labels[:n].tolist())))
            assert set(labels[n:].tolist()) <= {-100}
    messages = rows_of_split(sft_dataset, "train")["messages"].to_pylist()
    assert handed == {tuple(map(tuple, encode(tokenizer, row))) for row in messages}


def test_the_same_seed_trains_the_same_model(base_model, sft_dataset, tmp_path):
    state = torch.get_rng_state()
    settings = SFTSettings(epochs=2, learning_rate=1e-2, dropout=0.2, seed=3)
    first, again, other = (
        train_sft(base_model, sft_dataset, s, tmp_path / name).history[-1]["eval_loss"]
        for name, s in (
            ("a", settings),
            ("b", settings),
            ("c", settings.model_copy(update={"seed": 4})),
        )
    )
    assert first == again != other
    assert torch.equal(state, torch.get_rng_state())


def test_rows_that_are_too_long_are_skipped_with_their_reason_not_cut(base_model, sft_dataset, tmp_path):
    tokenizer = load_tokenizer(base_model)
    messages = sft_dataset["messages"].to_pylist()
    lengths = [len(encode(tokenizer, row).input_ids) for row in messages]
    limit = sorted(set(lengths))[-1] - 1
    too_long = {
        row_id
        for row_id, length, split in zip(
            sft_dataset["id"].to_pylist(), lengths, sft_dataset["split"].to_pylist(), strict=True
        )
        if length > limit and split != "test"
    }
    settings = SFTSettings(max_length_tokens=limit, max_skipped_fraction=0.9)
    result = train_sft(base_model, sft_dataset, settings, tmp_path)
    assert {skip.row_id for skip in result.skipped} == too_long
    assert {skip.reason.value for skip in result.skipped} == {"too_many_tokens"}
    n_train = rows_of_split(sft_dataset, "train").num_rows
    assert result.n_rows_trained == n_train - len(too_long & set(rows_of_split(sft_dataset, "train")["id"].to_pylist()))
    with pytest.raises(TrainingError, match="max_skipped_fraction=0 allows"):
        train_sft(base_model, sft_dataset, settings.model_copy(update={"max_skipped_fraction": 0.0}), tmp_path)


def test_an_empty_training_split_is_refused(base_model, sft_dataset, tmp_path):
    with pytest.raises(TrainingError, match="no rows to train on"):
        train_sft(base_model, sft_dataset.filter(pc.equal(sft_dataset["split"], "test")), QUICK, tmp_path)


def test_full_fine_tuning_stores_the_trained_weights(base_model, sft_dataset, tmp_path):
    result = train_sft(base_model, sft_dataset, SFTSettings(method="full", epochs=5, learning_rate=3e-3), tmp_path)
    assert not (tmp_path / "adapter").exists()
    assert result.metrics["n_trainable_parameters"] == result.metrics["n_parameters"]
    assert result.history[-1]["eval_loss"] < result.history[0]["eval_loss"]


def test_early_stopping_keeps_the_weights_of_the_lowest_validation_loss(base_model, sft_dataset, tmp_path):
    validation = rows_of_split(sft_dataset, "validation")["messages"].to_pylist()
    settings = SFTSettings(epochs=30, learning_rate=0.3, early_stopping_patience=2, scheduler="constant_with_warmup")
    result = train_sft(base_model, sft_dataset, settings, tmp_path)
    losses = [row["eval_loss"] for row in result.history if "eval_loss" in row]
    assert len(losses) < 31
    assert losses[-1] > min(losses)
    rows = held_out_loss(tmp_path, validation)
    stored = sum(row.total_nll for row in rows) / sum(row.n_tokens for row in rows)
    assert stored == pytest.approx(min(losses), rel=0.02)


def test_an_adapter_that_leaves_unseen_chat_tokens_untrained_is_refused(base_model, sft_dataset, tmp_path):
    with pytest.raises(TrainingError, match="train_chat_tokens: true"):
        train_sft(base_model, sft_dataset, SFTSettings(train_chat_tokens=False), tmp_path)


def test_a_directory_that_was_not_prepared_is_refused(bare_model, sft_dataset, tmp_path):
    with pytest.raises(InputError, match=r"tunesmith\.json"):
        train_sft(bare_model, sft_dataset, QUICK, tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine could do it")
def test_qlora_without_a_gpu_is_refused_with_the_alternative():
    with pytest.raises(ConfigError, match=r"training\.sft\.method=qlora .* lacks a CUDA GPU.*method: lora"):
        require_hardware(SFTSettings(method="qlora"), "training.sft")


def test_packing_is_refused():
    with pytest.raises(ValidationError, match="packing"):
        SFTSettings(packing=True)


@pytest.mark.parametrize("name", ["loss", "eval_loss", "grad_norm"])
def test_a_number_that_is_none_stops_training_and_names_the_step(name):
    with pytest.raises(TrainingError, match=f"at step 7 {name} is nan"):
        check_finite(7, {name: float("nan")})
    check_finite(7, {name: 1.0})


def test_a_diverging_training_stops_with_an_error(base_model, sft_dataset, tmp_path):
    settings = SFTSettings(method="full", learning_rate=1.0, epochs=30, max_grad_norm=1e30, logging_steps=1)
    broken = load_and_break(base_model, tmp_path / "broken")
    with pytest.raises(TrainingError, match="diverged: at step"):
        train_sft(broken, sft_dataset, settings, tmp_path / "out")


def load_and_break(base_model, output):
    """Copy the model with one infinite weight."""
    model = AutoModelForCausalLM.from_pretrained(base_model)
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = float("inf")
    model.save_pretrained(output)
    load_tokenizer(base_model).save_pretrained(output)
    (output / "tunesmith.json").write_text((base_model / "tunesmith.json").read_text())
    return output


def test_a_row_is_trained_on_as_often_as_the_mix_repeats_it(base_model, sft_dataset):
    repeats = [2 if split == "train" else None for split in sft_dataset["split"].to_pylist()]
    repeats[0] = None
    column = sft_dataset.schema.get_field_index("repeats")
    mixed = sft_dataset.set_column(column, "repeats", pa.array(repeats, pa.int32()))
    train, validation = encode_splits(load_tokenizer(base_model), mixed, 256, QUICK)
    assert len(train.rows) == 2 * len(COLOURS) - 1
    assert len(validation.rows) == 2
    assert sum(row == train.rows[0] for row in train.rows) == 1
    assert sum(row == train.rows[1] for row in train.rows) == 2
