import itertools
import random

import pytest

from steps.judging.verdict import Unscored
from steps.ledger import reasons
from steps.preference.build import PreferenceSettings, build_preferences
from steps.preference.sampled_settings import SampledSettings
from tests.preference.conftest import answers, preferences, row, sft
from tests.preference.judges import (
    PAIRWISE,
    ComparingJudge,
    HandMade,
    ScoringJudge,
    always_first,
    judged,
    prefers,
)

DATASET = sft(*(row(f"q{i}", f"Question number {i}?", f"Answer {i}.") for i in range(6)), row("t", "T?", "T.", "test"))
STARS = "the answer with stars in it"


def texts_of(number):
    return [f"{STARS} to {number}", f"a plain reply {number}", f"some words {number}", f"another thing {number}"]


def build(models, texts=texts_of, order=None, dataset=DATASET, **sampled):
    """Sample four answers to each of six prompts, in the order that `order` brings them into."""

    def sample(prompts, generation):
        found = [list(texts(int(prompt[0]["content"][16]))) for prompt in prompts]
        for own in found:
            (order or (lambda own: None))(own)
        return [answers(*own) for own in found]

    settings = PreferenceSettings(imported=False, sampled=SampledSettings(**sampled), max_drop_fraction=1)
    return build_preferences(preferences(), dataset, sample, settings, models)


def stars(text):
    return 5.0 if STARS in text else 1.0 if "plain" in text else 3.0


def chosen_of(result):
    return [pair["chosen"][0]["content"] for pair in result.kept.to_pylist()]


@pytest.mark.parametrize("seed", range(5))
def test_labels_follow_the_scores_whatever_the_order_of_samples_and_of_verdicts(seed):
    shuffled = build(
        HandMade([ScoringJudge(stars, shuffle=seed)]), order=random.Random(seed).shuffle, **judged("grader")
    )
    assert shuffled.kept.equals(build(HandMade([ScoringJudge(stars)]), **judged("grader")).kept)
    assert all(STARS in text for text in chosen_of(shuffled))
    assert all("plain" in pair["rejected"][0]["content"] for pair in shuffled.kept.to_pylist())
    assert shuffled.kept.num_rows == 6


@pytest.mark.parametrize("seed", range(5))
def test_labels_follow_the_comparisons_whatever_the_order_of_samples_and_of_verdicts(seed):
    judge = ComparingJudge(prefers(STARS), shuffle=seed)
    shuffled = build(HandMade(comparing=judge), order=random.Random(seed).shuffle, **PAIRWISE)
    assert all(STARS in text for text in chosen_of(shuffled))
    assert shuffled.kept.equals(build(HandMade(comparing=ComparingJudge(prefers(STARS))), **PAIRWISE).kept)
    assert shuffled.kept.num_rows == 6
    # The marked text stood on both sides, so that a judge's position cannot have made the labels.
    assert any(STARS in pair.first for pair in judge.pairs)
    assert any(STARS in pair.second for pair in judge.pairs)


def test_a_judge_that_always_says_first_gives_no_pair():
    result = build(HandMade(comparing=ComparingJudge(always_first)), **PAIRWISE)
    assert result.kept.num_rows == 0
    assert reasons(result.ledger) == {"inconsistent_orders": 6}
    comparisons = result.report["comparisons"]
    assert (comparisons["n"], comparisons["n_inconsistent"], comparisons["share_first_wins"]) == (36, 36, 1.0)


def test_a_judge_that_sees_no_difference_gives_ties():
    result = build(HandMade(comparing=ComparingJudge(lambda first, second: 0.5)), **PAIRWISE)
    assert reasons(result.ledger) == {"tie": 6}
    assert result.report["comparisons"]["n_ties"] == 36


def test_every_comparison_stands_in_both_orders_among_the_verdicts():
    result = build(HandMade(comparing=ComparingJudge(prefers(STARS))), **PAIRWISE)
    by_item = {}
    for verdict in result.verdicts.to_pylist():
        by_item.setdefault(verdict["item_id"], []).append(verdict["order"])
    assert len(by_item) == 36
    assert all(sorted(orders) == ["ab", "ba"] for orders in by_item.values())


def test_an_answer_is_not_chosen_over_one_that_it_beat_in_one_order_only():
    def judge(first, second):
        if STARS in first + second and "plain" in first + second:
            return 1.0  # position decides between these two, and only these
        rank = [STARS, "some", "another", "plain"]
        place = [next(i for i, word in enumerate(rank) if word in text) for text in (first, second)]
        return float(place[0] < place[1])

    result = build(HandMade(comparing=ComparingJudge(judge)), min_margin=0.1, **PAIRWISE)
    assert reasons(result.ledger) == {"inconsistent_orders": 6}


def test_an_unscored_order_leaves_the_comparison_out():
    def judge(first, second):
        return None if "plain" in first else prefers(STARS)(first, second)

    result = build(HandMade(comparing=ComparingJudge(judge)), **PAIRWISE)
    assert all(STARS in text for text in chosen_of(result))
    assert not any("plain" in pair["rejected"][0]["content"] for pair in result.kept.to_pylist())
    assert result.report["comparisons"]["n_unscored"] == 18


def test_one_text_alone_is_not_compared():
    result = build(HandMade(comparing=ComparingJudge(always_first)), lambda _: ["same", "same"], **PAIRWISE)
    assert reasons(result.ledger) == {"single_answer": 6}


def test_a_lower_bound_of_comparisons_still_finds_the_marked_answer():
    comparing = ComparingJudge(prefers(STARS))
    result = build(
        HandMade(comparing=comparing),
        comparisons={"max_per_prompt": 4, "score": "bradley_terry"},
        min_margin=0.1,
        **PAIRWISE,
    )
    assert len(comparing.pairs) == 24
    assert len(chosen_of(result)) == 6
    assert all(STARS in text for text in chosen_of(result))


