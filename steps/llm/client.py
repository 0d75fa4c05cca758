"""The chat-completion client: many prompts, one endpoint or several side by side, and no prompt paid for twice."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from steps.errors import TunesmithError
from steps.llm.asking import Asker
from steps.llm.budget import Budget
from steps.llm.cache import ReplyCache
from steps.llm.endpoint import EndpointSettings, api_key, extra_headers
from steps.llm.loop import run_to_end
from steps.llm.pacing import Rates
from steps.llm.probe import Capability, Probe, needed
from steps.llm.request import ChatRequest, Reply, request_key
from steps.llm.transport import Transport
from steps.llm.writer import ReplyWriter
from steps.progress import Bar, progress

if TYPE_CHECKING:
    import aiohttp

    from steps.llm.models import Client


class ChatClient:
    """Asks one endpoint. Keeps every reply in the cache file, and the money within the budget.

    Raises:
        ConfigError: if a variable named by `api_key_env` or `extra_headers_env` is not set.
    """

    def __init__(self, settings: EndpointSettings, budget: Budget | None = None) -> None:
        self.settings = settings
        self.budget = budget or Budget()
        self.headers = {"Content-Type": "application/json", **extra_headers(settings)}
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
        return complete_side_by_side([(self, requests)], description)[0]


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
            stack.enter_context(_EndpointJob(client, requests))
            if isinstance(client, ChatClient)
            else _OtherJob(client, requests, description)
            for client, requests in asked
        ]
        if any(job.n_open for job in jobs):
            with progress(description, sum(job.n_requests for job in jobs)) as bar:
                bar.advance(sum(job.n_requests - job.n_open for job in jobs))
                run_to_end(lambda: _run_all(jobs, bar))
    return [job.replies() for job in jobs]


async def _run_all(jobs: Sequence[_EndpointJob | _OtherJob], bar: Bar) -> None:
    """Run the jobs; the first that fails stops the others, which then finish what is on its way and paid for."""
    errors: list[TunesmithError] = []

    async def run(job: _EndpointJob | _OtherJob) -> None:
        try:
            await job.run(bar)
        except TunesmithError as error:
            errors.append(error)
            for other in jobs:
                other.stop()

    await asyncio.gather(*(run(job) for job in jobs if job.n_open))
    if errors:
        raise errors[0]


class _OtherJob:
    """The requests of a client that is not asynchronous itself: a model in this process, a batch endpoint."""

    def __init__(self, client: Client, requests: Sequence[ChatRequest], description: str) -> None:
        self._client, self._requests, self._description = client, requests, description
        self._replies: list[Reply] = []
        self.n_requests = self.n_open = len(requests)

    async def run(self, bar: Bar) -> None:
        self._replies = await asyncio.to_thread(self._client.complete_all, self._requests, self._description)
        bar.advance(self.n_requests)

    def stop(self) -> None:
        """What runs in its own thread ends by itself, or at the budget that it shares."""

    def replies(self) -> list[Reply]:
        return self._replies


class _EndpointJob:
    """The requests of one `ChatClient`: workers that take one after another, without batches."""

    def __init__(self, client: ChatClient, requests: Sequence[ChatRequest]) -> None:
        self._client, self._settings = client, client.settings
        self._keys = [request_key(request, client.settings) for request in requests]
        distinct = dict(zip(self._keys, requests, strict=True))
        path = client.settings.cache_path
        self._cache = ReplyCache(Path(path)) if path is not None and requests else None
        try:
            found = self._cache.get_many(distinct) if self._cache is not None else {}
            self._probe = Probe(client.settings, self._cache)
        except BaseException:
            self.close()
            raise
        self._structure = self._probe.structure()
        self._replies = {key: Reply(**{**reply, "cached": True, "error": None}) for key, reply in found.items()}
        self._todo = deque((key, request) for key, request in distinct.items() if key not in found)
        self._transport: Transport | None = None
        self._error: TunesmithError | None = None
        self.n_requests, self.n_open = len(distinct), len(self._todo)

    def __enter__(self) -> _EndpointJob:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._cache is not None:
            self._cache.close()

    async def run(self, bar: Bar) -> None:
        import aiohttp

        settings = self._settings
        timeout = aiohttp.ClientTimeout(
            total=settings.timeout_s, sock_connect=settings.connect_timeout_s, sock_read=settings.first_byte_timeout_s
        )
        # The pace bounds the connections; a jar for cookies would only cost time.
        session = aiohttp.ClientSession(
            timeout=timeout, connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )
        writer = ReplyWriter(self._cache) if self._cache is not None else None
        try:
            async with session:
                await self._ask_all(session, writer, bar)
        finally:
            # Also when the run is interrupted: what came in is stored before anything else happens.
            if writer is not None:
                writer.close()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._todo.clear()
        if self._transport is not None:
            self._transport.pacing.stop()

    def replies(self) -> list[Reply]:
        self._report_capabilities()
        seen: set[str] = set()
        replies = []
        for key in self._keys:
            replies.append(self._replies[key]._replace(cached=True) if key in seen else self._replies[key])
            seen.add(key)
        return replies

    async def _ask_all(self, session: aiohttp.ClientSession, writer: ReplyWriter | None, bar: Bar) -> None:
        client = self._client
        self._transport = Transport(session, self._settings, client.headers, client.budget, client.rates)
        asker = Asker(self._settings, self._transport)
        try:
            if self._settings.probe:
                await self._probe.run(needed((request for _, request in self._todo), self._settings), asker)
            asker.structure, asker.without = self._probe.structure(), self._probe.without()
            n_workers = min(self._settings.max_concurrency, len(self._todo))
            await asyncio.gather(*(self._work(asker, writer, bar) for _ in range(n_workers)))
        finally:
            client.spent_usd += self._transport.spent_usd
        self._structure = asker.structure

    async def _work(self, asker: Asker, writer: ReplyWriter | None, bar: Bar) -> None:
        while self._todo:
            key, request = self._todo.popleft()
            try:
                reply = await asker.complete(request)
                if reply.error is None and writer is not None:
                    writer.put(key, _stored(reply))
            except TunesmithError as error:
                # The other workers finish what is on its way: it is paid for, and belongs into the cache.
                self._error = self._error or error
                self.stop()
                return
            self._replies[key] = reply
            bar.advance()

    def _report_capabilities(self) -> None:
        found: dict[str, str | bool] = {}
        if Capability.JSON_SCHEMA in self._probe.found:
            found["structured"] = str(self._structure)
        for capability in (Capability.LOGPROBS, Capability.SEED):
            if capability in self._probe.found:
                found[str(capability)] = self._probe.found[capability]
        model = next((reply.model for reply in self._replies.values() if reply.error is None), self._settings.model)
        if found:
            self._client.capabilities[model] = found


def _stored(reply: Reply) -> dict[str, Any]:
    """Return what the cache keeps of a reply."""
    kept = reply._asdict()
    del kept["cached"], kept["error"]
    return kept
