import pytest
from pydantic import ValidationError

from steps.filtering.presets import PRESETS
from steps.filtering.quality import QualitySettings
from steps.filtering.rules import RULES, FilteringSettings, apply_filters


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_survives_being_written_and_read(name):
    settings = FilteringSettings.model_validate({"preset": name})
    assert FilteringSettings.model_validate(settings.model_dump(mode="json")) == settings


def test_the_files_own_values_win_over_the_preset_and_the_rest_of_a_block_stays_the_presets():
    settings = FilteringSettings.model_validate(
        {"preset": "web_gopher", "repetition": {"max_line_fraction": 0.9}, "quality": None, "refusals": {}}
    )
    assert settings.repetition is not None
    assert settings.repetition.max_line_fraction == 0.9
    assert settings.repetition.max_top_2_gram_fraction == 0.2
    assert settings.quality is None
    assert settings.refusals is not None


def test_none_switches_everything_off_but_what_the_file_sets():
    assert all(getattr(FilteringSettings(preset="none"), name) is None for name, _ in RULES)
    settings = FilteringSettings.model_validate({"preset": "none", "quality": {"min_words": 9}})
    assert settings.quality == QualitySettings(min_words=9)


def test_the_web_preset_has_the_thresholds_of_the_papers():
    settings = FilteringSettings(preset="web_gopher").repetition
    assert settings is not None
    assert [getattr(settings, f"max_repeated_{n}_gram_fraction") for n in range(5, 11)] == [
        0.15,
        0.14,
        0.13,
        0.12,
        0.11,
        0.1,
    ]


def test_an_unknown_preset_is_refused_by_name():
    with pytest.raises(ValidationError, match="gopher"):
        FilteringSettings.model_validate({"preset": "gopher"})


def test_a_short_answer_stays_by_the_preset_for_instructions_and_falls_by_the_one_for_web_pages(examples):
    table = examples([("user", "Capital of France?"), ("assistant", "Paris.")])
    assert apply_filters(table, FilteringSettings()).kept.num_rows == 1
    assert apply_filters(table, FilteringSettings(preset="web_gopher", max_drop_fraction=1)).kept.num_rows == 0
