from steps.filtering.candidates import Candidate, matching_turns
from steps.filtering.masking import Finding, Reasons, hide, without_overlaps
from steps.filtering.row import FilterReason

REASONS = Reasons(FilterReason.SECRET, FilterReason.SECRET_MASKED, FilterReason.SECRET_FOUND)


def found(batch, *words):
    """Find words; every word is a category of its own first letter."""
    result = []
    for candidate in matching_turns(batch, "|".join(words), answers_only=False):
        findings = [
            Finding(word[0], start, start + len(word), word)
            for word in words
            for start in range(len(candidate.text))
            if candidate.text.startswith(word, start)
        ]
        result.append((candidate, findings))
    return result


def test_equal_values_share_a_number_through_all_turns_of_a_conversation(row, batch):
    rows = batch([row("ann and amy", prompt="amy, bob"), row("ann", prompt="none", position=1)])
    outcome = hide(rows, found(rows, "ann", "amy", "bob"), {"a": "mask", "b": "mask"}, REASONS)
    assert outcome.contents.to_pylist() == ["<A_1>, <B_1>", "<A_2> and <A_1>", "none", "<A_1>"]
    assert [(remark.position, remark.score) for remark in outcome.remarks] == [(0, 4.0), (1, 1.0)]
    assert outcome.failures == []


def test_one_category_to_drop_drops_the_row_and_nothing_else_is_said_of_it(row, batch):
    rows = batch([row("ann bob"), row("ann", position=1)])
    outcome = hide(rows, found(rows, "ann", "bob"), {"a": "mask", "b": "drop"}, REASONS)
    assert [(failure.position, failure.reason, failure.detail) for failure in outcome.failures] == [
        (0, FilterReason.SECRET, "b ×1 (b…b, 3 characters)")
    ]
    assert [remark.position for remark in outcome.remarks] == [1]


def test_what_is_only_reported_stays_as_it_is(row, batch):
    rows = batch([row("ann bob ann")])
    outcome = hide(rows, found(rows, "ann", "bob"), {"a": "report", "b": "report"}, REASONS)
    assert outcome.contents is None
    assert outcome.remarks == [
        (0, FilterReason.SECRET_FOUND, 3.0, "a ×2 (a…n, 3 characters), b ×1 (b…b, 3 characters)")
    ]


def test_a_mixed_row_is_masked_where_it_is_to_be(row, batch):
    rows = batch([row("ann bob")])
    outcome = hide(rows, found(rows, "ann", "bob"), {"a": "report", "b": "mask"}, REASONS)
    assert outcome.contents.to_pylist()[1] == "ann <B_1>"
    assert outcome.remarks[0].reason == FilterReason.SECRET_MASKED


def test_of_overlapping_findings_the_longest_stands():
    findings = [Finding("a", 0, 5, ""), Finding("b", 3, 20, ""), Finding("c", 20, 22, "")]
    assert [finding.category for finding in without_overlaps(findings)] == ["b", "c"]


def test_nothing_found_is_nothing_said(row, batch):
    rows = batch([row("x")])
    assert hide(rows, [(Candidate(0, 1, "x"), [])], {}, REASONS) == ([], [], None, ())
