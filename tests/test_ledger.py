from enum import StrEnum

import pyarrow as pa
import pytest

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


def test_dropping_a_row_that_never_came_in_is_refused():
    drops = Drops("filter")
    drops.add("ghost", Reason.TOO_SHORT)
    with pytest.raises(LedgerError, match="ghost"):
        settle("filter", ROWS, drops)


def test_two_input_rows_with_one_id_are_refused():
    with pytest.raises(LedgerError, match="share"):
        ledger_of("filter", pa.chunked_array([["a", "a"]]), Drops("filter").table())


def test_books_that_do_not_balance_are_refused():
    ledger = ledger_of("filter", ROWS["id"], Drops("filter").table())
    with pytest.raises(LedgerError, match="4 rows in, 3 kept and 0 dropped"):
        check_books("filter", 4, 3, ledger)


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