def test_a_single_judge_keeps_its_scale_and_an_unscored_sample_is_left_out():
    judge = ScoringJudge(lambda text: None if "plain" in text else stars(text))
    result = build(HandMade([judge]), **judged("grader"))
    pairs = result.kept.to_pylist()
    assert {(pair["ranker"], pair["chosen_score"], pair["rejected_score"]) for pair in pairs} == {
        ("judges:grader", 5.0, 3.0)
    }
    assert result.report["judges"][0]["unscored"] == {Unscored.UNPARSEABLE_REPLY: 6}


def test_prompts_without_any_score_are_named():
    result = build(HandMade([ScoringJudge(lambda text: None)]), **judged("grader"))
    assert reasons(result.ledger) == {"unscored_samples": 6}


def test_a_jury_is_put_together_on_one_scale():
    generous = ScoringJudge(lambda text: 5.0, "generous")
    strict = ScoringJudge(stars, "strict")
    result = build(HandMade([generous, strict]), **judged("generous", "strict"))
    (pair, *_) = result.kept.to_pylist()
    assert (pair["ranker"], pair["chosen_score"], pair["rejected_score"]) == ("judges:generous+strict", 1.0, 0.5)


def test_an_answer_below_the_quorum_has_no_score():
    blind = ScoringJudge(lambda text: None if STARS in text else 3.0, "blind")
    result = build(
        HandMade([blind, ScoringJudge(stars, "strict")]), quorum=2, min_margin=0.1, **judged("blind", "strict")
    )
    assert result.kept.num_rows == 6
    assert not any(STARS in text for text in chosen_of(result))


def test_best_against_random_keeps_the_best_and_varies_the_rejected():
    result = build(HandMade([ScoringJudge(stars)]), pairing="best_vs_random", min_margin=1.0, **judged("grader"))
    assert all(STARS in text for text in chosen_of(result))
    assert len({pair["rejected_score"] for pair in result.kept.to_pylist()}) == 2


def test_all_pairs_a_margin_apart_are_rows_of_their_own():
    result = build(HandMade([ScoringJudge(stars)]), pairing="all", min_margin=2.0, **judged("grader"))
    # 5 over 3, 3 and 1, and both 3 over 1, of six prompts.
    assert result.kept.num_rows == 30
    assert set(result.ledger["row_id"].to_pylist()) == set(result.kept["id"].to_pylist())
    least = build(HandMade([ScoringJudge(stars)]), pairing="all", max_pairs_per_prompt=1, **judged("grader")).kept
    assert {(pair["chosen_score"], pair["rejected_score"]) for pair in least.to_pylist()} == {(5.0, 1.0)}


def numbers(number):
    return [f"it is\n#### {number}", f"so \\boxed{{{number}}}", "#### 99", "I say 98"]


def test_right_answers_are_chosen_over_wrong_ones():
    dataset = sft(*(row(f"q{i}", f"Question number {i}?", f"#### {i}") for i in range(6)), row("t", "T?", "1", "test"))
    ranker = {"ranker": "check:numeric_match", "pairing": "right_vs_wrong"}
    found = [build(HandMade(), numbers, order, dataset, **ranker).kept for order in (list.reverse, None)]
    assert found[0].equals(found[1])
    for pair in found[0].to_pylist():
        assert pair["example_id"][1:] in pair["chosen"][0]["content"]
        assert pair["rejected"][0]["content"] in {"#### 99", "I say 98"}
    assert len({pair["rejected"][0]["content"] for pair in found[0].to_pylist()}) == 2


@pytest.mark.parametrize(("texts", "reason"), [(("#### 1", "1"), "all_right"), (("#### 2", "3"), "all_wrong")])
def test_prompts_that_are_too_easy_or_too_hard_are_told_apart(texts, reason):
    dataset = sft(row("q1", "Question number 1?", "#### 1"), row("t", "T?", "1", "test"))
    ranker = {"ranker": "check:numeric_match", "pairing": "right_vs_wrong"}
    assert reasons(build(HandMade(), lambda _: texts, None, dataset, **ranker).ledger) == {reason: 1}


def test_answers_of_other_models_stand_beside_those_of_the_model():
    models = HandMade([ScoringJudge(stars)], reply=lambda request: f"{STARS} by the other {request.sample}")
    result = build(
        models,
        texts=lambda number: [f"a plain reply {number}", f"some words {number}"],
        others=[{"model": {"base_url": "http://localhost:1/v1", "model": "other"}, "samples_per_prompt": 2}],
        generation={"temperatures": [0.7, 1.0]},
        **judged("grader"),
    )
    assert len(models.requests) == 12
    assert {(one.sample, one.temperature) for one in models.requests} == {(0, 0.7), (1, 1.0)}
    assert all(STARS in text for text in chosen_of(result))
    assert all("other at" in row["detail"] for row in result.ledger.to_pylist())
    assert result.report["usage"]["other"]["n_requests"] == 12
    assert result.report["sampled"]["samplers"]["other at 1"] == 6


def test_permuted_samples_of_equal_score_give_the_same_pair():
    orders = itertools.permutations(range(3))
    found = []
    for order in orders:
        texts = [f"word{i} alone" for i in order]
        judge = ScoringJudge(lambda text: 1.0 if "word0" in text else 4.0)
        found.append(build(HandMade([judge]), lambda _, texts=texts: texts, **judged("grader")).kept)
    assert all(table.equals(found[0]) for table in found)
