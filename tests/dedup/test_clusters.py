import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.exact import ExactSettings
from steps.dedup.groups import merged_groups
from steps.errors import ConfigError, DropLimitError
from steps.rows import EXAMPLES, JUDGEMENT


@pytest.mark.parametrize(("keep", "survivor"), [("first", 0), ("longest", 1)])
def test_exactly_one_row_of_a_cluster_survives_and_the_rule_says_which(examples, kept, keep, survivor):
    table = examples([("q", "a"), ("q  ", " a  "), ("Q", "a ")])
    assert kept(deduplicate("exact", table, DedupSettings(keep=keep))) == [survivor]


def test_the_best_score_survives_and_unscored_rows_come_last(examples, kept):
    table = examples([("q", "a  "), ("q", "a"), ("q", "a")])
    table = table.append_column(JUDGEMENT.field("score"), pa.array([None, 0.2, 0.9], pa.float64()))
    assert kept(deduplicate("exact", table, DedupSettings(keep="best_score"))) == [2]


def test_the_best_score_without_scores_is_an_error_that_says_what_to_do(examples):
    with pytest.raises(ConfigError, match="longest"):
        deduplicate("exact", examples([("q", "a")]), DedupSettings(keep="best_score"))


def test_all_rows_of_the_dropped_rows_document_follow_it(examples, kept):
    # Row 1 of document b is dropped for row 0 of document a; row 2 of document b must not stay behind.
    table = examples([("q", "a   "), ("q", "a"), ("other", "row"), ("third", "one")], groups=["a", "b", "b", "c"])
    result = deduplicate("exact", table, DedupSettings())
    assert kept(result) == [0, 2, 3]
    assert result.kept["group_id"].to_pylist() == ["a", "a", "c"]
    assert result.kept.schema == EXAMPLES


def test_the_merged_group_has_the_smallest_id_whichever_row_survives(examples):
    table = examples([("q", "a   "), ("q", "a"), ("other", "row")], groups=["z", "b", "b"])
    assert deduplicate("exact", table, DedupSettings()).kept["group_id"].to_pylist() == ["b", "b"]


def test_merging_is_transitive_over_groups():
    groups = pa.array(["d", "c", "c", "b", "b", "a"])
    assert merged_groups(groups, np.array([0, 2, 4]), np.array([1, 3, 5])).to_pylist() == ["a"] * 6


@pytest.mark.parametrize("method", ["exact", "minhash", "semantic"])
def test_a_method_that_is_off_keeps_every_row_with_a_ledger(examples, method):
    table = examples([("q", "a"), ("q", "a")])
    result = deduplicate(method, table, DedupSettings.model_validate({method: None}))
    assert result.kept.equals(table)
    assert result.ledger["decision"].to_pylist() == ["kept", "kept"]
    assert result.report["n_dropped"] == 0


@pytest.mark.parametrize("method", ["exact", "minhash", "semantic"])
def test_an_empty_table_passes(examples, method):
    result = deduplicate(method, examples([]), DedupSettings())
    assert result.kept.num_rows == 0
    assert result.report["alarms"] == []


def test_a_cluster_above_the_configured_share_raises_an_alarm(examples):
    table = examples([("q", "a")] * 3 + [(f"q{i}", "a") for i in range(7)])
    result = deduplicate("exact", table, DedupSettings(max_cluster_fraction=0.2))
    assert len(result.report["alarms"]) == 1
    assert "3 of 10 rows" in result.report["alarms"][0]
    assert deduplicate("exact", table, DedupSettings(max_cluster_fraction=0.3)).report["alarms"] == []
    assert deduplicate("exact", table, DedupSettings(max_cluster_fraction=None)).report["alarms"] == []


def test_a_split_group_that_grew_above_the_share_raises_an_alarm(examples):
    pairs = [("q", "a"), ("q", "a")] + [(f"q{i}", "a") for i in range(8)]
    groups = ["a", "b"] + ["b"] * 4 + [f"c{i}" for i in range(4)]
    result = deduplicate("exact", examples(pairs, groups), DedupSettings(max_cluster_fraction=0.3))
    assert [alarm.split(" holds")[0] for alarm in result.report["alarms"]] == ["split group a"]


def test_the_report_lists_the_largest_clusters_with_survivor_and_size(examples):
    table = examples([("q", "a"), ("q", "a"), ("q", "a   "), ("r", "a  "), ("r", "a")])
    report = deduplicate("exact", table, DedupSettings()).report
    ids = table["id"].to_pylist()
    assert (report["n_rows"], report["n_dropped"], report["n_clusters"]) == (5, 3, 2)
    assert [(c["survivor_id"], c["size"]) for c in report["largest"]] == [(ids[2], 3), (ids[3], 2)]


def test_too_many_drops_stop_the_run(examples):
    with pytest.raises(DropLimitError, match="exact_duplicate: 2"):
        deduplicate("exact", examples([("q", "a")] * 3), DedupSettings(exact=ExactSettings(max_drop_fraction=0.5)))


def test_a_threshold_that_is_no_similarity_is_refused():
    with pytest.raises(ValidationError, match=r"minhash\.threshold"):
        DedupSettings.model_validate({"minhash": {"threshold": 1.4}})
