from collections import Counter

import pytest
from pydantic import ValidationError

from steps.errors import InputError
from steps.rows import LEDGER, SPLIT
from steps.splitting.split import SplitSettings, split_examples


def many(n_groups, rows_per_group=3):
    return [(f"q{g}.{i}", "a", f"group{g}") for g in range(n_groups) for i in range(rows_per_group)]


def split_by_id(table):
    return dict(zip(table["id"].to_pylist(), table["split"].to_pylist(), strict=True))


def test_the_result_has_the_schema_of_a_data_set_and_all_rows_in_order(scored):
    table = scored(many(60))
    result = split_examples(table, SplitSettings())
    assert result.kept.schema == SPLIT
    assert result.kept["id"].equals(table["id"])
    assert result.ledger.schema == LEDGER
    assert set(result.ledger["decision"].to_pylist()) == {"kept"}
    assert result.ledger["detail"].to_pylist() == result.kept["split"].to_pylist()


def test_a_group_stands_in_one_split(scored):
    kept = split_examples(scored(many(80)), SplitSettings()).kept
    splits = {}
    for group, split in zip(kept["group_id"].to_pylist(), kept["split"].to_pylist(), strict=True):
        assert splits.setdefault(group, split) == split
    assert set(splits.values()) == {"train", "validation", "test"}


def test_new_data_never_moves_an_old_row(scored):
    old = split_examples(scored(many(60)), SplitSettings()).kept
    grown = split_examples(
        scored([*many(60), *((f"new{i}", "a", f"new{i}") for i in range(500))]), SplitSettings()
    ).kept
    assert split_by_id(old).items() <= split_by_id(grown).items()


def test_the_fractions_are_shares_of_the_groups(scored):
    settings = SplitSettings(validation_fraction=0.2, test_fraction=0.3, seed=4)
    sizes = Counter(split_examples(scored(many(4000, 1)), settings).kept["split"].to_pylist())
    assert sizes["test"] / 4000 == pytest.approx(0.3, abs=0.03)
    assert sizes["validation"] / 4000 == pytest.approx(0.2, abs=0.03)


def test_another_seed_gives_other_splits_and_the_same_seed_the_same(scored):
    table = scored(many(100))
    splits = [split_examples(table, SplitSettings(seed=seed)).kept["split"] for seed in (1, 1, 2)]
    assert splits[0].equals(splits[1])
    assert not splits[0].equals(splits[2])


@pytest.mark.parametrize("settings", [SplitSettings(), SplitSettings(test_fraction=0.5, min_test_rows=100)])
def test_a_split_that_would_be_too_small_stops_with_the_fix(scored, settings):
    with pytest.raises(InputError, match=r"test_fraction.*split\.seed"):
        split_examples(scored([("q", "a", "one"), ("q2", "a", "one")]), settings)


def test_validation_may_be_empty_on_purpose_only(scored):
    table = scored(many(60))
    splits = split_examples(table, SplitSettings(validation_fraction=0)).kept["split"].to_pylist()
    assert set(splits) == {"train", "test"}
    with pytest.raises(InputError, match="min_validation_rows=1"):
        split_examples(table, SplitSettings(validation_fraction=1e-9))


def test_fractions_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(ValidationError, match="nothing to train on"):
        SplitSettings(validation_fraction=0.5, test_fraction=0.5)
