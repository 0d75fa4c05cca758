import json
import shutil
import subprocess
from pathlib import Path

import pytest

from steps.errors import ReleaseError
from steps.evaluation.rows import behaviour_hash
from steps.registry.release import assemble, check_sums
from tests.registry.conftest import CARD


def test_a_release_has_all_that_the_hub_layout_asks_for(make_release, model):
    release = make_release(candidate=False)
    names = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    assert names == {
        "README.md",
        "SHA256SUMS",
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "tunesmith.json",
    }
    manifest = json.loads((release / "tunesmith.json").read_text())
    assert manifest["candidate"] is False
    assert manifest["kind"] == "sft"
    assert (release / "README.md").read_text() == CARD
    assert behaviour_hash(release) == behaviour_hash(model)


def test_no_path_of_this_machine_is_released(make_release, tmp_path):
    release = make_release()
    texts = [path.read_text() for path in release.rglob("*") if path.suffix in {".json", ".md", ".jinja"}]
    assert not [text for text in texts if str(tmp_path.parent) in text or str(Path.home()) in text]
    assert json.loads((release / "adapter/adapter_config.json").read_text())["base_model_name_or_path"] == "made/base"


def test_the_checksums_are_those_that_sha256sum_reads(make_release):
    release = make_release()
    check_sums(release)
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=release, check=True)


@pytest.mark.parametrize("damage", ["changed", "missing", "added"])
def test_any_damage_is_found_and_named(make_release, damage):
    release = make_release()
    file = release / ("extra.bin" if damage == "added" else "config.json")
    file.unlink() if damage == "missing" else file.write_text("{}")
    with pytest.raises(ReleaseError, match=file.name):
        check_sums(release)


def test_a_release_that_fails_half_way_leaves_nothing(model, tmp_path):
    def refuse(staged: Path) -> str:
        assert (staged / "model.safetensors").is_file()
        raise ReleaseError("parity failed")

    with pytest.raises(ReleaseError, match="parity failed"):
        assemble(model, refuse, tmp_path / "out" / "release", {})
    assert list((tmp_path / "out").iterdir()) == []


def test_a_release_is_never_written_over_another(make_release, model):
    release = make_release()
    with pytest.raises(ReleaseError, match="never written over another"):
        assemble(model, lambda _: CARD, release, {})
    check_sums(release)


@pytest.mark.parametrize("missing", ["tokenizer.json", "chat_template.jinja", "tunesmith.json", "model.safetensors"])
def test_a_model_that_could_not_be_served_is_not_released(model, tmp_path, missing):
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / missing).unlink()
    with pytest.raises(ReleaseError, match=missing.replace("model.", "")):
        assemble(broken, lambda _: CARD, tmp_path / "release", {})
    assert not (tmp_path / "release").exists()
