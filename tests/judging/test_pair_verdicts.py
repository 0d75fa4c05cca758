"""Verdicts of preference building, found again under the pairs that people label."""

import pytest

from steps.judging.pair_verdicts import judges_of_pairs, rankers_of
from steps.judging.verdict import Verdict, verdict_table
from steps.preference.comparisons import ComparisonSettings
from steps.preference.ranking import Asked, rank_by_comparisons, rank_by_judges
from steps.rows import PREFERENCES, table


class LongerPair:
    """Prefers the longer answer, and a little more so when it is shown first."""

    name, fingerprint = "longer", "f"

    def compare(self, pairs):
        def verdict(pair, order):
            shown = (pair.first, pair.second) if order == "ab" else (pair.second, pair.first)
            score = 0.9 if len(shown[0]) > len(shown[1]) else 0.2
            return Verdict(pair.item_id, self.name, self.fingerprint, score, order=order)

        return [(verdict(pair, "ab"), verdict(pair, "ba")) for pair in pairs]


class Longer:
    """Scores an answer by its length."""

    name, fingerprint, scale = "length", "g", (0.0, 100.0)

    def score(self, items):
        return [Verdict(item.item_id, self.name, self.fingerprint, float(len(item.answer))) for item in items]


PROMPT = [{"role": "user", "content": "Q"}]
TEXTS = ("short", "a good deal longer", "long enough")


def asked():
    row = {"id": "row", "messages": [*PROMPT, {"role": "assistant", "content": "gold"}]}
    return [Asked(row, PROMPT, "gold", list(TEXTS), {})]


def preferences(*pairs):
    def said(text):
        return [{"role": "assistant", "content": text}]

    shared = {"prompt": PROMPT, "ranker": "pairwise:longer", "source": "s", "path": "", "example_id": "row"}
    rows = [{**shared, "id": "".join(pair), "chosen": said(pair[0]), "rejected": said(pair[1])} for pair in pairs]
    return table(rows, PREFERENCES)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_comparison_is_found_whichever_of_the_two_answers_came_first(seed):
    verdicts = rank_by_comparisons(asked(), LongerPair(), ComparisonSettings(), seed).verdicts
    pairs = [(TEXTS[1], TEXTS[0]), (TEXTS[0], TEXTS[1]), (TEXTS[2], TEXTS[0])]
    (judge,) = judges_of_pairs(preferences(*pairs), verdict_table(verdicts))
    right, wrong, other = ("".join(pair) for pair in pairs)
    assert judge.fingerprint == "f"
    assert (judge.ab[right], judge.ba[right]) == (pytest.approx(0.9), pytest.approx(0.8))
    assert (judge.ab[wrong], judge.ba[wrong]) == (pytest.approx(0.2), pytest.approx(0.1))
    assert judge.preferences()[other] == pytest.approx(0.85)


def test_a_judge_of_single_answers_prefers_what_it_scores_higher():
    verdicts = rank_by_judges(asked(), [Longer()], "mean", 1, {}).verdicts
    pairs = preferences((TEXTS[1], TEXTS[0]), (TEXTS[0], TEXTS[2]), ("unseen", TEXTS[0]))
    (judge,) = judges_of_pairs(pairs, verdict_table(verdicts))
    assert judge.preferences() == {TEXTS[1] + TEXTS[0]: 1.0, TEXTS[0] + TEXTS[2]: 0.0}


def test_who_ranked_the_pairs_always_prefers_the_chosen_answer():
    (ranker,) = rankers_of(preferences(("a", "b"), ("c", "d")))
    assert ranker.name == "ranker pairwise:longer"
    assert ranker.preferences() == {"ab": 1.0, "cd": 1.0}
