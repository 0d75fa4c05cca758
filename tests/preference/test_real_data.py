from pathlib import Path
from typing import Any

import pytest

from steps.extraction.extract import Extraction, extract
from steps.extraction.sources import ExtractionSettings, Sources
from steps.ledger import reasons
from steps.preference.build import PreferenceResult, PreferenceSettings, build_preferences
from steps.rows import SFT
from tests.preference.conftest import no_samples

pytestmark = pytest.mark.real_data


def read(path: Path, **source: Any) -> Extraction:
    settings = {"type": "preferences", "name": "people", "path": str(path), **source}
    return extract(Sources.model_validate({"sources": [settings]}), ExtractionSettings())


def build(found: Extraction, **settings: Any) -> PreferenceResult:
    return build_preferences(
        found.preferences, SFT.empty_table(), no_samples, PreferenceSettings(max_drop_fraction=1, **settings)
    )


def test_the_book_s_equal_pairs_go_with_their_reason(real_data: Path) -> None:
    path = real_data / "llm-eng-handbook/artifacts/preference_datasets.json"
    found = read(path, rows_at="train.articles.samples")
    result = build(found)
    assert (found.preferences.num_rows, found.ledger.num_rows) == (381, 381)
    assert reasons(result.ledger)["chosen_equals_rejected"] == 54
    assert result.kept.num_rows + sum(reasons(result.ledger).values()) == 381


def test_people_s_ranks_become_pairs_with_margins(real_data: Path) -> None:
    found = read(real_data / "oasst-en100/en_100_tree.jsonl", ranker="human")
    assert found.preferences.num_rows == 754
    result, far = build(found), build(found, imported_min_margin=2)
    margins = [pair["chosen_score"] - pair["rejected_score"] for pair in found.preferences.to_pylist()]
    assert min(margins) == 1
    assert reasons(far.ledger)["below_min_margin"] == sum(margin < 2 for margin in margins)
    assert far.kept.num_rows < result.kept.num_rows <= 754
    assert 0.5 < result.report["length_bias"]["after"]["share_longer_chosen"] < 1
    bounded = build(found, length_bias={"max_length_bias": 0.0})
    assert bounded.report["length_bias"]["after"]["share_longer_chosen"] == 0.5
    assert bounded.report["length_bias"]["before"] == result.report["length_bias"]["after"]


def test_every_pair_of_the_demo_sets_is_read(real_data: Path) -> None:
    folder = real_data / "llamafactory-demo"
    result = build(read(folder / "dpo_en_demo.json"))
    assert reasons(result.ledger) == {"duplicate_pair": 5, "near_duplicate_answers": 1}
    assert result.kept.num_rows == 294
    assert read(folder / "v1_dpo_demo.jsonl").preferences.num_rows == 10


def test_labelled_answers_meet_those_of_the_same_prompt(real_data: Path) -> None:
    found = read(real_data / "llamafactory-demo/kto_en_demo.json")
    result = build(found)
    # 297 different prompts among 300 rows; one of them was answered well and badly.
    assert (found.preferences.num_rows, result.kept.num_rows) == (300, 1)
    assert reasons(result.ledger) == {"unpaired": 298, "used_as_rejected": 1}
