"""OpenAssistant message trees: people wrote several replies to a message and ranked them, best first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.turns import Message, turns

#: Deeper trees than this are refused; the deepest conversations of OpenAssistant have some 20 turns.
MAX_DEPTH = 200


class RankedPair(NamedTuple):
    """Two ranked replies to one conversation; rank 0 is the best."""

    prompt: list[Message]
    chosen: Message
    rejected: Message
    chosen_rank: int
    rejected_rank: int


def best_path(tree: Mapping[str, Any]) -> list[Message]:
    """Follow the best-ranked reply at each message (the first where none is ranked), down to an assistant's.

    Raises:
        UnusableError: if a message of the path is not what it should be, or no assistant replied.
    """
    path: list[Message] = []
    node: Any = tree.get("prompt")
    while node is not None and len(path) < MAX_DEPTH:
        path.append(_message(node))
        replies = _replies(node)
        node = min(replies, key=_rank_or_last) if replies else None
    while path and path[-1]["role"] != "assistant":
        path.pop()
    if not path:
        raise UnusableError(ExtractDrop.NO_ASSISTANT_TURN, "no assistant replied to the prompt")
    return path


def ranked_pairs(tree: Mapping[str, Any]) -> Iterator[RankedPair]:
    """Yield every pair of ranked assistant replies to the same message, anywhere in the tree; equal ranks are no pair.

    Raises:
        UnusableError: if a message of the tree is not what it should be.
    """
    waiting: list[tuple[Any, list[Message]]] = [(tree.get("prompt"), [])]
    while waiting:
        node, before = waiting.pop()
        path = [*before, _message(node)]
        if len(path) > MAX_DEPTH:
            raise UnusableError(ExtractDrop.TOO_DEEP_JSON, f"more than {MAX_DEPTH} turns")
        replies = _replies(node)
        waiting += [(reply, path) for reply in reversed(replies)]
        ranked = [reply for reply in replies if isinstance(reply.get("rank"), int)]
        for better, worse in combinations(sorted(ranked, key=lambda reply: int(reply["rank"])), 2):
            chosen, rejected = _message(better), _message(worse)
            if better["rank"] < worse["rank"] and chosen["role"] == rejected["role"] == "assistant":
                yield RankedPair(path, chosen, rejected, better["rank"], worse["rank"])


def _replies(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    replies = node.get("replies") or []
    if not isinstance(replies, list) or not all(isinstance(reply, Mapping) for reply in replies):
        raise UnusableError(ExtractDrop.WRONG_TYPE, "replies is not a list of messages")
    return [reply for reply in replies if not reply.get("deleted")]


def _message(node: Any) -> Message:
    if not isinstance(node, Mapping):
        raise UnusableError(ExtractDrop.WRONG_TYPE, f"a message is {type(node).__name__}, not an object")
    return turns([{"role": node.get("role"), "content": node.get("text")}], "message")[0]


def _rank_or_last(reply: Mapping[str, Any]) -> float:
    rank = reply.get("rank")
    return float(rank) if isinstance(rank, int) else float("inf")
