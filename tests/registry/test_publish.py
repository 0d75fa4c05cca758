import json
import shutil
from pathlib import Path

import pytest

from steps.errors import ReleaseError
from steps.evaluation.rows import behaviour_hash
from steps.registry.publish import publish
from steps.registry.push import push
from steps.registry.release import HubSettings, ReleaseSettings, check_sums


@pytest.fixture
def run(model, base_model, evaluation_report, curation_report, verdict, tmp_path):
    def run(trained: Path = model, settings: ReleaseSettings | None = None, **changes: object):
        return publish(
            trained,
            base_model,
            evaluation_report,
            {**verdict, "model_sha256": behaviour_hash(model), **changes},
            curation_report,
            settings or ReleaseSettings(),
            "notes",
            {"pipeline run": "retrain-1"},
            tmp_path / "release",
        )

    return run


def test_a_promoted_model_becomes_a_complete_release(run):
    published = run()
    check_sums(published.path)
    manifest = json.loads((published.path / "tunesmith.json").read_text())
    assert manifest["candidate"] is False
    assert manifest["verdict"]["decision"] == "promote"
    assert published.card == (published.path / "README.md").read_text()
    assert "| merged logits = base + adapter | passed |" in published.card
    assert published.pushed is None


def test_a_model_that_was_held_is_a_marked_candidate_and_is_not_pushed(run, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    hub = ReleaseSettings(hub=HubSettings(repo_id="team/x", endpoint="http://127.0.0.1:9"))
    published = run(settings=hub, decision="hold")
    assert json.loads((published.path / "tunesmith.json").read_text())["candidate"] is True
    assert "This is a candidate" in published.card
    assert published.pushed is None


def test_a_verdict_about_another_model_releases_nothing(run, tmp_path):
    with pytest.raises(ReleaseError, match="the verdict is about model"):
        run(model_sha256="0" * 64)
    assert not (tmp_path / "release").exists()


def test_a_damaged_model_is_not_released(run, model, base_model, tmp_path):
    broken = shutil.copytree(model, tmp_path / "broken")
    shutil.copy(base_model / "model.safetensors", broken / "model.safetensors")
    with pytest.raises(ReleaseError, match="merged logits"):
        run(broken, model_sha256=behaviour_hash(broken))
    assert not (tmp_path / "release").exists()


def test_a_missing_token_is_told_before_the_work_begins(run, monkeypatch, tmp_path):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(ReleaseError, match="HF_TOKEN, which is not set"):
        run(settings=ReleaseSettings(hub=HubSettings(repo_id="team/x")))
    assert not (tmp_path / "release").exists()


def test_an_offline_hub_is_told_with_the_way_out(run, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    path = run().path
    with pytest.raises(ReleaseError, match="HF_HUB_OFFLINE is set"):
        push(path, HubSettings(repo_id="team/x"))
