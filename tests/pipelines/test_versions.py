import pytest

from pipelines import versions
from pipelines.config import RunConfig
from pipelines.versions import find_version, version_name
from steps.errors import InputError


def test_the_name_follows_settings_sources_and_code(monkeypatch):
    config, other = RunConfig(name="demo"), RunConfig(name="demo", seed=8)
    name = version_name(config, "sources")
    assert name == version_name(config, "sources")
    assert len({name, version_name(other, "sources"), version_name(config, "changed")}) == 3
    monkeypatch.setattr(versions, "code_hash", lambda: "another code")
    assert version_name(config, "sources") != name


def test_no_name_is_a_number_which_zenml_would_look_up_as_one(monkeypatch):
    monkeypatch.setattr(versions, "code_hash", lambda: "code")
    config = RunConfig(name="demo")
    names = [version_name(config, str(n)) for n in range(2000)]
    assert any(name[1:].isdigit() for name in names), "without a purely decimal hash this test shows nothing"
    assert not any(name.isdigit() for name in names)


def test_a_version_that_does_not_exist_is_an_input_error_that_says_what_to_run():
    for reference in ("latest", "production", "3", "vabc"):
        with pytest.raises(InputError, match="curate or retrain"):
            find_version("no-such-model", reference)
