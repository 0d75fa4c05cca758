"""One chat-completion call over HTTP: retries, waits, and the bill."""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from steps.llm.budget import Budget, Spend
from steps.llm.endpoint import EndpointSettings
from steps.llm.pacing import Health, Pacing
from steps.llm.rates import Rates
from steps.llm.request import Failed, encoded, most_reply_tokens

if TYPE_CHECKING:
    import aiohttp

_RETRYABLE = {408: Failed.TIMEOUT, 409: Failed.RATE_LIMITED, 425: Failed.RATE_LIMITED, 429: Failed.RATE_LIMITED}
#: Statuses that ask for less at once; 529 is what some hosts send for "overloaded".
_OVERLOADED = {429, 503, 529}
#: Characters of an endpoint's error message that are worth showing.
_EXCERPT = 300


_JSON = {"Content-Type": "application/json"}


class Answer(NamedTuple):
    """A well-formed reply of the endpoint, whether usable or not."""

    text: str
    """What the model wrote; the arguments of its tool call where a tool was asked for."""
    finish_reason: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_prompt_tokens: int = 0
    """Of `prompt_tokens`, those that the endpoint had in its own cache."""
    logprobs: list[dict[str, Any]] | None = None
    """As in `Reply`."""


class Failure(NamedTuple):
    """A call that got no reply."""

    kind: Failed
    message: str
    status: int | None = None
    retryable: bool = False
    retry_after_s: float | None = None
    may_be_billed: bool = False
    """Whether the endpoint may have written a reply that did not arrive."""

    @property
    def is_unreachable(self) -> bool:
        """Whether nothing at all came back."""
        return self.kind is Failed.CONNECTION_FAILED and not self.may_be_billed


class Asked(NamedTuple):
    """What came of a call, all attempts together."""

    outcome: Answer | Failure
    attempts: int
    first_sent_at: float | None
    """Monotonic seconds; None if nothing was sent."""


