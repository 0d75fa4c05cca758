"""The report on agreement: what counts, what is said about it, and what is refused."""

import numpy as np
import pytest

from steps.errors import InputError
from steps.judging.agreement import agreement
from steps.judging.agreement_figures import AgreementSettings
from steps.judging.calibration import jury_fingerprint
from steps.judging.labels import Label
from steps.judging.saved_verdicts import Judged

QUICK = AgreementSettings(n_resamples=200)


def pair(item, value, annotator="Ann", order="ab", texts=("first", "second"), **criteria):
    return Label(str(item), annotator, value, order, criteria, "s", "k", texts, f"row {item}")


def answer(item, value, annotator="Ann", text="text", **criteria):
    return Label(str(item), annotator, value, None, criteria, "s", "k", (text,), f"row {item}")


def judge(first_wins, name="j", swapped=None):
    """A judge of pairs 0, 1, …; `swapped` are its P(first) in the other order, by default the same."""
    ba = first_wins if swapped is None else swapped
    return Judged(name, f"print of {name}", ab=numbered(first_wins), ba=numbered(ba))


def numbered(values):
    return {str(at): float(value) for at, value in enumerate(values) if value is not None}


def test_agreement_counts_pairs_with_a_winner_and_a_judges_tie_is_half():
    labels = [pair(at, value) for at, value in enumerate([1, 1, 0, 0.5, 1])]
    found = agreement(labels, [judge([0.9, 0.5, 0.2, 0.9, 0.1])], QUICK).report
    (one,) = found["judges"]
    assert one["agreement"]["value"] == (1 + 0.5 + 1 + 0) / 4
    assert one["agreement"]["n"] == 4
    assert one["exact"]["value"] == 2 / 5
    assert one["where_both_decide"]["value"] == 2 / 3
    assert one["confusion"]["tie"] == {"first": 1, "tie": 0, "second": 0}
    assert found["n_ties"] == 1


def test_the_majority_of_people_decides_and_items_without_one_count_for_nobody():
    labels = [pair(0, 1, who) for who in "AB"] + [pair(0, 0, "C"), pair(1, 1, "A"), pair(1, 0, "B")]
    found = agreement(labels, [judge([0.9, 0.9])], QUICK).report
    assert found["n_without_majority"] == 1
    assert found["judges"][0]["agreement"] == {"value": 1.0, "low": pytest.approx(0.207, abs=1e-3), "high": 1.0, "n": 1}
    assert any("1 items have no majority" in warning for warning in found["warnings"])


def test_the_ceiling_is_how_far_one_person_agrees_with_the_others():
    labels = [pair(item, 1, who) for item in range(10) for who in "AB"] + [
        pair(item, item % 2, "C") for item in range(10)
    ]
    ceiling = agreement(labels, [], QUICK).report["people"]["ceiling"]
    # Where C differs (5 of 10), the others of A and of B have no majority; C itself meets one in all 10.
    assert ceiling["value"] == (5 + 5 + 5) / (5 + 5 + 10)


def test_a_position_bias_is_seen_in_both_orders():
    labels = [pair(at, 1) for at in range(10)]
    always_first = judge([1] * 10, swapped=[0] * 10)
    (one,) = agreement(labels, [always_first], QUICK).report["judges"]
    assert one["position"]["first_wins"]["value"] == 1
    assert one["position"]["consistent"]["value"] == 0
    assert one["position"]["always_first"]["value"] == 1
    assert one["agreement"]["value"] == 0.5


def test_peoples_own_position_bias_is_that_of_what_they_saw():
    labels = [pair(at, 1, order="ab") for at in range(5)] + [pair(at, 0, order="ba") for at in range(5, 10)]
    people = agreement(labels, [], QUICK).report["people"]
    assert people["position"]["first_wins"]["value"] == 1
    both = [pair(0, 1, order="ab"), pair(0, 1, order="ba")]
    assert agreement(both, [], QUICK).report["people"]["position"]["consistent"]["value"] == 1


def test_a_length_bias_is_the_judges_excess_over_people_and_shows_where_the_shorter_is_better():
    labels = [pair(at, at % 2, texts=("long answer", "short")) for at in range(40)]
    (one,) = agreement(labels, [judge([0.9] * 40)], QUICK).report["judges"]
    length = one["length"]
    assert (length["judge_longer_wins"]["value"], length["people_longer_wins"]["value"]) == (1, 0.5)
    assert length["excess"]["value"] == 0.5
    assert length["excess"]["low"] > 0.3
    assert length["agreement_if_longer_is_better"]["value"] == 1
    assert length["agreement_if_shorter_is_better"]["value"] == 0


