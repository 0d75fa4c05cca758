"""One request until it has a usable reply: the ladder of structured replies, and one bounded second try."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from steps.errors import EndpointError
from steps.llm.checking import Problem, problem_of, second_try
from steps.llm.endpoint import EndpointSettings
from steps.llm.request import ChatRequest, Reply, Structure, body_of
from steps.llm.transport import Answer, Asked, Failure, Transport

#: Statuses by which an endpoint says that it does not know `response_format`, or not this schema.
_REFUSED_FORM = {400, 422, 501}
_LADDER = list(Structure)


class Asker:
    """Asks one endpoint, in the way that it was found to understand."""

    def __init__(self, settings: EndpointSettings, transport: Transport) -> None:
        self._settings, self._transport = settings, transport
        self._was_answered = False
        self.structure = Structure.JSON_SCHEMA
        self.without: frozenset[str] = frozenset()
        """Fields of the body that the endpoint was found to ignore or refuse."""

    async def complete(self, request: ChatRequest) -> Reply:
        """Ask, and ask once more if the reply is cut off, empty or misses the schema.

        At most `max_retries + 2` attempts are made, and one more for each form of asking for the schema that the
        endpoint refuses.

        Raises:
            BudgetExceededError: before an attempt that could exceed the budget.
            EndpointError: if the endpoint cannot be used at all.
        """
        most = self._settings.max_retries + 1
        asked = await self._ask(request, most)
        answers = [asked.outcome] if isinstance(asked.outcome, Answer) else []
        attempts, failed = asked.attempts, self._problem_of(asked.outcome, request)
        if failed is not None and failed.is_worth_asking_again and answers:
            # The retries that the first try needed are not granted again.
            second = second_try(request, request.max_tokens or self._settings.max_tokens, failed)
            again = await self._ask(second, max(1, most + 1 - attempts))
            attempts += again.attempts
            if isinstance(again.outcome, Answer):
                answers.append(again.outcome)
                failed = self._problem_of(again.outcome, request)
            elif again.attempts:
                failed = Problem(again.outcome.kind, again.outcome.message)
        first_sent_at = asked.first_sent_at if asked.first_sent_at is not None else time.monotonic()
        return self._reply(answers, failed, attempts, time.monotonic() - first_sent_at)

    async def call(self, body: Mapping[str, Any]) -> Asked:
        """Send a body as it stands; for what is no request of the run.

        Raises:
            BudgetExceededError: before an attempt that could exceed the budget.
            EndpointError: if the endpoint cannot be used at all.
        """
        return self._heeded(await self._transport.ask(body, self._settings.max_retries + 1))

    def _reply(self, answers: Sequence[Answer], failed: Problem | None, attempts: int, latency_s: float) -> Reply:
        last = answers[-1] if answers else None
        costs = [
            self._settings.cost_usd(one.prompt_tokens, one.completion_tokens, one.cached_prompt_tokens)
            for one in answers
        ]
        known = [cost for cost in costs if cost is not None]
        return Reply(
            text=last.text if last else "",
            model=last.model if last else self._settings.model,
            prompt_tokens=sum(one.prompt_tokens for one in answers),
            completion_tokens=sum(one.completion_tokens for one in answers),
            cost_usd=None if None in self._settings.prices else sum(known),
            latency_s=latency_s,
            attempts=attempts,
            cached=False,
            error=None if failed is None else str(failed),
            finish_reason=last.finish_reason if last else None,
            logprobs=last.logprobs if last else None,
        )

    async def _ask(self, request: ChatRequest, max_attempts: int) -> Asked:
        """Send a request; one whose form the endpoint refuses goes again in the next looser one.

        A form that was taken where a firmer one was refused is used from then on.
        """
        attempts, first_sent_at = 0, None
        for structure in _LADDER[_LADDER.index(self.structure) :]:
            body = body_of(request, self._settings, structure)
            body = {name: value for name, value in body.items() if name not in self.without}
            asked = await self._transport.ask(body, max_attempts)
            attempts += asked.attempts
            first_sent_at = first_sent_at if first_sent_at is not None else asked.first_sent_at
            asked = asked._replace(attempts=attempts, first_sent_at=first_sent_at)
            if isinstance(asked.outcome, Answer):
                self.structure = max(self.structure, structure, key=_LADDER.index)
            elif request.schema is not None and asked.outcome.status in _REFUSED_FORM:
                continue
            break
        return self._heeded(asked)

    def _heeded(self, asked: Asked) -> Asked:
        """Stop at a failure that every further request would share, as long as nothing was ever answered."""
        if isinstance(asked.outcome, Answer):
            self._was_answered = True
        elif not self._was_answered:
            _refuse_endpoint(asked.outcome, self._settings)
        return asked

    def _problem_of(self, outcome: Answer | Failure, request: ChatRequest) -> Problem | None:
        if isinstance(outcome, Failure):
            return Problem(outcome.kind, outcome.message)
        return problem_of(outcome.text, outcome.finish_reason, outcome.completion_tokens, request.schema)


def _refuse_endpoint(failure: Failure, settings: EndpointSettings) -> None:
    where = f"model {settings.model!r} at {settings.base_url}"
    if failure.status in {401, 403}:
        variable = settings.api_key_env or "none is configured; set api_key_env"
        raise EndpointError(f"{where} refused the key ({variable}): {failure.message}")
    if failure.status == 404:
        raise EndpointError(f"{where} was not found: {failure.message}; check base_url (with its /v1) and model")
    if failure.is_unreachable:
        raise EndpointError(f"{where} cannot be reached: {failure.message}; check base_url, or start the server")
