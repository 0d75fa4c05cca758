"""A chat model by hand, for judges: answers requests in order, and remembers them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from steps.llm.request import ChatRequest, Reply

QUESTION = [{"role": "user", "content": "Name a prime number."}]


def reply_of(text: str, **changes: Any) -> Reply:
    defaults: dict[str, Any] = {
        "model": "grader-2026", "prompt_tokens": 100, "completion_tokens": 10, "cost_usd": 0.002, "latency_s": 0.5,
        "attempts": 1, "cached": False, "error": None, "finish_reason": "stop",
    }  # fmt: skip
    return Reply(text, **{**defaults, **changes})


class Chat:
    """`answer` maps a request to the reply, or to its text or JSON object."""

    def __init__(self, answer: Callable[[ChatRequest], Reply | str | dict[str, Any]]) -> None:
        self.answer = answer
        self.requests: list[ChatRequest] = []

    def __call__(self, requests: Sequence[ChatRequest]) -> list[Reply]:
        self.requests.extend(requests)
        return [self._reply(self.answer(request)) for request in requests]

    @staticmethod
    def _reply(said: Reply | str | dict[str, Any]) -> Reply:
        if isinstance(said, Reply):
            return said
        return reply_of(said if isinstance(said, str) else json.dumps(said))


def graded(score: Any, rationale: str = "seen", **criteria: Any) -> dict[str, Any]:
    names = ("instruction_following", "correctness", "completeness", "clarity")
    return {"rationale": rationale, **dict.fromkeys(names, score), **criteria, "score": score}


def spelled(tokens: Sequence[str], **tops: dict[str, float]) -> list[dict[str, Any]]:
    """Log-probabilities of a reply's tokens; `at_<i>` gives the probabilities of the alternatives at token i."""
    entries = []
    for i, token in enumerate(tokens):
        alternatives = tops.get(f"at_{i}", {token: 1.0})
        top = [{"token": one, "logprob": math.log(p)} for one, p in alternatives.items()]
        entries.append({"token": token, "logprob": math.log(alternatives.get(token, 1e-9)), "top": top})
    return entries
