"""The circuit breaker of one endpoint."""

from __future__ import annotations

import math
import random

from steps.errors import EndpointError
from steps.llm.endpoint import EndpointSettings


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
