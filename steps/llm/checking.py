"""Whether a reply is usable, and how to ask once more for one that is not: the same for every kind of client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steps.llm.fencing import neutralise
from steps.llm.json_reply import schema_problem
from steps.llm.request import Failed, with_note

#: A second try can mend these; all else would only be paid for twice.
_REPAIRABLE = (Failed.TRUNCATED_REPLY, Failed.INVALID_REPLY, Failed.EMPTY_REPLY)


def error_of(text: str, finish_reason: str, completion_tokens: int, schema: Mapping[str, Any] | None) -> str | None:
    """Say why a reply cannot be used, as `<Failed>: <message>`, or None if it can."""
    if finish_reason == "length":
        return f"{Failed.TRUNCATED_REPLY}: cut off after {completion_tokens} tokens; raise max_tokens"
    if finish_reason == "content_filter":
        return f"{Failed.CONTENT_FILTERED}: the endpoint withheld its reply"
    if not text.strip():
        return f"{Failed.EMPTY_REPLY}: finish_reason {finish_reason}"
    problem = schema_problem(text, schema) if schema is not None else None
    return None if problem is None else f"{Failed.INVALID_REPLY}: {problem}"


def is_repairable(error: str | None) -> bool:
    """Say whether the prompt is worth asking a second (and last) time."""
    return error is not None and error.startswith(_REPAIRABLE)


def asked_again(messages: Sequence[Mapping[str, str]], error: str) -> list[dict[str, str]]:
    """Return the messages of the second try: for a bad reply with a word on what was wrong with it.

    One that was cut off is asked for in the same words, with more tokens. The bad reply itself is left out: it may be
    long, and may have been dictated by the graded text.
    """
    if not error.startswith(Failed.INVALID_REPLY):
        return [dict(message) for message in messages]
    problem = neutralise(error.partition(": ")[2])
    note = "Your reply must be one JSON object of the requested form, and nothing else."
    return with_note(messages, f"{note} An earlier reply was refused because it {problem}.")
