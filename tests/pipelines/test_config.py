import re
from pathlib import Path

import pytest
import yaml

from pipelines.config import RunConfig, load_config
from steps.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


def write(tmp_path: Path, **content) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump({"name": "demo", **content}))
    return path


def test_there_are_configs_to_check():
    assert {path.stem for path in CONFIGS} >= {"quickstart", "documents", "dataset"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_config_is_valid(path):
    config = load_config(path)
    assert config.name
    assert config.sources


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_option_that_a_shipped_config_shows_is_valid(path, tmp_path, monkeypatch):
    text = path.read_text()
    options = re.findall(r"^ +# ((?:- \{.*|\w+: [{\w].*))$", text, re.MULTILINE)
    assert options or path.stem == "quickstart"
    used = tmp_path / path.name
    used.write_text(re.sub(r"^( +)# ((?:- \{.*|\w+: [{\w].*))$", r"\1\2", text, flags=re.MULTILINE))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/phrases.txt").write_text("internal\n")
    monkeypatch.chdir(tmp_path)
    assert load_config(used) != load_config(path) or not options


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"trainning": {}}, "unknown key trainning: did you mean 'training'?"),
        ({"training": {"sft": {"lerning_rate": 1}}}, "training.sft.lerning_rate: did you mean 'learning_rate'?"),
        ({"stack": {"nme": "x"}}, "unknown key stack.nme: did you mean 'name'?"),
        (
            {"curation": {"dedup": {"minhash": {"treshold": 0.5}}}},
            "curation.dedup.minhash.treshold: did you mean 'threshold'?",
        ),
        (
            {"sources": [{"type": "documents", "name": "n", "path": "p", "licens": "MIT"}]},
            "sources.0.licens: did you mean 'licence'?",
        ),
        ({"curation": {"dedup": {"minhash": {"threshold": 1.4}}}}, "curation.dedup.minhash.threshold=1.4"),
        ({"pipeline": "everything"}, "pipeline='everything'"),
        ({"curation": {"engine": "spark"}}, "curation.engine.type='spark'"),
        ({"curation": {"engine": {"typ": "daft"}}}, "curation.engine.typ: did you mean 'type'?"),
        ({"name": "Bad Name"}, "name='Bad Name'"),
    ],
)
def test_a_wrong_config_names_the_file_the_key_and_the_nearest_known_key(tmp_path, content, said):
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, **content))
    assert said in str(error.value)
    assert "run.yaml" in str(error.value)


def test_every_mistake_is_reported_at_once(tmp_path):
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, sed=1, gates={}))
    assert "unknown key sed: did you mean 'seed'?" in str(error.value)
    assert "unknown key gates: did you mean 'gate'?" in str(error.value)


def test_overrides_reach_nested_keys_and_list_items_and_are_validated(tmp_path):
    path = write(tmp_path, sources=[{"type": "documents", "name": "n", "path": "a"}])
    config = load_config(path, ["training.sft.epochs=2", "sources.0.path=b", "training.dpo=null", "seed=11"])
    assert config.training.sft.epochs == 2
    assert config.sources[0].path == "b"
    assert config.training.dpo is None
    assert config.seed == 11
    with pytest.raises(ConfigError, match="did you mean 'epochs'"):
        load_config(path, ["training.sft.epoch=2"])


@pytest.mark.parametrize("override", ["seed", "=3", "sources.7.path=x", "name.x.y=1"])
def test_a_malformed_override_is_refused(tmp_path, override):
    path = write(tmp_path, sources=[{"type": "documents", "name": "n", "path": "a"}])
    with pytest.raises(ConfigError, match="--set"):
        load_config(path, [override])


def test_the_run_seed_reaches_every_stage_that_sets_none_of_its_own(tmp_path):
    config = load_config(write(tmp_path, seed=5, training={"dpo": {"seed": 9}}))
    assert config.training.sft.seed == 5
    assert config.training.dpo.seed == 9
    assert config.model.tiny.seed == 5
    assert config.curation.split.seed == 5
    assert config.evaluation.generation.seed == 5
    assert config.corpus is None


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1", "just words"])
def test_a_file_that_is_no_mapping_is_a_config_error(tmp_path, text):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"run\.yaml"):
        load_config(path)


def test_a_missing_file_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_config(tmp_path / "none.yaml")


def test_the_settings_hash_covers_what_decides_the_result_and_nothing_else(tmp_path):
    path = write(tmp_path)
    plain = load_config(path).settings_hash
    assert load_config(path, ["output_dir=elsewhere", "stack.name=gpu"]).settings_hash == plain
    assert load_config(path, ["training.sft.epochs=3"]).settings_hash != plain


def test_a_config_cannot_be_changed_after_it_was_checked(tmp_path):
    config = load_config(write(tmp_path))
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 3
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


def test_the_engine_is_named_alone_and_is_no_part_of_what_decides_the_result(tmp_path):
    local = load_config(write(tmp_path))
    on_daft = load_config(write(tmp_path), ["curation.engine=daft"])
    assert on_daft.curation.engine.type == "daft"
    assert on_daft.settings_hash == local.settings_hash
    assert load_config(write(tmp_path), ["curation.dedup.keep=first"]).settings_hash != local.settings_hash


JUDGE = {"judge": "llm", "llm": {"endpoint": "grader"}}
GRADER = {"base_url": "http://localhost:8000/v1", "model": "m"}


def test_a_stage_takes_a_model_by_its_name_in_endpoints_with_the_price_from_the_table(tmp_path):
    path = write(
        tmp_path,
        endpoints={"grader": GRADER},
        prices={"m": {"input_usd": 1, "output_usd": 4}},
        curation={"judge": JUDGE},
    )
    config = load_config(path)
    endpoint = config.curation.judge.llm.endpoint
    assert (endpoint.base_url, endpoint.model, endpoint.prices) == (GRADER["base_url"], "m", (1, 4))
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


def test_a_models_own_price_wins_over_the_table(tmp_path):
    own = {"price_per_million_input_usd": 0, "price_per_million_output_usd": 0}
    path = write(
        tmp_path,
        endpoints={"grader": {**GRADER, **own}},
        prices={"m": {"input_usd": 1, "output_usd": 4}},
        curation={"judge": JUDGE},
    )
    assert load_config(path).curation.judge.llm.endpoint.prices == (0, 0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"endpoints": {"other": GRADER}}, "endpoint='grader': no model of this name stands in `endpoints`, .* other"),
        ({"endpoints": ["grader"]}, "endpoints"),
        ({"endpoints": {"grader": {**GRADER, "modle": 1}}}, "unknown key .*modle"),
        ({"endpoints": {"grader": GRADER}, "prices": {"m": {"input_usd": 1}}}, "missing key prices.m.output_usd"),
    ],
)
def test_a_wrong_name_endpoint_or_price_is_refused(content, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        load_config(write(tmp_path, curation={"judge": JUDGE}, **content))


def test_a_renamed_endpoint_changes_no_result_and_no_version(tmp_path):
    def hash_of(name: str) -> str:
        judge = {"judge": "llm", "llm": {"endpoint": name}}
        return load_config(write(tmp_path, endpoints={name: GRADER}, curation={"judge": judge})).settings_hash

    assert hash_of("grader") == hash_of("other")
