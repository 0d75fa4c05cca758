"""The requests of one client, from the look into the cache to the last reply."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from steps.errors import TunesmithError
from steps.llm.asking import Asker
from steps.llm.cache import ReplyCache
from steps.llm.probe import Capability, Probe, needed
from steps.llm.request import ChatRequest, Reply, request_keys
from steps.llm.transport import Transport
from steps.llm.writer import ReplyWriter
from steps.progress import Bar

if TYPE_CHECKING:
    import aiohttp

    from steps.llm.client import ChatClient
    from steps.llm.models import Client

#: Requests that are looked up at a time: 10 ms of work, between two readings of the network.
_LOOK_AHEAD = 256
#: Seconds between the first requests, and over which all of them are spread at most: those that start together are
#: answered together, wave after wave, and wait for each other on the event loop.
_APART_S, _SPREAD_S = 0.001, 0.05


class OtherJob:
    """The requests of a client that is not asynchronous itself: a model in this process, a batch endpoint."""

    def __init__(self, client: Client, requests: Sequence[ChatRequest], description: str) -> None:
        self._client, self._requests, self._description = client, requests, description
        self._replies: list[Reply] = []
        self.is_open = bool(requests)

    async def run(self, bar: Bar) -> None:
        """Ask all requests, in a thread.

        Raises:
            TunesmithError: what the client raises.
        """
        self._replies = await asyncio.to_thread(self._client.complete_all, self._requests, self._description)
        bar.advance(len(self._requests))

    def stop(self) -> None:
        """What runs in its own thread ends by itself, or at the budget that it shares."""

    def replies(self) -> list[Reply]:
        """Return one reply per request, in order."""
        return self._replies


class EndpointJob:
    """The requests of one `ChatClient`: workers that take one after another, without batches.

    The cache is looked into some hundred requests ahead, so that the first ones go out at once.
    """

    def __init__(self, client: ChatClient, requests: Sequence[ChatRequest]) -> None:
        self._client, self._settings, self._requests = client, client.settings, requests
        self._keys: list[str] = []
        self._seen: set[str] = set()
        self._replies: dict[str, Reply] = {}
        self._todo: deque[tuple[str, ChatRequest]] = deque()
        self._n_settled = 0
        self._transport: Transport | None = None
        self._error: TunesmithError | None = None
        path = client.settings.cache_path
        self._cache = ReplyCache(Path(path)) if path is not None and requests else None
        try:
            self._probe = Probe(client.settings, self._cache)
            self._look_ahead()
        except BaseException:
            self.close()
            raise
        self._structure = self._probe.structure()
        self._known: set[Capability] = set()
        self._probing = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether anything must be asked."""
        return bool(self._todo)

    def __enter__(self) -> EndpointJob:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the cache."""
        if self._cache is not None:
            self._cache.close()

    async def run(self, bar: Bar) -> None:
        """Ask what the cache does not have.

        Raises:
            EndpointError: if the endpoint cannot be used.
            BudgetExceededError: if the next request could exceed the budget.
            InputError: if the cache cannot be written to.
        """
        import aiohttp

        settings = self._settings
        timeout = aiohttp.ClientTimeout(
            total=settings.timeout_s, sock_connect=settings.connect_timeout_s, sock_read=settings.first_byte_timeout_s
        )
        session = aiohttp.ClientSession(
            headers=self._client.headers,
            timeout=timeout,
            connector=aiohttp.TCPConnector(limit=0),  # the pace bounds the connections
            cookie_jar=aiohttp.DummyCookieJar(),
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
        """Send no further request; what is under way is finished."""
        self._requests = self._requests[: len(self._keys)]
        self._todo.clear()
        if self._transport is not None:
            self._transport.pacing.stop()

    def replies(self) -> list[Reply]:
        """Return one reply per request, in order, and leave with the client what was found out about the endpoint."""
        self._report_capabilities()
        seen: set[str] = set()
        replies = []
        for key in self._keys:
            replies.append(self._replies[key]._replace(cached=True) if key in seen else self._replies[key])
            seen.add(key)
        return replies

    def _look_ahead(self) -> None:
        """Take what the cache has, up to and with the next requests that must be asked."""
        while not self._todo and len(self._keys) < len(self._requests):
            some = self._requests[len(self._keys) : len(self._keys) + _LOOK_AHEAD]
            keys = request_keys(some, self._settings)
            new = {key: request for key, request in zip(keys, some, strict=True) if key not in self._seen}
            self._keys += keys
            self._seen |= new.keys()
            found = self._cache.get_many(new) if self._cache is not None else {}
            for key, reply in found.items():
                self._replies[key] = Reply(**{**reply, "cached": True, "error": None})
            self._todo.extend((key, request) for key, request in new.items() if key not in found)
            self._n_settled += len(keys) - len(new) + len(found)

    async def _ask_all(self, session: aiohttp.ClientSession, writer: ReplyWriter | None, bar: Bar) -> None:
        client = self._client
        self._transport = Transport(session, self._settings, client.headers, client.budget, client.rates)
        asker = Asker(self._settings, self._transport)
        asker.structure, asker.without = self._probe.structure(), self._probe.without()
        n_open = len(self._todo) + len(self._requests) - len(self._keys)
        n_workers = min(self._settings.max_concurrency, n_open)
        apart_s = min(_APART_S, _SPREAD_S / max(1, n_workers))
        try:
            await asyncio.gather(*(self._work(asker, writer, bar, at * apart_s) for at in range(n_workers)))
        finally:
            client.spent_usd += self._transport.spent_usd
        self._structure = asker.structure

    async def _work(self, asker: Asker, writer: ReplyWriter | None, bar: Bar, starts_after_s: float) -> None:
        await asyncio.sleep(starts_after_s)
        while self._todo:
            key, request = self._todo.popleft()
            try:
                if not self._todo:
                    self._look_ahead()
                await self._find_out(request, asker)
                reply = await asker.complete(request)
                if reply.error is None and writer is not None:
                    await writer.put(key, _stored(reply))
            except TunesmithError as error:
                # The other workers finish what is on its way: it is paid for, and belongs into the cache.
                self._error = self._error or error
                self.stop()
                return
            self._replies[key] = reply
            bar.advance(1 + self._n_settled)
            self._n_settled = 0

    async def _find_out(self, request: ChatRequest, asker: Asker) -> None:
        """Probe what this request is the first to need."""
        wanted = needed(request, self._settings) if self._settings.probe else set()
        if wanted <= self._known:
            return
        async with self._probing:
            if not wanted <= self._known:
                await self._probe.run(wanted, asker)
                asker.structure, asker.without = self._probe.structure(), self._probe.without()
                self._known |= wanted

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
