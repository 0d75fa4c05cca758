import pyarrow as pa
import pytest

from steps.errors import LedgerError
from steps.judging.integrity import check_rows_unchanged, compare_unchanged, row_hashes, score_unchanged
from steps.judging.verdict import Item, Pair, Unscored, Verdict
from tests.judging.chat import QUESTION


class Hand:
    """A judge by hand: `act` may do to the items what it likes."""

    name, fingerprint, scale, report = "hand", "f", (1.0, 5.0), {}

    def __init__(self, act):
        self.score = self.compare = act


def verdict(item, score=3.0, **changes):
    return Verdict(item.item_id, "hand", "f", score, **changes)


def items():
    return [Item(str(i), [{"role": "user", "content": f"Question {i}"}], f"Answer {i}") for i in range(3)]


def test_honest_verdicts_pass_whatever_they_say():
    def act(given):
        return [verdict(given[0]), verdict(given[1], None, unscored_reason=Unscored.OUT_OF_SCALE), verdict(given[2], 5)]

    assert [one.score for one in score_unchanged(Hand(act), items())] == [3.0, None, 5]


def test_a_judge_that_changes_an_item_is_found_out():
    def act(given):
        given[1].prompt[0]["content"] = "A better question"
        return [verdict(item) for item in given]

    with pytest.raises(LedgerError, match="judge hand changed item 1"):
        score_unchanged(Hand(act), items())


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda given: [verdict(item) for item in given[:2]], "2 verdicts for 3 items"),
        (lambda given: [verdict(item) for item in given[::-1]], "verdict on 2 where 0"),
        (lambda given: [verdict(item, None) for item in given], "exactly one"),
        (lambda given: [verdict(item, 3, unscored_reason=Unscored.TOO_LONG) for item in given], "exactly one"),
        (lambda given: [verdict(item, 6.0) for item in given], "outside its scale"),
        (lambda given: [verdict(item, float("nan")) for item in given], "outside its scale"),
    ],
)
def test_verdicts_that_do_not_line_up_are_found_out(act, message):
    with pytest.raises(LedgerError, match=message):
        score_unchanged(Hand(act), items())


def test_both_orders_of_every_pair_must_come_back():
    pairs = [Pair("p", QUESTION, "7", "8")]

    def act(orders):
        return lambda given: [tuple(verdict(pair, 0.5, order=order) for order in orders) for pair in given]

    assert len(compare_unchanged(Hand(act(("ab", "ba"))), pairs)) == 1
    with pytest.raises(LedgerError, match="not ab and ba"):
        compare_unchanged(Hand(act(("ab", "ab"))), pairs)


def rows(*texts):
    return pa.table({"id": [str(i) for i in range(len(texts))], "text": list(texts)})


def test_a_judged_table_may_lose_rows_and_gain_columns_and_nothing_else():
    before = row_hashes(rows("a", "b", "c"))
    judged = rows("a", "b", "c").append_column("score", pa.array([1.0, 2.0, 3.0]))
    check_rows_unchanged(before, judged, ["score"], "judge")
    check_rows_unchanged(before, judged.slice(1, 1), ["score", "rationale"], "judge")
    with pytest.raises(LedgerError, match="changed row 1"):
        check_rows_unchanged(before, rows("a", "B", "c"), ["score"], "judge")
    with pytest.raises(LedgerError, match="changed row 0"):
        check_rows_unchanged(before, judged, [], "judge")
    with pytest.raises(LedgerError, match="row 3, which it never received"):
        check_rows_unchanged(before, rows("a", "b", "c", "d"), [], "judge")
    with pytest.raises(LedgerError, match="occurs twice"):
        check_rows_unchanged(before, pa.concat_tables([rows("a"), rows("a")]), [], "judge")
