import copy
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from pipelines.cli import main
from pipelines.config import RunConfig, load_config
from pipelines.preflight import check_config, source_lines
from steps.errors import ConfigError, InputError
from tests.pipelines.conftest import SMALL


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """Check the small config with some of its keys changed, over a folder that holds its sources."""
    monkeypatch.chdir(tmp_path)
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("# A\n\nText.\n")
    (tmp_path / "bench.jsonl").write_text('{"prompt": "q"}\n')

    def check(*overrides: str):
        content = copy.deepcopy(SMALL)
        content.pop("corpus")
        content["sources"] = [{"type": "documents", "name": "notes", "path": "notes"}]
        content["curation"]["decontaminate"]["benchmark_paths"] = ["bench.jsonl"]
        (tmp_path / "run.yaml").write_text(yaml.safe_dump(content))
        return check_config(load_config(tmp_path / "run.yaml", overrides))

    return check


def test_a_sound_config_passes_and_lists_its_sources(checked):
    assert checked() == {"sources": ["notes (documents)"]}


def test_plan_says_what_a_source_holds(tmp_path):
    (tmp_path / "a.md").write_text("# A\n\nText.\n")
    source = {"type": "documents", "name": "notes", "path": str(tmp_path)}
    config = RunConfig.model_validate({"name": "x", "sources": [source]})
    assert source_lines(config) == ["notes (documents: 1 file, 0.0 MB, 0 extracted already)"]


@pytest.mark.parametrize(
    ("override", "kind", "said"),
    [
        ("sources=[]", ConfigError, "sources is empty"),
        ("sources.0.path=nowhere", InputError, "nowhere does not exist"),
        ("curation.decontaminate.benchmark_paths=[none.jsonl]", InputError, "none.jsonl does not exist"),
        ("curation.decontaminate.lm_eval_tasks=[none.yaml]", InputError, "names none.yaml"),
        ("curation.mix={parts: {a: {weight: 1}, b: {}}}", ConfigError, "b lacks one"),
        ("model.base=./nowhere", InputError, "./nowhere"),
        ("model.tiny.text_path=nowhere", InputError, "model.tiny.text_path=nowhere"),
        ("training.sft.method=qlora", ConfigError, "training.sft.method: lora"),
        ("training.dpo=null", ConfigError, "belong together"),
        ("gate.metric=chrf", ConfigError, "not among the measured metrics (tldr_format, loss)"),
        ("stack.name=nowhere", InputError, "stack.name=nowhere is not registered; registered stacks: default"),
        ("stack.gpu_step_operator=k8s", InputError, "stack.gpu_step_operator=k8s is not part of stack default"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(checked, override, kind, said):
    with pytest.raises(kind) as error:
        checked(override)
    assert said in str(error.value)


def test_an_engine_that_is_not_installed_is_refused_with_the_command_that_installs_it(checked, monkeypatch):
    monkeypatch.setattr("steps.engines.settings.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'tunesmith\[daft\]'"):
        checked("curation.engine=daft")


def test_a_key_that_an_endpoint_will_ask_for_has_to_be_there(checked, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    model = "{base_url: 'http://127.0.0.1:9/v1', model: m, api_key_env: NO_SUCH_KEY}"
    judge = f"{{judges: [{{type: llm, model: {model}}}]}}"
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        checked(f"curation.judge={judge}")
    with pytest.raises(ConfigError, match="NO_SUCH_KEY"):
        checked("release.hub={repo_id: team/model, token_env: NO_SUCH_KEY}")


def test_a_template_that_does_not_fit_the_model_is_refused(checked, tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(vocab={chr(97 + i): i for i in range(26)} | {"</s>": 26}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")
    fast.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    fast.save_pretrained(tmp_path / "model")
    LlamaConfig(vocab_size=27, hidden_size=8, num_hidden_layers=1, num_attention_heads=2).save_pretrained(
        tmp_path / "model"
    )
    with pytest.raises(InputError, match="generation"):
        checked(f"model.base={tmp_path / 'model'}")


def test_a_wrong_config_exits_with_2_in_one_paragraph_and_starts_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text("name: demo\nsede: 3\n")
    result = CliRunner().invoke(main, ["run", "run.yaml"])
    assert result.exit_code == 2
    assert "did you mean 'seed'?" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "outputs").exists()


def test_help_answers_without_loading_zenml_or_torch():
    code = (
        "import sys; from click.testing import CliRunner; from pipelines.cli import main; "
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0; "
        "heavy = {'zenml', 'torch', 'transformers', 'pyarrow.dataset', 'datasets'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
