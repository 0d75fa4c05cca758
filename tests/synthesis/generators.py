"""Generators for tests: functions that answer a prompt as a model would, from what the prompt shows."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from steps.llm.request import ChatRequest, Reply

Answerer = Callable[[list[dict[str, str]]], str]

MATERIAL = re.compile(r"BEGIN MATERIAL (\w{16})\n(.*?)\nEND MATERIAL \1", re.DOTALL)
_WANTED = re.compile(r"Write (\d+) ")


def material_of(messages: Sequence[dict[str, str]]) -> str:
    """Return what stands between the fences of the last turn."""
    found = MATERIAL.search(messages[-1]["content"])
    assert found, messages[-1]["content"]
    return found[2]


def sentences_of(messages: Sequence[dict[str, str]]) -> list[str]:
    """Return the prose sentences of the material, as true answers."""
    return re.findall(r"[A-Z][^.\n]{20,}\.", material_of(messages))


def honest(messages: list[dict[str, str]]) -> str:
    """Answer with sentences of the material, in the form that the prompt names."""
    told = sentences_of(messages) or ["Nothing is said."]
    user = messages[-1]["content"]
    if "BEGIN STATEMENTS" in user:
        claims = re.findall(r"^\d+\. (.*)$", user.split("BEGIN STATEMENTS")[1], re.MULTILINE)
        return verdicts([(claim, True) for claim in claims])
    if "BEGIN UNSUPPORTED" in user:
        return json.dumps({"answer": told[0]})
    if "BEGIN ANSWER" in user:
        harder = "Explain in two steps why, and compare it with the alternatives: what does the guide say of it?"
        return json.dumps({"instruction": harder, "answer": told[-1]})
    wanted = int(_WANTED.search(user)[1])  # type: ignore[index]
    pairs = [(f"What is known of cache entry number {n}?", told[n % len(told)]) for n in range(wanted)]
    if '"conversations"' in messages[0]["content"]:
        turns = [{"user": question, "assistant": answer} for question, answer in [*pairs, pairs[0]]]
        return json.dumps({"conversations": [{"turns": turns}] * wanted})
    return json.dumps({"pairs": [{"instruction": question, "answer": answer} for question, answer in pairs]})


def verdicts(claims: Sequence[tuple[str, bool]]) -> str:
    return json.dumps(
        {
            "verdicts": [
                {"claim": number, "evidence": claim if supported else "", "supported": supported}
                for number, (claim, supported) in enumerate(claims, start=1)
            ]
        }
    )


def reply_of(text: str, **changes: Any) -> Reply:
    values = {
        "text": text, "model": "tiny-2026", "prompt_tokens": 100, "completion_tokens": 10, "cost_usd": 0.001,
        "latency_s": 0.1, "attempts": 1, "cached": False, "error": None, "finish_reason": "stop",
    }  # fmt: skip
    return Reply(**{**values, **changes})


def completing(answer: Answerer) -> Callable[[Sequence[ChatRequest]], list[Reply]]:
    """Return what takes the place of a client's `complete_all`."""

    def complete(requests: Sequence[ChatRequest]) -> list[Reply]:
        return [reply_of(answer([dict(message) for message in request.messages])) for request in requests]

    return complete


def count_words(texts: list[str]) -> list[int]:
    """Count words and marks: a tokenizer that needs no file."""
    return [len(re.findall(r"\w+|[^\w\s]", text)) for text in texts]
