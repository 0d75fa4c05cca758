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


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "completion": "good", "label": True},
        {"prompt": [Q], "completion": [GOOD], "label": 1},
        {"messages": [Q, GOOD], "label": True},
        {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "good"}], "label": True},
        {"instruction": "q", "completion": "good", "label": True},
    ],
)
def test_an_answer_with_a_label_is_half_a_preference(row: dict[str, Any]) -> None:
    (liked,) = to_preferences(row)
    assert (liked.prompt, liked.chosen, liked.rejected) == ([Q], [GOOD], [])
    (disliked,) = to_preferences({**row, "label": type(row["label"])(0)})
    assert (disliked.prompt, disliked.chosen, disliked.rejected) == ([Q], [], [GOOD])


@pytest.mark.parametrize(
    "answers",
    [
        {"completions": [{"response": t, "overall_score": s} for t, s in (("bad", 1.5), ("good", 4), ("fair", "3"))]},
        {"answers": [{"answer": t, "rank": r} for t, r in (("good", 1), ("fair", 2), ("bad", 4))]},
        {"generations": ["fair", "bad", "good"], "ratings": [3, 1, 5]},
        {"responses": ["bad", "good", "fair"], "ranks": [3, 1, 2]},
    ],
)
def test_scored_or_ranked_answers_give_every_pair_of_different_score(answers: dict[str, Any]) -> None:
    found = list(to_preferences({"instruction": "q", **answers}))
    pairs = [(pair.chosen[0]["content"], pair.rejected[0]["content"]) for pair in found]
    assert pairs == [("good", "fair"), ("good", "bad"), ("fair", "bad")]
    assert all(pair.prompt == [Q] for pair in found)
    assert all(pair.chosen_score > pair.rejected_score for pair in found if pair.chosen_score is not None)
    assert len({pair.variant for pair in found}) == 3


def test_answers_of_equal_or_without_score_are_in_no_pair() -> None:
    row = {"prompt": "q", "generations": ["a", "b", "c", "d"], "ratings": [4, 4, None, "N/A"]}
    with pytest.raises(UnusableError) as caught:
        list(to_preferences(row))
    assert caught.value.reason == ExtractDrop.NO_RANKED_REPLIES
    (found,) = to_preferences({**row, "ratings": [4, 3, None, "N/A"]})
    assert (found.chosen_score, found.rejected_score) == (4.0, 3.0)


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
    margins = {(pair.chosen_score, pair.rejected_score) for pair in found}
    assert margins == {(0.0, -1.0), (0.0, -2.0), (-1.0, -2.0)}


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
        ({"prompt": "q", "completion": "a", "label": "maybe"}, ExtractDrop.WRONG_TYPE),
        ({"messages": [Q], "label": True}, ExtractDrop.MISSING_KEYS),
        ({"completion": "a", "label": False}, ExtractDrop.NO_COMMON_PROMPT),
        ({"prompt": "q", "generations": ["a", "b"], "ratings": [1]}, ExtractDrop.WRONG_TYPE),
        ({"prompt": "q", "generations": ["a", 2], "ratings": [1, 2]}, ExtractDrop.WRONG_TYPE),
        ({"generations": ["a", "b"], "ratings": [1, 2]}, ExtractDrop.NO_COMMON_PROMPT),
        ({"prompt": "q", "generations": ["a", "b"]}, ExtractDrop.MISSING_KEYS),
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
