"""When the next request may be sent: concurrency, requests and tokens a minute, pauses, and a circuit breaker."""

from __future__ import annotations

import asyncio
import math
import time
from enum import Enum, auto

from steps.llm.breaker import Breaker
from steps.llm.endpoint import EndpointSettings
from steps.llm.rates import Rates, Ticket

#: Windows without overload that bring the limit back from half. A window is as many attempts as may be in flight.
_WINDOWS_TO_RECOVER = 8
#: Share of overloaded attempts in a window that says nothing about the load: hosts refuse a few at any time.
_STRAY = 0.05
#: Overloads in a row, without an answer between them, that make everybody wait as `Retry-After` asks; a single one
#: concerns its own request alone.
_OVERLOADS_FOR_ALL = 3


class Health(Enum):
    """What an attempt says about the endpoint."""

    ANSWERED = auto()
    REFUSED = auto()
    """It is alive, and does not want this request."""
    OVERLOADED = auto()
    FAILED = auto()


class Pacing:
    """Lets requests to one endpoint go, first come first served. Belongs to one event loop."""

    def __init__(self, settings: EndpointSettings, rates: Rates) -> None:
        self._most, self._rates, self._breaker = settings.max_concurrency, rates, Breaker(settings)
        self._max_wait_s = settings.max_wait_s
        self.limit = float(settings.max_concurrency)
        self._in_flight = 0
        self._resume_at = self._window_at = -math.inf
        self._in_window = self._overloaded = self._overloads_in_row = 0
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
            self._overloads_in_row = self._overloads_in_row + 1 if health is Health.OVERLOADED else 0
            if retry_after_s is not None and self._overloads_in_row >= _OVERLOADS_FOR_ALL:
                self._resume_at = max(self._resume_at, now + min(retry_after_s, self._max_wait_s))
            self._adapt(ticket, health, now)
            if health in {Health.ANSWERED, Health.REFUSED}:
                self._breaker.alive()
            else:
                self._breaker.failed(now, ticket.is_trial, message, is_unreachable)
        finally:
            self._wake()

    def _adapt(self, ticket: Ticket, health: Health, now: float) -> None:
        """At the end of each window, lower the limit by half the share of overloads in it, or raise it by a step.

        As congestion is controlled within data centres (DCTCP, RFC 8257): a few overloads cost little, a window of
        nothing else halves the limit. What was sent before the last change says nothing about it.
        """
        if ticket.sent_at < self._window_at:
            return
        self._in_window += 1
        self._overloaded += health is Health.OVERLOADED
        if self._in_window < int(self.limit):
            return
        share = self._overloaded / self._in_window
        if share <= _STRAY:
            self.limit = min(float(self._most), self.limit + max(1.0, self._most / (2 * _WINDOWS_TO_RECOVER)))
        else:
            self.limit, self._window_at = max(1.0, self.limit * (1 - share / 2)), now
        self._in_window = self._overloaded = 0

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
