"""The chat-completion client: many prompts, one endpoint or several side by side, and no prompt paid for twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from steps.errors import TunesmithError
from steps.llm.budget import Budget
from steps.llm.endpoint import EndpointSettings, api_key, extra_headers
from steps.llm.jobs import EndpointJob, OtherJob
from steps.llm.loop import run_to_end
from steps.llm.rates import Rates
from steps.llm.request import ChatRequest, Reply
from steps.progress import Bar, progress

if TYPE_CHECKING:
    from steps.llm.models import Client


class ChatClient:
    """Asks one endpoint. Keeps every reply in the cache file, and the money within the budget.

    Raises:
        ConfigError: if a variable named by `api_key_env` or `extra_headers_env` is not set.
    """

    def __init__(self, settings: EndpointSettings, budget: Budget | None = None) -> None:
        self.settings = settings
        self.budget = budget or Budget()
        self.headers = extra_headers(settings)
        if (key := api_key(settings)) is not None:
            self.headers["Authorization"] = f"Bearer {key}"
        self.rates = Rates(settings)
        self.spent_usd = 0.0
        """US dollars that this client paid, cached replies not counted; 0 while prices are unknown."""
        self.capabilities: dict[str, dict[str, str | bool]] = {}
        """What the endpoint was found to be capable of, as far as it was needed, by model as the endpoint names it:
        `structured` (`json_schema`, `tool` or `prompt`), `logprobs`, `seed`. For `usage_of`."""

    def complete_all(self, requests: Sequence[ChatRequest], description: str = "Asking the model") -> list[Reply]:
        """Return one reply per request, in order. Equal requests are asked once.

        A request that fails for good is a `Reply` with `error`; it is not cached, so the next run asks it again.

        Raises:
            EndpointError: if the endpoint refuses the key, does not know the model, or cannot be reached at all.
            BudgetExceededError: if the next request could exceed the budget; all that was paid for is cached.
            InputError: if the cache file cannot be used.
        """
        if self.settings.batch is not None:
            return self._complete_in_batches(requests, description)
        return complete_side_by_side([(self, requests)], description)[0]

    def _complete_in_batches(self, requests: Sequence[ChatRequest], description: str) -> list[Reply]:
        from steps.llm.batch_client import BatchClient

        client = BatchClient(self.settings, self.budget)
        try:
            return client.complete_all(requests, description)
        finally:
            self.spent_usd += client.spent_usd


def complete_side_by_side(
    asked: Sequence[tuple[Client, Sequence[ChatRequest]]], description: str = "Asking the models"
) -> list[list[Reply]]:
    """Ask several models at once, as a jury does: the slowest one decides how long it takes, not their sum.

    Args:
        asked: Clients, each with its requests. One client may occur once.
        description: For the progress bar.

    Returns:
        The replies of each client, in order.

    Raises:
        EndpointError: if one model cannot be used; the others finish what is under way.
        BudgetExceededError: if the next request could exceed the budget that the clients share.
        InputError: if a cache file cannot be used.
    """
    with ExitStack() as stack:
        jobs = [
            stack.enter_context(EndpointJob(client, requests))
            if isinstance(client, ChatClient) and client.settings.batch is None
            else OtherJob(client, requests, description)
            for client, requests in asked
        ]
        if any(job.is_open for job in jobs):
            with progress(description, sum(len(requests) for _, requests in asked)) as bar:
                run_to_end(lambda: _run_all(jobs, bar))
    return [job.replies() for job in jobs]


async def _run_all(jobs: Sequence[EndpointJob | OtherJob], bar: Bar) -> None:
    """Run the jobs; the first that fails stops the others, which then finish what is on its way and paid for."""
    errors: list[TunesmithError] = []

    async def run(job: EndpointJob | OtherJob) -> None:
        try:
            await job.run(bar)
        except TunesmithError as error:
            errors.append(error)
            for other in jobs:
                other.stop()

    await asyncio.gather(*(run(job) for job in jobs if job.is_open))
    if errors:
        raise errors[0]
