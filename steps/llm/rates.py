"""Requests and tokens per minute of one endpoint."""

from __future__ import annotations

import math
from typing import NamedTuple

from steps.llm.endpoint import EndpointSettings

#: Seconds by which sending may lag behind an even pace and catch up afterwards.
_BURST_S = 1.0
#: Bytes of JSON per prompt token until the endpoint's own counts say better; English text has about four.
_BYTES_PER_TOKEN = 4.0
#: Weight of the newest reply in the running means that token estimates are made from.
_NEWEST = 0.05


class Ticket(NamedTuple):
    """The right to send one request now."""

    sent_at: float
    """Monotonic seconds."""
    prompt_bytes: int
    estimated_tokens: float
    is_trial: bool
    """The one request that tries an endpoint that was left alone."""


class Rate:
    """Amounts per minute as a moving deadline: each amount moves the time at which the next may go.

    Over any minute at most the limit goes out (and the one request under way), since the burst is taken off the pace.
    An amount above what a burst holds is not stuck: it goes, and the next ones wait the longer.

    >>> rate = Rate(61.0)
    >>> rate.take(0.0, 3.0)
    >>> rate.wait_s(0.0), rate.wait_s(2.5)
    (2.0, 0.0)
    """

    def __init__(self, per_minute: float) -> None:
        self._per_s = per_minute / (60.0 + _BURST_S)
        self._free_at = -math.inf

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next amount may go."""
        return max(0.0, self._free_at - _BURST_S - now)

    def take(self, now: float, amount: float) -> None:
        """Count an amount."""
        self._free_at = max(self._free_at, now) + amount / self._per_s

    def correct(self, amount: float) -> None:
        """Add what an amount was estimated too low; below 0 for too high."""
        self._free_at += amount / self._per_s


class Rates:
    """Requests and tokens a minute of one endpoint; outlives the single run."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._requests = Rate(settings.requests_per_minute) if settings.requests_per_minute is not None else None
        self._tokens = Rate(settings.tokens_per_minute) if settings.tokens_per_minute is not None else None
        self._bytes_per_token = _BYTES_PER_TOKEN
        self._reply_tokens: float | None = None

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next request may go."""
        return max((rate.wait_s(now) for rate in (self._requests, self._tokens) if rate is not None), default=0.0)

    def take(self, now: float, prompt_bytes: int, most_reply_tokens: int) -> float:
        """Count a request, and return the tokens it is taken to need: like those before it, at first its utmost."""
        reply = most_reply_tokens if self._reply_tokens is None else min(self._reply_tokens, most_reply_tokens)
        estimated = prompt_bytes / self._bytes_per_token + reply
        if self._requests is not None:
            self._requests.take(now, 1.0)
        if self._tokens is not None:
            self._tokens.take(now, estimated)
        return estimated

    def settle(self, ticket: Ticket, prompt_tokens: int, completion_tokens: int) -> None:
        """Correct the estimate by what the endpoint counted."""
        if self._tokens is None:
            return
        self._tokens.correct(prompt_tokens + completion_tokens - ticket.estimated_tokens)
        found = ticket.prompt_bytes / max(1, prompt_tokens)
        self._bytes_per_token += _NEWEST * (found - self._bytes_per_token)
        before = completion_tokens if self._reply_tokens is None else self._reply_tokens
        self._reply_tokens = before + _NEWEST * (completion_tokens - before)