def test_agreement_is_given_by_thirds_of_the_difference_in_length():
    texts = [("x" * 10, "x" * (10 + 5 * at)) for at in range(9)]
    labels = [pair(at, 1, texts=texts[at]) for at in range(9)]
    (one,) = agreement(labels, [judge([1] * 6 + [0] * 3)], QUICK).report["judges"]
    thirds = one["length"]["agreement_by_difference"]
    assert [third["value"] for third in thirds] == [1, 1, 0]
    assert thirds[0]["from"] == 0


def test_a_judge_that_never_differs_by_chance_has_kappa_one_and_a_random_one_about_zero():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 300)
    labels = [pair(at, value) for at, value in enumerate(truth)]
    perfect, random = agreement(labels, [judge(truth, "a"), judge(rng.integers(0, 2, 300), "b")], QUICK).report[
        "judges"
    ]
    assert perfect["kappa"]["value"] == 1
    assert random["kappa"]["low"] < 0 < random["kappa"]["high"]
    assert perfect["passes"]
    assert not random["passes"]


def test_the_point_estimate_passes_and_a_wide_interval_is_said():
    labels = [pair(at, 1) for at in range(100)]
    found = agreement(labels, [judge([1] * 80 + [0] * 20)], QUICK).report
    assert found["judges"][0]["passes"]
    assert "j passes, yet its interval begins at 0.71, below 0.8" in found["warnings"]
    below = agreement(labels, [judge([1] * 79 + [0] * 21)], QUICK).report
    assert not below["judges"][0]["passes"]


def test_calibration_holds_by_fingerprint_and_has_the_jurys_weights():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 80)
    judges = [
        judge(np.where(rng.random(80) < right, truth, 1 - truth), name) for name, right in (("a", 0.9), ("b", 0.6))
    ]
    labels = [pair(at, value) for at, value in enumerate(truth)]
    report, calibration = agreement(labels, judges, QUICK, "sha")
    entry = calibration.of_judge("print of a")
    assert entry.agreement == report["judges"][0]["agreement"]["value"]
    assert (entry.judge, entry.task, entry.n) == ("a", "pairwise", 80)
    learned = calibration.of_jury(["print of b", "print of a"])
    assert learned.weights["print of a"] > learned.weights["print of b"] > 0
    assert list(calibration.juries) == [jury_fingerprint(["print of a", "print of b"])]
    assert calibration.labels_sha256 == "sha"


def test_a_majority_worse_than_its_best_member_is_warned_of():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 2, 120)
    wrong = np.where(rng.random(120) < 0.4, truth, 1 - truth)
    judges = [judge(np.where(rng.random(120) < 0.9, truth, 1 - truth), "good"), judge(wrong, "x"), judge(wrong, "y")]
    found = agreement([pair(at, value) for at, value in enumerate(truth)], judges, QUICK).report
    assert any("a majority of these judges" in warning for warning in found["warnings"])
    assert found["jury"]["weighted"]["value"] > found["jury"]["majority"]["value"] + 0.2


def test_few_labels_learn_no_weights_and_say_so():
    labels = [pair(at, at % 2) for at in range(20)]
    report, calibration = agreement(labels, [judge([1] * 20, "a"), judge([0] * 20, "b")], QUICK)
    assert report["jury"] == {"learned": False, "n": 20, "min_labels": 50}
    assert calibration.juries == {}
    warnings = " ".join(report["warnings"])
    assert "only 20 items are labelled" in warnings
    assert "too few to learn the jury's weights" in warnings


def test_preferences_of_the_defect_detector_are_refused():
    with pytest.raises(InputError, match="preferences and win rates of it are refused"):
        agreement([pair(0, 1)], [judge([1], name="defect_score")], QUICK)


def test_a_judge_asked_in_one_order_is_warned_of():
    one_order = Judged("j", "f", ab={"0": 1.0})
    found = agreement([pair(0, 1)], [one_order], QUICK).report
    assert any("j was asked in one order only" in warning for warning in found["warnings"])


