"""The open requests of one run over batches: what they may cost, what came of them, and what stays open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from steps.llm.batch import BatchSettings
from steps.llm.batch_results import Unanswered, read_line
from steps.llm.budget import Budget, Spend
from steps.llm.checking import Problem, problem_of, second_try
from steps.llm.endpoint import EndpointSettings
from steps.llm.probe import Probe
from steps.llm.request import ChatRequest, Reply, body_of, encoded, most_reply_tokens
from steps.llm.transport import Answer


@dataclass
class Open:
    """A request that has no usable reply yet."""

    key: str
    request: ChatRequest
    n_submitted: int = 0
    """By this run, in its present form."""
    tries: int = 1
    attempts: int = 0
    answers: list[Answer] = field(default_factory=list)
    latency_s: float = 0.0
    reserved: Spend = field(default_factory=Spend)
    """For the submission that is under way."""


class Books:
    """Keeps the open requests and their bill; `replies` has those that are done, usable or not."""

    def __init__(
        self, settings: EndpointSettings, budget: Budget, probe: Probe, todo: Mapping[str, ChatRequest]
    ) -> None:
        self._settings, self._budget = settings, budget
        self._batch = settings.batch or BatchSettings()
        self._structure, self._without = probe.structure(), probe.without()
        self.open = {key: Open(key, request) for key, request in todo.items()}
        self.replies: dict[str, Reply] = {}
        self.spent_usd = 0.0

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """Return the body of the call that a batch makes for a request."""
        body = body_of(request, self._settings, self._structure)
        return {name: value for name, value in body.items() if name not in self._without}

    def reserve(self, one: Open, body: Mapping[str, Any], notify: Callable[[], object]) -> bool:
        """Set aside the worst case of a request at the batch's price; False, and `notify` later, if there is no room.

        Raises:
            BudgetExceededError: if it could exceed the budget on top of what is spent.
        """
        n_prompt, n_reply = len(encoded(body)), most_reply_tokens(body)
        worst = Spend(self._usd(n_prompt, n_reply) or 0.0, n_prompt + n_reply)
        if not self._budget.reserve(worst, notify):
            return False
        one.reserved = worst
        return True

    def settle(self, one: Open, spent: Spend) -> None:
        """Turn what is set aside for a request into what it cost."""
        self._budget.settle(one.reserved, spent)
        one.reserved = Spend()

    def take(self, one: Open, line: Mapping[str, Any]) -> Reply | None:
        """Take a line of a file of results; None leaves the request open for another submission."""
        one.attempts += 1
        body = self.body(one.request)
        outcome = read_line(line, body)
        if isinstance(outcome, Unanswered):
            return self.fail(one, outcome)
        counts = outcome.prompt_tokens, outcome.completion_tokens
        cost_usd = self._usd(*counts, outcome.cached_prompt_tokens) or 0.0
        self.spent_usd += cost_usd
        self.settle(one, Spend(cost_usd, sum(counts)))
        one.answers.append(outcome)
        problem = problem_of(outcome.text, outcome.finish_reason, outcome.completion_tokens, one.request.schema)
        if problem is not None and problem.is_worth_asking_again and one.tries == 1:
            one.request = second_try(one.request, most_reply_tokens(body), problem)
            one.tries, one.n_submitted = 2, 0
            return None
        return self.close(one, self._reply(one, problem))

    def fail(self, one: Open, why: Unanswered) -> Reply | None:
        """Leave a request that got no answer open for another submission, or let it fail.

        What the batch of an earlier run left unanswered is submitted again in any case.
        """
        self.settle(one, Spend())
        if one.n_submitted == 0 or (why.may_pass and one.n_submitted < self._batch.max_submissions):
            return None
        return self.close(one, self._reply(one, why.problem))

    def close(self, one: Open, reply: Reply) -> Reply:
        """Enter the reply of a request; what is under way for it all the same will be paid for."""
        self.settle(one, one.reserved)
        self.replies[one.key] = reply
        del self.open[one.key]
        return reply

    def _reply(self, one: Open, problem: Problem | None) -> Reply:
        last = one.answers[-1] if one.answers else None
        costs = [self._usd(a.prompt_tokens, a.completion_tokens, a.cached_prompt_tokens) for a in one.answers]
        return Reply(
            text=last.text if last else "",
            model=last.model if last else self._settings.model,
            prompt_tokens=sum(answer.prompt_tokens for answer in one.answers),
            completion_tokens=sum(answer.completion_tokens for answer in one.answers),
            cost_usd=None if None in self._settings.prices else sum(cost or 0.0 for cost in costs),
            latency_s=one.latency_s,
            attempts=one.attempts,
            cached=False,
            error=None if problem is None else str(problem),
            finish_reason=last.finish_reason if last else None,
            logprobs=last.logprobs if last else None,
        )

    def _usd(self, prompt_tokens: int, completion_tokens: int, cached_prompt_tokens: int = 0) -> float | None:
        full = self._settings.cost_usd(prompt_tokens, completion_tokens, cached_prompt_tokens)
        return None if full is None else full * self._batch.price_factor
