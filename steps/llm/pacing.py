"""When the next request may be sent: concurrency, requests and tokens a minute, pauses, and a circuit breaker."""

from __future__ import annotations

import asyncio
import math
import random
import time
from enum import Enum, auto
from typing import NamedTuple

from steps.errors import EndpointError
from steps.llm.endpoint import EndpointSettings

#: Seconds by which sending may lag behind an even pace and catch up afterwards.
_BURST_S = 1.0
#: Bytes of JSON per prompt token until the endpoint's own counts say better; English text has about four.
_BYTES_PER_TOKEN = 4.0
#: Weight of the newest reply in the running means that token estimates are made from.
_NEWEST = 0.05
#: A cut halves the limit, and this many windows without another one bring it back.
_WINDOWS_TO_RECOVER = 8


class Health(Enum):
    """What an attempt says about the endpoint."""

    ANSWERED = auto()
    REFUSED = auto()
    """It is alive, and does not want this request."""
    OVERLOADED = auto()
    FAILED = auto()


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


class Breaker:
    """Leaves an endpoint alone that failed too often in a row, instead of burning the attempts of every request."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        self._jitter = random.SystemRandom()
        self._in_row, self._paused_s, self._next_s = 0, 0.0, settings.breaker_pause_s
        self._open_until: float | None = None
        self._trying = False
        self._was_answered = False

    def wait_s(self, now: float) -> float:
        """Return the seconds until a request may go; endless while another one tries the endpoint."""
        if self._open_until is None:
            return 0.0
        return math.inf if self._trying else max(0.0, self._open_until - now)

    def take(self) -> bool:
        """Count a request that goes now, and return whether it is the one that tries the endpoint."""
        self._trying = self._open_until is not None
        return self._trying

    def alive(self) -> None:
        """Close the breaker: the endpoint answered."""
        self._in_row, self._paused_s, self._next_s = 0, 0.0, self._settings.breaker_pause_s
        self._open_until, self._trying, self._was_answered = None, False, True

    def release(self, is_trial: bool) -> None:
        """Forget a trial that found nothing out."""
        if is_trial:
            self._trying = False

    def failed(self, now: float, is_trial: bool, message: str, is_unreachable: bool) -> None:
        """Count a failure, and pause the endpoint after too many.

        Raises:
            EndpointError: if it was never reached, or paused for longer than `max_pause_s` since its last answer.
        """
        self._in_row += 1
        limit = self._settings.breaker_failures
        if limit is None or (self._open_until is None and self._in_row < limit):
            return
        if self._open_until is not None and not is_trial:
            return
        where = f"model {self._settings.model!r} at {self._settings.base_url}"
        if is_unreachable and not self._was_answered:
            raise EndpointError(f"{where} cannot be reached: {message}; check base_url, or start the server")
        if self._paused_s >= self._settings.max_pause_s:
            raise EndpointError(
                f"{where} failed {self._in_row} times in a row, over pauses of {self._paused_s:.0f} s in all "
                f"(max_pause_s={self._settings.max_pause_s:g}); the last time: {message}. Every reply so far is kept in"
                " the reply cache: run again once the endpoint is back, only the rest will be asked for"
            )
        pause_s = min(self._next_s, self._settings.max_wait_s, self._settings.max_pause_s - self._paused_s)
        self._paused_s += pause_s
        self._next_s *= 2
        self._open_until, self._trying = now + pause_s * self._jitter.uniform(1.0, 1.1), False


class Pacing:
    """Lets requests to one endpoint go, first come first served. Belongs to one event loop."""

    def __init__(self, settings: EndpointSettings, rates: Rates) -> None:
        self._most, self._rates, self._breaker = settings.max_concurrency, rates, Breaker(settings)
        self._max_wait_s = settings.max_wait_s
        self.limit = float(settings.max_concurrency)
        self._in_flight = 0
        self._resume_at = self._cut_at = -math.inf
        self._turnstile = asyncio.Lock()
        self._changed: asyncio.Future[None] | None = None
        self._stopped = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether no further request may go."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Let no further request go; those under way are not disturbed."""
        self._stopped.set()
        self._wake()

    async def enter(self, prompt_bytes: int, most_reply_tokens: int) -> Ticket | None:
        """Wait until a request may go. None: the run was stopped."""
        if self._turnstile.locked() or self._wait_s() > 0:
            async with self._turnstile:
                while not self.stopped and (wait_s := self._wait_s()) > 0:
                    self._changed = asyncio.get_running_loop().create_future()
                    await asyncio.wait([self._changed], timeout=None if wait_s == math.inf else wait_s)
                    self._changed = None
                return self._let_go(prompt_bytes, most_reply_tokens)
        return self._let_go(prompt_bytes, most_reply_tokens)

    async def sleep(self, wait_s: float) -> None:
        """Wait, unless the run is stopped meanwhile."""
        try:
            await asyncio.wait_for(self._stopped.wait(), wait_s)
        except TimeoutError:
            return

    def leave(
        self,
        ticket: Ticket,
        health: Health,
        message: str = "",
        retry_after_s: float | None = None,
        is_unreachable: bool = False,
    ) -> None:
        """Give the place back, and heed what the attempt says about the endpoint.

        Raises:
            EndpointError: if the endpoint failed for too long.
        """
        now = time.monotonic()
        self._in_flight -= 1
        try:
            if retry_after_s is not None:
                self._resume_at = max(self._resume_at, now + min(retry_after_s, self._max_wait_s))
            if health is Health.OVERLOADED and ticket.sent_at > self._cut_at:
                # One cut per window: the other requests of the same window say nothing new.
                self.limit, self._cut_at = max(1.0, min(self.limit, self._in_flight + 1) / 2), now
            if health is Health.ANSWERED:
                gain = max(1.0, self._most / (2 * _WINDOWS_TO_RECOVER))
                self.limit = min(float(self._most), self.limit + gain / self.limit)
            if health in {Health.ANSWERED, Health.REFUSED}:
                self._breaker.alive()
            else:
                self._breaker.failed(now, ticket.is_trial, message, is_unreachable)
        finally:
            self._wake()

    def abandon(self, ticket: Ticket) -> None:
        """Give the place back of a request that was not sent after all."""
        self._in_flight -= 1
        self._breaker.release(ticket.is_trial)
        self._wake()

    def settle(self, ticket: Ticket, prompt_tokens: int, completion_tokens: int) -> None:
        """Correct the estimate of tokens by what the endpoint counted."""
        self._rates.settle(ticket, prompt_tokens, completion_tokens)

    def _wait_s(self) -> float:
        if self._in_flight >= int(self.limit):
            return math.inf
        now = time.monotonic()
        return max(self._resume_at - now, self._breaker.wait_s(now), self._rates.wait_s(now))

    def _let_go(self, prompt_bytes: int, most_reply_tokens: int) -> Ticket | None:
        if self.stopped:
            return None
        now = time.monotonic()
        self._in_flight += 1
        estimated = self._rates.take(now, prompt_bytes, most_reply_tokens)
        return Ticket(now, prompt_bytes, estimated, self._breaker.take())

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
