from collections import Counter
from random import Random

import pyarrow as pa
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


def rank(splits):
    """Order of the splits from which nothing may come back."""
    return {row_id: ("train", "validation", "test").index(split) for row_id, split in splits.items()}


@pytest.mark.parametrize("seed", range(12))
def test_rows_never_come_back_from_the_test_split_however_data_grows_and_groups_merge(scored, seed):
    random = Random(seed)
    n_documents, rows = 40, []
    groups = {f"d{i}": f"d{i}" for i in range(n_documents)}
    before = {}
    for _ in range(6):
        groups |= {f"d{len(groups)}": f"d{len(groups)}" for _ in range(random.randrange(20))}
        for _ in range(random.randrange(4)):
            first, second = sorted(groups[name] for name in random.sample(sorted(groups), 2))
            groups = {name: first if group == second else group for name, group in groups.items()}
        rows += random.choices(sorted(groups), k=60)
        table = scored([(f"q{i}", "a", groups[name], name) for i, name in enumerate(rows)])
        result = split_examples(table, SplitSettings(test_fraction=0.2, seed=seed))
        after = rank(split_by_id(result.kept))
        assert all(after[row_id] >= before[row_id] for row_id in before)
        before = after


@pytest.mark.parametrize("stratify", ["expected", "exact"])
def test_with_the_earlier_splits_no_row_moves_unless_groups_merge_and_then_never_back(scored, stratify):
    for seed in range(6):
        random = Random(seed)
        settings = SplitSettings(stratify=stratify, seed=seed, test_fraction=0.2)
        documents = [(f"q{i}", "a", f"g{i % 50}", f"g{i % 50}") for i in range(150)]
        first = split_examples(scored(documents), settings).kept
        # Another seed and other fractions would move nearly everything, if it were not for the earlier splits.
        other = settings.model_copy(update={"seed": seed + 1, "test_fraction": 0.5})
        new = [(f"n{i}", "a", f"h{i}", f"h{i}") for i in range(50)]
        unmerged = split_examples(scored(documents + new), other, first).kept
        assert split_by_id(first).items() <= split_by_id(unmerged).items()
        links = {f"g{i}": f"g{random.randrange(50)}" for i in random.sample(range(50), 10)}
        merged = [(prompt, answer, links.get(group, group), name) for prompt, answer, group, name in documents + new]
        result = split_examples(scored(merged), other, first)
        old, after = rank(split_by_id(first)), rank(split_by_id(result.kept))
        moved = {row_id for row_id in old if after[row_id] != old[row_id]}
        assert all(after[row_id] > old[row_id] for row_id in moved)
        remarks = {row["row_id"]: row for row in result.ledger.to_pylist() if row["reason"] is not None}
        assert set(remarks) == moved
        assert {row_id for row_id, row in remarks.items() if row["reason"] == "left_training"} == {
            row_id for row_id in moved if old[row_id] == 0
        }
        assert all(" → " in row["detail"] and row["decision"] == "kept" for row in remarks.values())
        assert sum(result.report["changes"].values()) == len(moved)


def test_a_new_row_of_a_tested_document_is_tested(scored):
    settings = SplitSettings()
    first = split_examples(scored(many(60)), settings).kept
    tested = next(row["group_id"] for row in first.to_pylist() if row["split"] == "test")
    grown = scored([*many(60), ("new", "a", "merged", tested)])
    kept = split_examples(grown, settings.model_copy(update={"seed": 9}), first).kept
    assert kept.to_pylist()[-1]["split"] == "test"


def strata_of(scored, sizes):
    tables = [
        scored([(f"{name}{i}", "a", f"{name}{i}") for i in range(n)]).set_column(2, "kind", pa.array([name] * n))
        for name, n in sizes.items()
    ]
    return pa.concat_tables(tables)


def test_each_source_and_kind_gets_its_share_by_expectation(scored):
    table = strata_of(scored, {"list": 3000, "summary": 600, "code": 150})
    report = split_examples(table, SplitSettings(test_fraction=0.2)).report
    assert report["alarms"] == []
    for stratum in report["strata"]:
        spread = 3.5 * (0.2 * 0.8 / stratum["n_rows"]) ** 0.5
        assert stratum["test_share"] == pytest.approx(0.2, abs=spread)


def test_each_source_and_kind_gets_its_exact_share_when_asked(scored):
    sizes = {"list": 200, "summary": 30, "code": 12, "chat": 3}
    settings = SplitSettings(stratify="exact", test_fraction=0.25, validation_fraction=0.1)
    table = strata_of(scored, sizes)
    counts = Counter(
        zip(*(split_examples(table, settings).kept[c].to_pylist() for c in ("kind", "split")), strict=True)
    )
    for kind, n in sizes.items():
        assert abs(counts[kind, "test"] - 0.25 * n) <= 1
        assert abs(counts[kind, "validation"] - 0.1 * n) <= 1
    # New groups fill what the earlier ones left open.
    first = split_examples(strata_of(scored, {"list": 100}), settings).kept
    grown = split_examples(strata_of(scored, {"list": 200}), settings, first)
    assert split_by_id(first).items() <= split_by_id(grown.kept).items()
    assert Counter(grown.kept["split"].to_pylist()) == {"train": 130, "test": 50, "validation": 20}


def test_the_order_of_the_rows_is_no_matter(scored):
    table = strata_of(scored, {"list": 60, "code": 40})
    shuffled = table.take(pa.array(Random(3).sample(range(100), 100)))
    for stratify in ("expected", "exact"):
        settings = SplitSettings(stratify=stratify)
        both = [split_by_id(split_examples(each, settings).kept) for each in (table, shuffled)]
        assert both[0] == both[1]


def test_a_group_larger_than_a_held_out_split_raises_an_alarm_and_never_skews_exact_shares(scored):
    rows = [(f"q{i}", "a", "large") for i in range(60)] + many(40, 1)
    for seed in range(8):
        result = split_examples(scored(rows), SplitSettings(seed=seed, stratify="exact", test_fraction=0.2))
        assert "large has 60 rows" in result.report["alarms"][0]
        assert "stands in train" in result.report["alarms"][0]
        assert Counter(result.kept["split"].to_pylist())["test"] == 20
    skewed = SplitSettings(test_fraction=0.9, validation_fraction=0.05)
    small = [(f"q{i}", "a", "large") for i in range(50)] + many(450, 1)
    seen = {
        split_examples(scored(small), skewed.model_copy(update={"seed": seed})).report["alarms"][0] for seed in range(3)
    }
    assert any("stands in test" in alarm for alarm in seen)


def test_a_share_that_chance_does_not_explain_raises_an_alarm(scored):
    table = strata_of(scored, {"list": 400})
    first = split_examples(table, SplitSettings(test_fraction=0.5)).kept
    report = split_examples(table, SplitSettings(test_fraction=0.1), first).report
    assert any("were asked" in alarm for alarm in report["alarms"])