class Transport:
    """Sends calls to one endpoint within an open HTTP session, one budget and one pace."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        settings: EndpointSettings,
        headers: Mapping[str, str],
        budget: Budget,
        rates: Rates,
    ) -> None:
        from yarl import URL

        self._session, self._settings, self._budget = session, settings, budget
        self._url = URL(f"{settings.base_url}/chat/completions")
        self._secrets = [secret for value in headers.values() for secret in {value, value.removeprefix("Bearer ")}]
        # Jitter keeps processes apart, so it must not be seeded; it decides no result.
        self._jitter = random.SystemRandom()
        self.pacing = Pacing(settings, rates)
        self.spent_usd = 0.0

    async def ask(self, body: Mapping[str, Any], max_attempts: int) -> Asked:
        """Send a call until it is answered, refused for good, or out of attempts.

        Raises:
            BudgetExceededError: before an attempt that could exceed the budget.
            EndpointError: if the endpoint failed for too long.
        """
        payload, most_reply = encoded(body), most_reply_tokens(body)
        worst = Spend(self._settings.cost_usd(len(payload), most_reply) or 0.0, len(payload) + most_reply)
        outcome: Answer | Failure = Failure(Failed.NOT_SENT, "the run stopped before this request was sent")
        first_sent_at = None
        for attempt in range(max_attempts):
            ticket = await self.pacing.enter(len(payload), most_reply)
            if ticket is None:
                return Asked(outcome, attempt, first_sent_at)
            reserved = False
            try:
                reserved = await self._reserve(worst)
            finally:
                if not reserved:
                    self.pacing.abandon(ticket)
            if not reserved:
                return Asked(outcome, attempt, first_sent_at)
            first_sent_at = ticket.sent_at if first_sent_at is None else first_sent_at
            outcome = await self._paid_attempt(payload, body, worst)
            if isinstance(outcome, Answer):
                self.pacing.settle(ticket, outcome.prompt_tokens, outcome.completion_tokens)
                self.pacing.leave(ticket, Health.ANSWERED)
                return Asked(outcome, attempt + 1, first_sent_at)
            self.pacing.leave(ticket, _health(outcome), outcome.message, outcome.retry_after_s, outcome.is_unreachable)
            if not outcome.retryable:
                return Asked(outcome, attempt + 1, first_sent_at)
            if attempt + 1 < max_attempts:
                await self.pacing.sleep(self._wait_s(attempt, outcome.retry_after_s))
        return Asked(outcome, max_attempts, first_sent_at)

    def _wait_s(self, attempt: int, retry_after_s: float | None) -> float:
        """Return the seconds until the next attempt: as the endpoint asks, and a random, growing time on top."""
        most_s = self._settings.max_wait_s
        jitter_s = self._jitter.uniform(0, min(self._settings.backoff_s * 2**attempt, most_s))
        return jitter_s if retry_after_s is None else min(retry_after_s, most_s) + jitter_s

    async def _reserve(self, worst: Spend) -> bool:
        """Wait for room in the budget; False if the run was stopped meanwhile."""
        loop = asyncio.get_running_loop()
        while not self.pacing.stopped:
            settled = asyncio.Event()
            if self._budget.reserve(worst, partial(loop.call_soon_threadsafe, settled.set)):
                return True
            await settled.wait()
        return False

    async def _paid_attempt(self, payload: bytes, body: Mapping[str, Any], worst: Spend) -> Answer | Failure:
        """Send and settle. A call whose reply got lost may have been billed: its worst case counts as spent."""
        spent = worst
        try:
            outcome = await self._attempt(payload, body)
            if isinstance(outcome, Answer):
                counts = outcome.prompt_tokens, outcome.completion_tokens
                spent = Spend(self._settings.cost_usd(*counts, outcome.cached_prompt_tokens) or 0.0, sum(counts))
            elif not outcome.may_be_billed:
                spent = Spend()
        finally:
            self._budget.settle(worst, spent)
            self.spent_usd += spent.usd
        return outcome

    async def _attempt(self, payload: bytes, body: Mapping[str, Any]) -> Answer | Failure:
        import aiohttp

        settings = self._settings
        try:
            # A redirected POST would lose its body, or carry the key elsewhere.
            async with self._session.post(self._url, data=payload, headers=_JSON, allow_redirects=False) as response:
                found = await response.read()
        except aiohttp.ConnectionTimeoutError:
            message = f"no connection within connect_timeout_s={settings.connect_timeout_s:g}"
            return Failure(Failed.CONNECTION_FAILED, message, retryable=True)
        except aiohttp.SocketTimeoutError:
            message = f"silent for first_byte_timeout_s={settings.first_byte_timeout_s}"
            return Failure(Failed.TIMEOUT, message, retryable=True, may_be_billed=True)
        except TimeoutError:
            message = f"no reply within timeout_s={settings.timeout_s:g}"
            return Failure(Failed.TIMEOUT, message, retryable=True, may_be_billed=True)
        except (aiohttp.ClientError, ConnectionError) as error:
            message = self._clean(str(error) or type(error).__name__)
            is_lost = isinstance(error, aiohttp.ClientPayloadError)
            return Failure(Failed.CONNECTION_FAILED, message, retryable=True, may_be_billed=is_lost)
        if response.status == 200:
            return read_answer(found, body)
        return self._failure_of(response.status, found, _asked_wait_s(response.headers))

    def _failure_of(self, status: int, payload: bytes, retry_after_s: float | None) -> Failure:
        message = f"HTTP {status}: {self._clean(_error_message(payload))}"
        kind = _RETRYABLE.get(status, Failed.SERVER_ERROR if status >= 500 else Failed.REQUEST_REFUSED)
        # An exhausted account also answers 429, and no wait will help.
        retryable = kind is not Failed.REQUEST_REFUSED and b"insufficient_quota" not in payload
        return Failure(kind, message, status, retryable, retry_after_s)

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "<key>")
        return text[:_EXCERPT]


def read_answer(payload: bytes, body: Mapping[str, Any]) -> Answer | Failure:
    """Read the body of a 200 response. Without `usage`, the worst case is taken as used, so that budgets hold."""
    try:
        found = json.loads(payload)
        choice = found["choices"][0]
        usage = found.get("usage") or {}
        prompt_tokens, completion_tokens = usage.get("prompt_tokens"), usage.get("completion_tokens")
        details = usage.get("prompt_tokens_details") or {}
        return Answer(
            _text_of(choice["message"], body),
            str(choice.get("finish_reason") or "stop"),
            str(found.get("model") or body["model"]),
            int(len(encoded(body)) if prompt_tokens is None else prompt_tokens),
            int(most_reply_tokens(body) if completion_tokens is None else completion_tokens),
            int(details.get("cached_tokens") or 0),
            _logprobs_of(choice),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        message = f"HTTP 200 without a chat completion ({type(error).__name__}: {payload[:80]!r})"
        return Failure(Failed.MALFORMED_RESPONSE, message, 200, retryable=True)


def _text_of(message: Mapping[str, Any], body: Mapping[str, Any]) -> str:
    if "tools" in body and message.get("tool_calls"):
        arguments = message["tool_calls"][0]["function"]["arguments"]
        return arguments if isinstance(arguments, str) else json.dumps(arguments)
    content = message.get("content") or ""
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content)
    return str(content)


def _logprobs_of(choice: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the log-probabilities in the form of `Reply`; None where the endpoint gave none, or in a form of its own.

    They are an extra: the reply that they came with is paid for, and stays.
    """
    try:
        content = choice["logprobs"]["content"]
        found = [{**_logprob(one), "top": [_logprob(two) for two in one.get("top_logprobs") or ()]} for one in content]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return found or None


def _logprob(one: Mapping[str, Any]) -> dict[str, Any]:
    return {"token": str(one["token"]), "logprob": float(one["logprob"])}


def _health(failure: Failure) -> Health:
    if failure.status in _OVERLOADED and failure.retryable:
        return Health.OVERLOADED
    return Health.FAILED if failure.retryable else Health.REFUSED


def _error_message(payload: bytes) -> str:
    """Return the message of an OpenAI-style error body, or the body's beginning."""
    try:
        found = json.loads(payload)
        error = found.get("error", found)
        return str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError, RecursionError):
        return payload[:_EXCERPT].decode("utf-8", "replace").strip() or "no message"


def _asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """Read how long the endpoint asks to wait: `Retry-After` as seconds or as an HTTP date, or `retry-after-ms`."""
    for name, unit_s in (("retry-after-ms", 0.001), ("Retry-After", 1.0)):
        try:
            wait_s = float(headers[name]) * unit_s
        except (KeyError, ValueError):
            continue
        return max(0.0, wait_s)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(headers["Retry-After"]).timestamp() - time.time())
    except (KeyError, ValueError, OverflowError):
        return None