def test_a_pair_of_which_one_order_failed_has_no_score():
    found = agreement([pair(0, 1), pair(1, 1)], [judge([1, 1], swapped=[1, None])], QUICK).report
    assert found["judges"][0]["n_unscored"] == 1


def test_verdicts_of_other_rows_are_an_error():
    with pytest.raises(InputError, match="no verdict is about one of the 1 labelled items"):
        agreement([pair("elsewhere", 1)], [judge([1])], QUICK)


def test_only_skipped_labels_are_an_error():
    with pytest.raises(InputError, match="every label is `skip`"):
        agreement([pair(0, None)], [judge([1])], QUICK)


def test_scores_of_answers_are_compared_in_order_at_the_threshold_and_level_by_level():
    people, scores = [1, 2, 3, 4, 5, 5], [1, 3, 3, 4, 4, 5]
    labels = [answer(at, value) for at, value in enumerate(people)]
    settings = AgreementSettings(n_resamples=200, threshold=4)
    (one,) = agreement(labels, [Judged("j", "f", scores=numbered(scores))], settings).report["judges"]
    # 14 pairs differ by people; 2 and 3, and 4 and the first 5, are ties of the judge, the rest is alike.
    assert one["agreement"]["value"] == 13 / 14
    assert one["exact"]["value"] == 4 / 6
    assert one["within_one"]["value"] == 1
    assert one["at_threshold"]["same"]["value"] == 1
    assert one["confusion"]["2"]["3"] == 1
    assert one["kappa"]["value"] > 0.8


def test_yes_and_no_are_compared_with_scores_of_another_scale():
    labels = [answer(at, value) for at, value in enumerate([0, 0, 1, 1])]
    settings = AgreementSettings(n_resamples=200, threshold=0.5)
    (one,) = agreement(labels, [Judged("j", "f", scores=numbered([0.1, 0.6, 0.7, 0.9]))], settings).report["judges"]
    bound = one["at_threshold"]
    assert (bound["same"]["value"], bound["precision"]["value"], bound["recall"]["value"]) == (3 / 4, 2 / 3, 1)
    assert bound["label_threshold"] == 0.5
    assert one["agreement"]["value"] == 1


def test_several_people_on_a_scale_are_put_together_by_the_median():
    labels = [answer(item, value, who) for item in range(3) for who, value in (("A", item), ("B", item), ("C", 5))]
    found = agreement(labels, [Judged("j", "f", scores=numbered([0, 1, 2]))], QUICK).report
    assert found["judges"][0]["exact"]["value"] == 1
    assert set(found["people"]["alpha"]) == {"nominal", "ordinal", "interval"}


def test_each_criterion_is_compared_on_its_own():
    labels = [answer(at, 3, accuracy=at % 5, tone=at % 3) for at in range(15)]
    criteria = {"accuracy": numbered([at % 5 for at in range(15)]), "style": numbered([1] * 15)}
    judged = Judged("j", "f", scores=numbered([3] * 15), criteria=criteria)
    (one,) = agreement(labels, [judged], QUICK).report["judges"]
    (accuracy,) = one["criteria"]
    assert accuracy["criterion"] == "accuracy"
    assert accuracy["agreement"]["value"] == 1


def test_length_of_answers_is_correlated_with_scores_and_with_labels():
    labels = [answer(at, at % 3, text="x" * at) for at in range(30)]
    (one,) = agreement(labels, [Judged("j", "f", scores=numbered(range(30)))], QUICK).report["judges"]
    assert one["length"]["judge_with_length"]["value"] == 1
    assert one["length"]["people_with_length"]["value"] < 0.3


def test_the_defect_detector_may_be_compared_with_labels_of_answers_but_is_said_to_rank_nothing():
    labels = [answer(at, at % 2) for at in range(10)]
    judged = Judged("defect_score", "f", scores=numbered([at % 2 for at in range(10)]))
    warnings = agreement(labels, [judged], QUICK).report["warnings"]
    assert any("is no measure of quality, and it ranks nothing" in warning for warning in warnings)


def test_the_report_is_the_same_for_the_same_seed_in_any_order_of_labels():
    labels = [pair(at, at % 2, who) for at in range(12) for who in "AB"]
    judges = [judge([0.9] * 12)]
    assert agreement(labels, judges, QUICK) == agreement(labels[::-1], judges, QUICK)
