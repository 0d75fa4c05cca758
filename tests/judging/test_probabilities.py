import pytest

from steps.judging.probabilities import weigh
from tests.judging.chat import reply_of, spelled

LEVELS = ["1", "2", "3", "4", "5"]
TOKENS = ['{"', "rationale", '": "', "good", '", "', "score", '":', " 4", "}"]
VERDICT = {"rationale": "good", "score": 4}


def weighed(tokens, verdict=VERDICT, key="score", options=LEVELS, **tops):
    return weigh(reply_of("".join(tokens), logprobs=spelled(tokens, **tops)), verdict, key, options)


def test_the_probabilities_of_all_levels_are_read_at_the_token_of_the_score():
    found = weighed(TOKENS, at_7={" 4": 0.6, " 3": 0.3, " 5": 0.06, " the": 0.04})
    assert found.probabilities == pytest.approx({"1": 0, "2": 0, "3": 0.3 / 0.96, "4": 0.6 / 0.96, "5": 0.06 / 0.96})
    assert found.why_not is None


def test_tokens_that_spell_one_level_in_several_ways_count_together():
    found = weighed(TOKENS, at_7={" 4": 0.5, "4": 0.2, " 4}": 0.1, " 3": 0.2})
    assert found.probabilities["4"] == pytest.approx(0.8)


def test_a_score_quoted_in_the_rationale_is_not_where_the_probabilities_are_read():
    tokens = ['{"rationale": "', 'it says \\"score\\":', " 5", ', no", ', '"score":', " 2", "}"]
    verdict = {"rationale": 'it says "score": 5, no', "score": 2}
    found = weighed(tokens, verdict, at_2={" 5": 1.0}, at_5={" 2": 0.9, " 1": 0.1})
    assert found.probabilities["2"] == pytest.approx(0.9)


def test_the_verdict_behind_thinking_and_other_objects_is_found():
    tokens = ['<think>{"score": 1}</think>\n', '{"rationale": "good", "score": ', "4", "}"]
    assert weighed(tokens, at_2={"4": 0.75, "5": 0.25}).probabilities["5"] == pytest.approx(0.25)


def test_a_token_that_holds_more_than_the_value_is_compared_with_what_precedes_it():
    tokens = ['{"rationale": "good", "score', '": 4', "}"]
    found = weighed(tokens, at_1={'": 4': 0.7, '": 5': 0.2, "5": 0.1})
    assert found.probabilities["4"] == pytest.approx(0.7 / 0.9)


@pytest.mark.parametrize(
    "tokens", [['{"rationale": "x", "choice": "', "tie", '"}'], ['{"rationale": "x", "choice":', ' "t', 'ie"}']]
)
def test_a_choice_is_read_within_its_quotation_marks(tokens):
    at = 1
    begin = tokens[1].rstrip("tie")
    tops = {f"at_{at}": {tokens[1]: 0.5, f"{begin}A": 0.4, f"{begin}B": 0.1}}
    verdict = {"rationale": "x", "choice": "tie"}
    found = weighed(tokens, verdict, "choice", ["A", "B", "tie"], **tops)
    assert found.probabilities == pytest.approx({"A": 0.4, "B": 0.1, "tie": 0.5})


def test_without_probabilities_there_are_none_and_the_reason_is_given():
    assert "reports none" in weigh(reply_of("{}"), VERDICT, "score", LEVELS).why_not
    assert "do not spell" in weighed(["{", "}"]).why_not


def test_levels_that_hold_little_of_the_probability_are_not_believed():
    found = weighed(TOKENS, at_7={" 4": 0.2, " N": 0.8})
    assert found.probabilities is None
    assert "0.2 of the probability" in found.why_not


def test_a_first_token_that_leaves_the_level_open_gives_no_probabilities():
    tokens = ['{"rationale": "good", "score": ', "1", "0}"]
    found = weighed(tokens, {"rationale": "good", "score": 10}, options=["1", "10"], at_1={"1": 1.0})
    assert found.probabilities is None
    assert "10" in found.why_not
