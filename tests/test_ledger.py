from enum import StrEnum

import numpy as np
import pyarrow as pa
import pytest

from steps import ledger, tables
from steps.errors import DropLimitError, LedgerError
from steps.ledger import Drops, check_books, ledger_of, reasons, settle


class Reason(StrEnum):
    TOO_SHORT = "too_short"
    DUPLICATE = "duplicate"


ROWS = pa.table({"id": ["a", "b", "c", "d"], "text": ["1", "2", "3", "4"]})


def test_every_input_row_has_one_ledger_row_and_dropped_rows_carry_their_evidence():
    drops = Drops("filter")
    drops.add("b", Reason.TOO_SHORT, score=1.0)
    drops.add("d", Reason.DUPLICATE, evidence_id="a", detail="same answer")
    result = settle("filter", ROWS, drops)
    assert result.kept["id"].to_pylist() == ["a", "c"]
    by_id = {row["row_id"]: row for row in result.ledger.to_pylist()}
    assert sorted(by_id) == ["a", "b", "c", "d"]
    assert by_id["a"]["decision"] == "kept"
    assert by_id["a"]["reason"] is None
    assert by_id["d"] == {
        "row_id": "d",
        "stage": "filter",
        "decision": "dropped",
        "reason": "duplicate",
        "evidence_id": "a",
        "score": None,
        "detail": "same answer",
    }
    assert reasons(result.ledger) == {"too_short": 1, "duplicate": 1}


def test_the_first_reason_given_for_a_row_stands():
    drops = Drops("filter")
    drops.add("a", Reason.TOO_SHORT)
    drops.add("a", Reason.DUPLICATE)
    assert drops.table()["reason"].to_pylist() == ["too_short"]


def test_many_rows_drop_at_once_and_the_first_reason_stands_between_both_ways():
    drops = Drops("filter")
    drops.extend(pa.array(["d", "b"]), Reason.DUPLICATE, evidence_ids=pa.array(["a", "a"]), scores=np.array([0.9, 1.0]))
    drops.add("b", Reason.TOO_SHORT)
    drops.add("c", Reason.TOO_SHORT, detail="1 word")
    drops.extend(pa.array(["c", "a"]), pa.array(["duplicate", "too_short"]), details=pa.array(["x", None]))
    assert ("b" in drops, "a" in drops, "z" in drops, len(drops)) == (True, True, False, 4)
    found = [tuple(row.values()) for row in drops.table().to_pylist()]
    assert found == [
        ("d", "filter", "dropped", "duplicate", "a", 0.9, None),
        ("b", "filter", "dropped", "duplicate", "a", 1.0, None),
        ("c", "filter", "dropped", "too_short", None, None, "1 word"),
        ("a", "filter", "dropped", "too_short", None, None, None),
    ]


def test_the_books_are_the_same_on_disk_and_across_chunks(monkeypatch):
    ids = [f"{i:032x}" for i in range(40)]
    rows = pa.table({"id": ids, "text": list("0123456789" * 4)})
    chunked = pa.concat_tables([rows.slice(0, 9), rows.slice(9, 1), rows.slice(10)])
    drops = Drops("filter")
    drops.extend(pa.array([ids[i] for i in (39, 9, 10, 0)]), Reason.DUPLICATE)
    expected = settle("filter", rows, drops)
    monkeypatch.setattr(tables, "SPILL_BYTES", 0)
    monkeypatch.setattr(tables, "BATCH_ROWS", 10)
    monkeypatch.setattr(ledger, "BATCH_ROWS", 10)
    found = settle("filter", chunked, drops)
    assert found.kept.equals(expected.kept)
    assert found.ledger.equals(expected.ledger)
    assert found.kept["id"].to_pylist() == [row_id for i, row_id in enumerate(ids) if i not in (0, 9, 10, 39)]
    assert found.ledger["row_id"].to_pylist()[-4:] == [ids[i] for i in (39, 9, 10, 0)]


def test_a_row_that_is_written_off_twice_is_refused():
    drops = Drops("filter")
    drops.add("a", Reason.TOO_SHORT)
    with pytest.raises(LedgerError, match="twice"):
        ledger_of("filter", ROWS["id"], pa.concat_tables([drops.table(), drops.table()]))


def test_dropping_a_row_that_never_came_in_is_refused():
    drops = Drops("filter")
    drops.add("ghost", Reason.TOO_SHORT)
    with pytest.raises(LedgerError, match="ghost"):
        settle("filter", ROWS, drops)


def test_two_input_rows_with_one_id_are_refused():
    with pytest.raises(LedgerError, match="share"):
        ledger_of("filter", pa.chunked_array([["a", "a"]]), Drops("filter").table())


def test_books_that_do_not_balance_are_refused():
    written = ledger_of("filter", ROWS["id"], Drops("filter").table())
    with pytest.raises(LedgerError, match="4 rows in, 3 kept and 0 dropped"):
        check_books("filter", 4, 3, written)


def test_dropping_more_than_allowed_stops_with_the_reasons_and_keeps_the_ledger():
    drops = Drops("filter")
    for row in "abc":
        drops.add(row, Reason.TOO_SHORT)
    with pytest.raises(DropLimitError, match=r"3 of 4 rows \(75%\).*too_short: 3") as stopped:
        settle("filter", ROWS, drops, max_drop_fraction=0.5)
    assert stopped.value.ledger.num_rows == 4


def test_a_fraction_of_exactly_the_limit_goes_through_and_zero_allows_nothing():
    drops = Drops("filter")
    drops.add("a", Reason.TOO_SHORT)
    assert settle("filter", ROWS, drops, max_drop_fraction=0.25).kept.num_rows == 3
    with pytest.raises(DropLimitError):
        settle("filter", ROWS, drops, max_drop_fraction=0.0)


def test_an_empty_table_settles():
    assert settle("filter", ROWS.slice(0, 0), Drops("filter")).ledger.num_rows == 0
