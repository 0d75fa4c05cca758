"""One chat-completion call over HTTP: retries, waits, and the bill."""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from steps.llm.budget import Budget
from steps.llm.endpoint import EndpointSettings
from steps.llm.request import Failed, worst_case_tokens

if TYPE_CHECKING:
    import aiohttp

_RETRYABLE = {408: Failed.TIMEOUT, 409: Failed.RATE_LIMITED, 429: Failed.RATE_LIMITED}
#: Characters of an endpoint's error message that are worth showing.
_EXCERPT = 300


class Answer(NamedTuple):
    """A well-formed reply of the endpoint, whether usable or not."""

    text: str
    finish_reason: str
    model: str
    prompt_tokens: int
    completion_tokens: int


class Failure(NamedTuple):
    """A call that got no reply."""

    kind: Failed
    message: str
    status: int | None = None
    retryable: bool = False
    retry_after_s: float | None = None


class Transport:
    """Sends calls to one endpoint within an open HTTP session, one budget and one shared pause."""

    def __init__(
        self, session: aiohttp.ClientSession, settings: EndpointSettings, key: str | None, budget: Budget
    ) -> None:
        self._session, self._settings, self._key, self._budget = session, settings, key, budget
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._url = f"{settings.base_url}/chat/completions"
        self._resume_at = 0.0
        self._settled = asyncio.Condition()
        # Jitter keeps processes apart, so it must not be seeded; it decides no result.
        self._jitter = random.SystemRandom()
        self.stopped = False

    async def ask(self, body: Mapping[str, Any]) -> tuple[Answer | Failure, int]:
        """Send a call until it is answered, refused for good, or out of retries.

        Returns:
            The outcome and the number of attempts.

        Raises:
            BudgetExceededError: before an attempt that could exceed the budget.
        """
        outcome: Answer | Failure = Failure(Failed.NOT_SENT, "the run stopped before this request was sent")
        for attempt in range(self._settings.max_retries + 1):
            await self._wait_for_pause()
            if self.stopped:
                return outcome, attempt
            outcome = await self._paid_attempt(body)
            if isinstance(outcome, Answer) or not outcome.retryable:
                return outcome, attempt + 1
            if attempt < self._settings.max_retries:
                await self._back_off(attempt, outcome.retry_after_s)
        return outcome, self._settings.max_retries + 1

    async def _paid_attempt(self, body: Mapping[str, Any]) -> Answer | Failure:
        """Reserve, send, settle. A call that timed out may have been billed: its worst case counts as spent."""
        worst = self._settings.cost_usd(*worst_case_tokens(body)) or 0.0
        async with self._settled:
            while not self._budget.reserve(worst):
                await self._settled.wait()
        spent = worst
        try:
            outcome = await self._attempt(body)
            if isinstance(outcome, Answer):
                spent = self._settings.cost_usd(outcome.prompt_tokens, outcome.completion_tokens) or 0.0
            elif outcome.kind is not Failed.TIMEOUT:
                spent = 0.0
        finally:
            self._budget.settle(worst, spent)
            async with self._settled:
                self._settled.notify_all()
        return outcome

    async def _attempt(self, body: Mapping[str, Any]) -> Answer | Failure:
        import aiohttp

        try:
            async with self._session.post(self._url, json=body, headers=self._headers) as response:
                payload = await response.read()
                status, retry_after = response.status, response.headers.get("Retry-After")
        except TimeoutError:
            return Failure(Failed.TIMEOUT, f"no reply within timeout_s={self._settings.timeout_s:g}", retryable=True)
        except (aiohttp.ClientError, ConnectionError) as error:
            return Failure(Failed.CONNECTION_FAILED, self._clean(str(error) or type(error).__name__), retryable=True)
        if status == 200:
            return read_answer(payload, body)
        return self._failure_of(status, payload, retry_after)

    def _failure_of(self, status: int, payload: bytes, retry_after: str | None) -> Failure:
        message = f"HTTP {status}: {self._clean(_error_message(payload))}"
        kind = _RETRYABLE.get(status, Failed.SERVER_ERROR if status >= 500 else Failed.REQUEST_REFUSED)
        # An exhausted account also answers 429, and no wait will help.
        retryable = kind is not Failed.REQUEST_REFUSED and b"insufficient_quota" not in payload
        return Failure(kind, message, status, retryable, _seconds(retry_after))

    async def _back_off(self, attempt: int, retry_after_s: float | None) -> None:
        """Wait as the endpoint asks, and let all other requests wait too; else a random, growing time."""
        if retry_after_s is not None:
            wait_s = min(retry_after_s, self._settings.max_wait_s)
            self._resume_at = max(self._resume_at, asyncio.get_running_loop().time() + wait_s)
        bound_s = min(self._settings.backoff_s * 2**attempt, self._settings.max_wait_s)
        await asyncio.sleep(self._jitter.uniform(0, bound_s))

    async def _wait_for_pause(self) -> None:
        while not self.stopped and (wait_s := self._resume_at - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(wait_s, 1.0))

    def _clean(self, text: str) -> str:
        text = text.replace(self._key, "<key>") if self._key else text
        return text[:_EXCERPT]


def read_answer(payload: bytes, body: Mapping[str, Any]) -> Answer | Failure:
    """Read the body of a 200 response. Without `usage`, the worst case is taken as used, so that budgets hold."""
    try:
        found = json.loads(payload)
        choice = found["choices"][0]
        text = choice["message"].get("content") or ""
        usage = found.get("usage") or {}
        most_prompt, most_reply = worst_case_tokens(body)
        return Answer(
            str(text),
            str(choice.get("finish_reason") or "stop"),
            str(found.get("model") or body["model"]),
            int(usage.get("prompt_tokens", most_prompt)),
            int(usage.get("completion_tokens", most_reply)),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        message = f"HTTP 200 without a chat completion ({type(error).__name__}: {payload[:80]!r})"
        return Failure(Failed.MALFORMED_RESPONSE, message, 200, retryable=True)


def _error_message(payload: bytes) -> str:
    """Return the message of an OpenAI-style error body, or the body's beginning."""
    try:
        found = json.loads(payload)
        error = found.get("error", found)
        return str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError, RecursionError):
        return payload[:_EXCERPT].decode("utf-8", "replace").strip() or "no message"


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header: seconds or an HTTP date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return None
