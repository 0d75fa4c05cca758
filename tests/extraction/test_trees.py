from typing import Any

import pytest

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.trees import best_path


def node(role: str, text: str, rank: int | None, *replies: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "text": text, "rank": rank, "replies": list(replies)}


def contents(tree: dict[str, Any]) -> list[str]:
    return [message["content"] for message in best_path({"prompt": tree})]


def test_best_ranked_reply_is_followed_down_to_an_assistant() -> None:
    follow_up = node("prompter", "and then?", 0)
    tree = node("prompter", "q", None, node("assistant", "worse", 1), node("assistant", "best", 0, follow_up))
    assert contents(tree) == ["q", "best"]


def test_unranked_replies_come_in_their_order_behind_ranked_ones() -> None:
    assert contents(node("prompter", "q", None, node("assistant", "a", None), node("assistant", "b", None)))[1] == "a"
    assert contents(node("prompter", "q", None, node("assistant", "a", None), node("assistant", "b", 3)))[1] == "b"


def test_deleted_replies_are_left_out() -> None:
    deleted = node("assistant", "gone", 0) | {"deleted": True}
    assert contents(node("prompter", "q", None, deleted, node("assistant", "a", 1))) == ["q", "a"]


def test_tree_without_an_answer_has_a_reason() -> None:
    with pytest.raises(UnusableError) as caught:
        best_path({"prompt": node("prompter", "q", None)})
    assert caught.value.reason == ExtractDrop.NO_ASSISTANT_TURN
