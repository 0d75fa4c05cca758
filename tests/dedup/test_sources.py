import pyarrow as pa
import pytest

from steps.dedup.clusters import DedupSettings, deduplicate
from steps.errors import DropLimitError


@pytest.fixture
def two_sources(examples):
    """Thirty rows of source `mirror`, of which the given number repeat rows of `made`."""

    def build(n_copies, n=30):
        rows = [(f"question {i}", "answer") for i in range(n)]
        mirrored = [(f"question {i}" if i < n_copies else f"other {i}", "answer") for i in range(n)]
        table = examples(rows + mirrored)
        column = table.schema.get_field_index("source")
        sources = pa.array(["made"] * n + ["mirror"] * n)
        return table.set_column(column, table.schema.field(column), sources)

    return build


def run(table, **options):
    return deduplicate("exact", table, DedupSettings(keep="first", **options))


def test_a_source_that_is_wiped_out_stops_the_run_and_is_named(two_sources):
    with pytest.raises(DropLimitError, match="30 of the 30 rows of source mirror") as error:
        run(two_sources(30))
    assert error.value.ledger.num_rows == 60


def test_the_limit_is_a_setting_and_can_be_off(two_sources):
    with pytest.raises(DropLimitError, match=r"max_source_drop_fraction=0\.6"):
        run(two_sources(20), max_source_drop_fraction=0.6)
    assert run(two_sources(30), max_source_drop_fraction=None).kept.num_rows == 30


def test_a_source_that_loses_much_raises_an_alarm(two_sources):
    (alarm,) = run(two_sources(16)).report["alarms"]
    assert "source mirror lost 16 of its 30 rows" in alarm
    assert run(two_sources(15)).report["alarms"] == []
    assert run(two_sources(16), alarm_source_drop_fraction=None).report["alarms"] == []


def test_a_handful_of_rows_is_no_source_to_judge(two_sources):
    assert run(two_sources(10, n=10), max_cluster_fraction=None).report["alarms"] == []


def test_the_report_says_what_each_source_lost(two_sources):
    assert run(two_sources(3)).report["sources"] == [
        {"source": "made", "n_rows": 30, "n_dropped": 0},
        {"source": "mirror", "n_rows": 30, "n_dropped": 3},
    ]
