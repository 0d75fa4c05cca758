import json
import shutil

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from steps.chat.generation import GenerationSettings, generate
from steps.chat.render import IGNORED, encode
from steps.chat.template import TEMPLATES, check_template, install
from steps.errors import InputError
from steps.training.base import ModelSettings, check_model, prepare_base
from steps.training.manifest import read_manifest
from steps.training.tiny_base import TinyBaseSettings


def test_a_base_model_without_template_gets_chatml_and_embeddings_for_its_tokens(bare_model, base_model):
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    check_template(tokenizer, TEMPLATES["chatml"])
    model = AutoModelForCausalLM.from_pretrained(base_model)
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)
    assert len(tokenizer) == len(AutoTokenizer.from_pretrained(bare_model)) + 2
    assert read_manifest(base_model)["untrained_tokens"] == ["<|im_start|>", "<|im_end|>"]


def test_eos_is_the_end_of_turn_and_what_ended_a_text_before_still_does(base_model):
    tokenizer = AutoTokenizer.from_pretrained(base_model)
    generation = AutoModelForCausalLM.from_pretrained(base_model).generation_config
    assert tokenizer.eos_token == "<|im_end|>"
    assert generation.eos_token_id == [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|endoftext|>")]
    assert generation.pad_token_id == tokenizer.pad_token_id != tokenizer.eos_token_id


def test_preparing_twice_gives_the_same_weights(bare_model, base_model, tmp_path):
    again = prepare_base(ModelSettings(base=str(bare_model)), tmp_path)
    assert (again / "model.safetensors").read_bytes() == (base_model / "model.safetensors").read_bytes()


def test_the_manifest_names_no_path_of_this_machine(bare_model, base_model):
    assert str(bare_model.parent) not in (base_model / "tunesmith.json").read_text()
    manifest = read_manifest(base_model)
    assert manifest["kind"] == "base"
    assert manifest["base"] == bare_model.name
    assert manifest["template"] == {"name": "chatml", "sha256": TEMPLATES["chatml"].sha256}
    assert set(manifest["versions"]) == {"torch", "transformers", "trl", "peft", "tokenizers"}


def test_the_tiny_base_model_is_prepared_like_any_other(tmp_path):
    tiny = TinyBaseSettings(steps=2, hidden_size=32, intermediate_size=64, n_layers=1, vocab_size=400)
    output = prepare_base(ModelSettings(tiny=tiny), tmp_path)
    assert {"pretraining.json", "chat_template.jinja", "tunesmith.json", "model.safetensors"} <= {
        file.name for file in output.iterdir()
    }
    assert not (output / "pretrained").exists()
    assert read_manifest(output)["base"] == "tunesmith-tiny"
    answers = generate(output, [[{"role": "user", "content": "Hi"}]], GenerationSettings(max_new_tokens=4))
    assert answers[0][0].error is None


def with_template(bare_model, directory, text):
    shutil.copytree(bare_model, directory)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    install(tokenizer, TEMPLATES["chatml"])
    model = AutoModelForCausalLM.from_pretrained(directory)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.save_pretrained(directory)
    tokenizer.chat_template = text
    tokenizer.save_pretrained(directory)
    return directory


OWN = TEMPLATES["chatml"].text.replace("{#- ChatML.", "{#- Our house's.")


def test_an_instruct_model_keeps_its_own_template(bare_model, tmp_path):
    source = with_template(bare_model, tmp_path / "source", OWN)
    output = prepare_base(ModelSettings(base=str(source)), tmp_path / "base")
    assert (output / "chat_template.jinja").read_text() == OWN
    assert read_manifest(output)["template"]["name"] == "own"
    assert read_manifest(output)["untrained_tokens"] == []


def test_another_template_on_an_instruct_model_is_refused(bare_model, tmp_path):
    source = with_template(bare_model, tmp_path / "source", OWN)
    with pytest.raises(InputError, match=r"set model\.chat_template: auto"):
        prepare_base(ModelSettings(base=str(source), chat_template="chatml"), tmp_path / "base")


def test_an_unknown_template_without_markers_is_refused(bare_model, tmp_path):
    text = OWN.replace("{%- generation %}", "").replace("{%- endgeneration %}", "")
    source = with_template(bare_model, tmp_path / "source", text)
    with pytest.raises(InputError, match="of no known family"):
        prepare_base(ModelSettings(base=str(source)), tmp_path / "base")
    (source / "model.safetensors").unlink()
    with pytest.raises(InputError, match="of no known family"):
        check_model(ModelSettings(base=str(source)))


def test_a_model_that_fits_passes_the_check_before_the_run(bare_model):
    check_model(ModelSettings())
    check_model(ModelSettings(base=str(bare_model)))


def test_a_known_template_without_markers_is_patched(bare_model, tmp_path):
    from trl.chat_template_utils import qwen2_5_chat_template

    source = with_template(bare_model, tmp_path / "source", qwen2_5_chat_template)
    output = prepare_base(ModelSettings(base=str(source)), tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(output)
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    labels = encode(tokenizer, messages).labels
    assert tokenizer.decode([label for label in labels if label != IGNORED]) == "b<|im_end|>"


@pytest.mark.parametrize("base", ["/nowhere/model", "./nowhere", "a/b/c"])
def test_a_path_that_does_not_exist_is_refused(base, tmp_path):
    with pytest.raises(InputError, match="is no directory"):
        prepare_base(ModelSettings(base=base), tmp_path)


def test_a_directory_without_a_model_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text(json.dumps({"model_type": "no-such-model"}))
    with pytest.raises(InputError, match="cannot be loaded as a causal language model"):
        prepare_base(ModelSettings(base=str(tmp_path / "empty")), tmp_path / "out")


def test_a_length_beyond_the_context_is_refused(bare_model, tmp_path):
    with pytest.raises(InputError, match="max_length_tokens=1000 exceeds the context"):
        prepare_base(ModelSettings(base=str(bare_model), max_length_tokens=1000), tmp_path)


def test_code_of_a_model_repository_cannot_be_allowed():
    assert "trust_remote_code" not in ModelSettings.model_fields
