"""What a batch's files and its last state say of each request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from steps.llm.checking import Problem
from steps.llm.request import Failed
from steps.llm.transport import Answer, read_answer

#: Statuses of a single request that another submission may not share.
_RETRYABLE = {408, 409, 425, 429}
#: Characters of an endpoint's error message that are worth showing.
_EXCERPT = 300


class Unanswered(NamedTuple):
    """Why a request got no answer, and whether another submission in the same run may fare better."""

    problem: Problem
    may_pass: bool


def read_line(line: Mapping[str, Any], body: Mapping[str, Any]) -> Answer | Unanswered:
    """Read a line of a file of results.

    Args:
        line: `custom_id`, and a `response` or an `error`.
        body: Of the request.
    """
    response, error = line.get("response"), line.get("error")
    if not isinstance(response, dict):
        return _refused(0, error)
    status, content = response.get("status_code"), response.get("body")
    if status != 200:
        said = content.get("error") if isinstance(content, dict) else None
        return _refused(status if isinstance(status, int) else 0, error or said or content)
    outcome = read_answer(json.dumps(content).encode(), body)
    if isinstance(outcome, Answer):
        return outcome
    return Unanswered(Problem(outcome.kind, outcome.message), may_pass=True)


def _refused(status: int, error: object) -> Unanswered:
    said = error if isinstance(error, dict) else {"message": error}
    message = str(said.get("message") or said)[:_EXCERPT]
    if said.get("code") == "batch_expired":
        return Unanswered(Problem(Failed.TIMEOUT, message), may_pass=True)
    if status in _RETRYABLE:
        return Unanswered(Problem(Failed.RATE_LIMITED, f"HTTP {status}: {message}"), may_pass=True)
    if status >= 500 or status == 0:
        return Unanswered(
            Problem(Failed.SERVER_ERROR, f"HTTP {status}: {message}" if status else message), may_pass=True
        )
    return Unanswered(Problem(Failed.REQUEST_REFUSED, f"HTTP {status}: {message}"), may_pass=False)


def unanswered(batch: Mapping[str, Any]) -> Unanswered:
    """Say why a batch that has ended left a request out.

    Whoever cancels a batch wants no other in its place, and a file that was refused would be refused again.
    """
    status, name = batch["status"], f"batch {batch['id']}"
    if status == "expired":
        return Unanswered(Problem(Failed.TIMEOUT, f"{name} expired before the request was answered"), may_pass=True)
    if status == "cancelled":
        return Unanswered(
            Problem(Failed.NOT_SENT, f"{name} was cancelled before the request was answered"), may_pass=False
        )
    if status == "failed":
        errors = (batch.get("errors") or {}).get("data") or []
        said = "; ".join(str(error.get("message")) for error in errors[:3]) or "without a reason"
        return Unanswered(Problem(Failed.REQUEST_REFUSED, f"{name} failed: {said[:_EXCERPT]}"), may_pass=False)
    message = f"{name} completed, and its files do not mention the request"
    return Unanswered(Problem(Failed.MALFORMED_RESPONSE, message), may_pass=True)


def latency_s_of(batch: Mapping[str, Any]) -> float:
    """Return the seconds from a batch's creation to its end, as the endpoint tells them; 0 if it does not."""
    created_at = batch.get("created_at")
    ends = [batch.get(name) for name in ("completed_at", "expired_at", "cancelled_at", "failed_at")]
    known = [float(at) for at in ends if isinstance(at, int | float)]
    return max(known) - float(created_at) if known and isinstance(created_at, int | float) else 0.0
