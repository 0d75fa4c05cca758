"""Whether a reply is usable, and how to ask once more for one that is not: the same for every kind of client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from steps.llm.fencing import neutralise
from steps.llm.json_reply import schema_problem
from steps.llm.request import ChatRequest, Failed, with_note

#: A second try can mend these; all else would only be paid for twice.
_WORTH_ASKING_AGAIN = {Failed.TRUNCATED_REPLY, Failed.INVALID_REPLY, Failed.EMPTY_REPLY}


class Problem(NamedTuple):
    """Why a reply cannot be used."""

    kind: Failed
    message: str

    @property
    def is_worth_asking_again(self) -> bool:
        """Say whether a second (and last) try may come out better."""
        return self.kind in _WORTH_ASKING_AGAIN

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def problem_of(
    text: str, finish_reason: str, completion_tokens: int, schema: Mapping[str, Any] | None
) -> Problem | None:
    """Say why a reply cannot be used, or None if it can."""
    if finish_reason == "length":
        return Problem(Failed.TRUNCATED_REPLY, f"cut off after {completion_tokens} tokens; raise max_tokens")
    if finish_reason == "content_filter":
        return Problem(Failed.CONTENT_FILTERED, "the endpoint withheld its reply")
    if not text.strip():
        return Problem(Failed.EMPTY_REPLY, f"finish_reason {finish_reason}")
    problem = schema_problem(text, schema) if schema is not None else None
    return None if problem is None else Problem(Failed.INVALID_REPLY, problem)


def second_try(request: ChatRequest, max_tokens: int, problem: Problem) -> ChatRequest:
    """Return the request with twice the tokens, and after a reply of another form a word on what was wrong with it.

    The bad reply itself is left out: it may be long, and may have been dictated by the graded text.

    Args:
        request: As it was asked.
        max_tokens: Of the first try.
        problem: What was wrong with the reply.
    """
    again = request._replace(max_tokens=2 * max_tokens)
    if problem.kind is not Failed.INVALID_REPLY:
        return again
    what = neutralise(problem.message)
    note = f"Your last reply could not be used ({what}). Reply with one JSON object of the requested form, alone."
    return again._replace(messages=with_note(request.messages, note))
