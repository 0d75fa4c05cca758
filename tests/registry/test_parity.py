import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from steps.errors import ReleaseError
from steps.registry.parity import check_adapter, check_control_text, check_parity, check_tokens, probes


@pytest.fixture
def release(model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(model, tmp_path / "release")


def test_an_untouched_copy_passes_every_check(model: Path, release: Path, base_model: Path):
    checks = check_parity(model, release, base_model, "base")
    assert len(checks) == len(probes()) + 3
    assert [check for check in checks if check.passed is not True] == []


@pytest.mark.parametrize(
    ("old", "new", "caught_by"),
    [
        ("assistant\\n", "assistant", "one question"),
        ("message['content'] +", "message['content'].strip() +", "outer whitespace"),
        ("for message in messages", "for message in messages[-1:]", "many turns"),
    ],
)
def test_another_chat_template_is_caught(model: Path, release: Path, old: str, new: str, caught_by: str):
    template = release / "chat_template.jinja"
    assert old in template.read_text()
    template.write_text(template.read_text().replace(old, new))
    failed = {check.name for check in check_tokens(model, release) if check.passed is False}
    assert f"same tokens: {caught_by}" in failed


def test_a_failed_check_stops_the_release(model: Path, release: Path, base_model: Path):
    (release / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    with pytest.raises(ReleaseError, match="not the model that was trained"):
        check_parity(model, release, base_model, None)


def test_text_that_spells_control_tokens_forges_no_turn(release: Path):
    check = check_control_text(release)
    assert (check.passed, check.detail[:17]) == (True, "0 control tokens ")


def test_weights_that_are_not_base_plus_adapter_are_caught(release: Path, base_model: Path):
    file = release / "model.safetensors"
    weights = load_file(file)
    weights["model.layers.0.mlp.down_proj.weight"] *= 1.05
    save_file(weights, file, {"format": "pt"})
    assert check_adapter(release, base_model, "base")[0].passed is False


def test_an_adapter_that_was_not_merged_is_caught(release: Path, base_model: Path):
    shutil.copy(base_model / "model.safetensors", release / "model.safetensors")
    logits, greedy = check_adapter(release, base_model, "base")
    assert (logits.passed, greedy.passed) == (False, False)


def test_a_full_fine_tuning_has_no_adapter_to_compare_with(release: Path, base_model: Path):
    assert [check.passed for check in check_adapter(release, base_model, None)] == [None, None]


def test_a_template_without_a_system_role_is_noted_not_failed(model: Path, release: Path, tmp_path: Path):
    strict = shutil.copytree(model, tmp_path / "strict")
    for folder in (strict, release):
        template = folder / "chat_template.jinja"
        refuse = "{%- if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{%- endif %}"
        template.write_text(refuse + template.read_text())
    checks = {check.name: check for check in check_tokens(strict, release)}
    assert checks["same tokens: system turn"].passed is None
    assert "no system role" in checks["same tokens: system turn"].detail
    assert checks["same tokens: many turns"].passed is True


def test_checks_are_plain_values_for_the_card(model: Path, release: Path, base_model: Path):
    rows = [check.as_dict() for check in check_parity(model, release, base_model, None)]
    assert json.loads(json.dumps(rows)) == rows
