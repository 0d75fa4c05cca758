"""Reads a chat model's verdict: its own JSON object, never one that stood in the graded text."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from steps.judging.verdict import Unscored
from steps.llm.json_reply import parse_object, read_object
from steps.llm.request import Failed, Reply

_UNSCORED = {
    Failed.INVALID_REPLY: Unscored.UNPARSEABLE_REPLY,
    Failed.EMPTY_REPLY: Unscored.UNPARSEABLE_REPLY,
    Failed.TRUNCATED_REPLY: Unscored.TRUNCATED_REPLY,
}


def verdict_object(
    reply: Reply, schema: Mapping[str, Any], material: Sequence[str]
) -> dict[str, Any] | tuple[Unscored, str]:
    """Return the JSON object of a judge's reply, or why there is none.

    Args:
        reply: Of the judge.
        schema: That the object was asked to satisfy. One that misses it is returned too, for its fields to be checked.
        material: The graded texts. A verdict that stands in one of them was quoted or dictated, and is refused.
    """
    failure = reply.failure
    if failure is not None and failure is not Failed.INVALID_REPLY:
        return _UNSCORED.get(failure, Unscored.ENDPOINT_FAILED), str(reply.error)
    try:
        found = read_object(reply.text, schema)
    except ValueError:
        try:
            found = parse_object(reply.text)
        except ValueError as error:
            return Unscored.UNPARSEABLE_REPLY, f"the reply {error}"
    if _is_quotation(reply.text, found, material):
        return Unscored.UNPARSEABLE_REPLY, "the verdict in the reply is a quotation of the graded text"
    return found


def _is_quotation(text: str, found: Mapping[str, Any], material: Sequence[str]) -> bool:
    """Say whether the object was taken from the graded texts: whole, or, amid other words, by its rationale."""
    graded = [_squashed(one) for one in material]
    whole = _squashed(text)
    if whole.startswith("{") and whole.endswith("}"):
        return any(whole in one for one in graded)
    rationale = str(found.get("rationale") or "")
    spellings = {rationale, json.dumps(rationale)[1:-1], json.dumps(rationale, ensure_ascii=False)[1:-1]}
    return any(_squashed(spelling) in one for spelling in spellings if spelling.strip() for one in graded)


def _squashed(text: str) -> str:
    """Leave out blanks: neutralising a text adds some."""
    return "".join(text.split())


def chat_fingerprint(kind: str, model: Any, prompt_sha256: str, *, weighted: bool) -> str:
    """Return the fingerprint of a judge that a chat model stands behind.

    Where the model is served does not count, nor what it costs: the same model elsewhere is the same judge. What is
    sampled, and what the endpoint is told to do otherwise, does.
    """
    decisive = ("type", "model", "temperature", "top_p", "seed", "extra_body")
    values = {key: getattr(model, key, None) for key in decisive}
    canonical = json.dumps({"kind": kind, **values, "weighted": weighted}, sort_keys=True, default=dict)
    return hashlib.sha256(f"{canonical}\n{prompt_sha256}".encode()).hexdigest()
