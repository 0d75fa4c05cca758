from typing import Any

import pytest

from steps.extraction.preferences import to_preferences
from steps.extraction.reasons import ExtractDrop, UnusableError


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


Q, GOOD, BAD = turn("user", "q"), turn("assistant", "good"), turn("assistant", "bad")


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "chosen": "good", "rejected": "bad"},
        {"prompt": [Q], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": "q", "chosen": [Q, GOOD], "rejected": [Q, BAD]},
        {"chosen": [Q, GOOD], "rejected": [Q, BAD]},
        {"chosen_messages": [Q, GOOD], "rejected_messages": [Q, BAD]},
        {"instruction": "q", "input": "", "chosen": "good", "rejected": "bad"},
        {
            "conversations": [{"from": "human", "value": "q"}],
            "chosen": {"from": "gpt", "value": "good"},
            "rejected": {"from": "gpt", "value": "bad"},
        },
    ],
)
def test_every_shape_gives_the_same_preference(row: dict[str, Any]) -> None:
    (found,) = to_preferences(row)
    assert (found.prompt, found.chosen, found.rejected) == ([Q], [GOOD], [BAD])


def test_common_turns_of_the_answers_become_the_prompt() -> None:
    start = [turn("system", "s"), Q, turn("assistant", "?"), turn("user", "more")]
    (found,) = to_preferences({"prompt": "q", "chosen": [*start, GOOD], "rejected": [*start, BAD]})
    assert (found.prompt, found.chosen) == (start, [GOOD])


def test_equal_answers_stay_a_pair_for_the_preference_stage_to_drop() -> None:
    (found,) = to_preferences({"chosen": [Q, GOOD], "rejected": [Q, GOOD]})
    assert (found.prompt, found.chosen, found.rejected) == ([Q], [GOOD], [GOOD])


def test_alpaca_input_and_system_stand_in_the_prompt() -> None:
    row = {"instruction": "i", "input": "x", "system": "s", "chosen": "good", "rejected": "bad"}
    (found,) = to_preferences(row)
    assert found.prompt == [turn("system", "s"), turn("user", "i\n\nInput:\nx")]


def test_scores_are_taken_and_a_score_of_zero_is_a_score() -> None:
    (found,) = to_preferences(
        {"prompt": "q", "chosen": "a", "rejected": "b", "score_chosen": 0, "score_rejected": -1.5}
    )
    assert (found.chosen_score, found.rejected_score) == (0.0, -1.5)


def node(role: str, text: str, rank: int | None = None, *replies: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "text": text, "rank": rank, "replies": list(replies)}


def test_tree_gives_every_pair_of_ranked_replies_with_its_conversation() -> None:
    deeper = node("prompter", "why", None, node("assistant", "w1", 1), node("assistant", "w0", 0))
    tree = node(
        "prompter", "q", None, node("assistant", "b", 1, deeper), node("assistant", "a", 0), node("assistant", "c", 2)
    )
    found = list(to_preferences({"message_tree_id": "t", "prompt": tree}))
    pairs = [(pair.prompt[-1]["content"], pair.chosen[0]["content"], pair.rejected[0]["content"]) for pair in found]
    assert sorted(pairs) == [("q", "a", "b"), ("q", "a", "c"), ("q", "b", "c"), ("why", "w0", "w1")]
    assert [len(pair.prompt) for pair in found if pair.chosen[0]["content"] == "w0"] == [3]
    assert len({pair.variant for pair in found}) == 4


def test_replies_of_equal_rank_are_no_pair() -> None:
    tree = node("prompter", "q", None, node("assistant", "a", 0), node("assistant", "b", 0), node("assistant", "c", 1))
    found = to_preferences({"message_tree_id": "t", "prompt": tree})
    assert [(pair.chosen[0]["content"], pair.rejected[0]["content"]) for pair in found] == [("a", "c"), ("b", "c")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "q", "chosen": "good"}, ExtractDrop.MISSING_KEYS),
        ({"chosen": "good", "rejected": "bad"}, ExtractDrop.NO_COMMON_PROMPT),
        ({"prompt": "q", "chosen": 1, "rejected": 2}, ExtractDrop.WRONG_TYPE),
        (
            {"message_tree_id": "t", "prompt": node("prompter", "q", None, node("assistant", "a", 0))},
            ExtractDrop.NO_RANKED_REPLIES,
        ),
    ],
)
def test_row_without_a_preference_has_a_reason(row: dict[str, Any], reason: ExtractDrop) -> None:
    with pytest.raises(UnusableError) as caught:
        list(to_preferences(row))
    assert caught.value.reason == reason
