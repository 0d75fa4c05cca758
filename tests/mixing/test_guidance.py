from typing import get_args

import numpy as np
import pytest
from safetensors.numpy import save_file

from steps.mixing.guidance import RANGES, TaskType, advise, parameters_named, parameters_of, said, task_of


def test_every_task_has_a_range_with_its_sources():
    assert set(RANGES) == set(get_args(TaskType))
    for found in RANGES.values():
        assert 0 < found.low < found.high
        assert found.sources
        assert all("20" in source for source in found.sources)


@pytest.mark.parametrize(("n_rows", "verdict"), [(50, "below"), (500, "within"), (5_000, "above")])
def test_a_data_set_is_placed_in_the_range(n_rows, verdict):
    found = advise("style", 7_000_000_000, n_rows)
    assert (found["verdict"], found["low"], found["high"], found["have"]) == (verdict, 100, 1_000, n_rows)
    assert verdict in said(found)
    assert f"{n_rows:,}" in said(found)


def test_smaller_models_need_more_and_larger_ones_fewer_rows():
    lows = [advise("instruction_following", n)["low"] for n in (135_000_000, 7_000_000_000, 70_000_000_000)]
    assert lows == [2_000, 1_000, 500]
    assert advise("instruction_following", 3_000_000_000)["low"] == 1_000


def test_continued_pretraining_counts_tokens_per_parameter():
    found = advise("continued_pretraining", 1_000, n_rows=1, n_tokens=30_000)
    assert (found["unit"], found["low"], found["high"], found["verdict"]) == ("tokens", 1_000, 20_000, "above")
    assert advise("continued_pretraining", None, n_tokens=5)["verdict"] == "unknown"


def test_without_data_the_range_alone_is_said():
    found = advise("reasoning", None)
    assert found["verdict"] == "unknown"
    assert said(found).endswith("rows")


def test_rows_made_of_documents_ask_about_a_domain():
    assert task_of(["summary", "list"]) == "domain_qa"
    assert task_of(["summary", "imported"]) == task_of(["imported"]) == task_of([]) == "instruction_following"


def test_parameters_are_counted_in_the_files_of_a_model(tmp_path):
    save_file({"a": np.zeros((3, 4), np.float32), "b": np.zeros(5, np.float16)}, tmp_path / "model.safetensors")
    assert parameters_of(tmp_path) == 17
    assert parameters_of(tmp_path / "none") is None


def test_parameters_are_read_off_a_name():
    assert parameters_named("org/SmolLM2-135M") == 135_000_000
    assert parameters_named("org/Model-1.5B-chat") == 1_500_000_000
    assert parameters_named("tiny") is None
    assert parameters_named("7b-org/model") is None
