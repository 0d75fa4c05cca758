"""Every command in the README is run: `tunesmith` ones on the small run, `make` ones as far as make itself checks."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipelines.cli import main
from pipelines.config import load_config
from tests.pipelines.conftest import in_workspace, small_run, workspace  # noqa: F401  (fixtures)

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.split("#")[0].strip()
    for block in re.findall(r"```(?:bash|console|sh)\n(.*?)```", README, flags=re.DOTALL)
    for line in block.splitlines()
    if line.strip() and not line.startswith(("#", " "))
]


def commands_of(program: str) -> list[str]:
    return [command for command in COMMANDS if shlex.split(command)[0] == program]


def test_the_readme_names_only_programs_that_are_tested_here():
    assert {shlex.split(command)[0] for command in COMMANDS} == {"make", "tunesmith"}
    assert "make quickstart" in COMMANDS
    assert "make test" in COMMANDS


@pytest.mark.parametrize("command", commands_of("make"))
def test_make_knows_the_target(command):
    subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(("page", "n_blocks", "n_sources"), [("README.md", 4, 9), ("llm.md", 4, 0)])
def test_the_examples_of_a_config_page_make_one_valid_config(page, n_blocks, n_sources, tmp_path):
    whole: dict = {"name": "page"}
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "configs" / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    for block in blocks:
        _merge(whole, yaml.safe_load(block))
    assert len(blocks) == n_blocks
    (tmp_path / "page.yaml").write_text(yaml.safe_dump(whole))
    assert len(load_config(tmp_path / "page.yaml").sources) == n_sources


def _merge(into: dict, more: dict) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


@pytest.mark.integration
@pytest.mark.parametrize("command", commands_of("tunesmith"))
def test_the_command_does_what_it_says(command, small_run, in_workspace):  # noqa: F811
    """The config becomes the small one, its folders those of the test; the rest of the line runs as it stands."""
    stand_ins = {"outputs/latest/release": str(small_run.folder / "release"), "ROW_ID": _a_row_id(small_run)}
    words = []
    for word in shlex.split(command)[1:]:
        if word.startswith("configs/"):
            load_config(ROOT / word)
            word = "small.yaml"
        words.append(stand_ins.get(word, word))
    result = CliRunner().invoke(main, words, input="\n")
    assert result.exit_code == 0, result.output


def _a_row_id(run) -> str:
    from zenml.client import Client

    steps = Client().get_pipeline_run(run.summary["run_id"]).steps
    return steps["extract_documents"].outputs["documents"][0].load()["id"][0].as_py()
