"""The client of a batch endpoint: a run that was killed finds its batches again, and no request is submitted twice."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from steps.errors import BudgetExceededError, EndpointError
from steps.llm.batch import BatchSettings
from steps.llm.batch_api import CHAT, BatchApi, UnreachableError
from steps.llm.batch_books import Books, Open
from steps.llm.batch_results import latency_s_of, unanswered
from steps.llm.budget import Budget, Spend
from steps.llm.cache import BatchRow, ReplyCache
from steps.llm.endpoint import EndpointSettings, api_key, extra_headers
from steps.llm.loop import run_to_end
from steps.llm.probe import Probe
from steps.llm.request import ChatRequest, Reply, encoded, request_key
from steps.progress import Bar, progress

_FINAL = {"completed", "failed", "expired", "cancelled"}
#: OpenAI's custom ids are at most 64 characters long: the beginning of the key, and which try it is.
_KEY_PART = 56
#: Replies of one transaction.
_STORED_AT_ONCE = 500
#: Seconds between two attempts to be the one that submits.
_LOCK_POLL_S = 0.1


class BatchClient:
    """Asks one endpoint through its batches, at `price_factor` of the price. Keeps every reply in the cache file.

    Raises:
        ConfigError: if a variable named by `api_key_env` or `extra_headers_env` is not set.
    """

    def __init__(self, settings: EndpointSettings, budget: Budget | None = None) -> None:
        self.settings = settings
        self.budget = budget or Budget()
        self.headers = extra_headers(settings)
        if (key := api_key(settings)) is not None:
            self.headers["Authorization"] = f"Bearer {key}"
        self.spent_usd = 0.0

    def complete_all(self, requests: Sequence[ChatRequest], description: str = "Asking the model") -> list[Reply]:
        """Return one reply per request, in order. Equal requests are asked once.

        A request that fails for good is a `Reply` with `error`; it is not cached, so the next run asks it again.

        Raises:
            EndpointError: if the endpoint refuses, cannot be reached, or the batches took longer than `max_wait_s`.
            BudgetExceededError: if no further request fits the budget; all that was answered is cached.
            InputError: if the cache file cannot be used.
        """
        keys = [request_key(request, self.settings) for request in requests]
        distinct = dict(zip(keys, requests, strict=True))
        with ReplyCache(Path(self.settings.cache_path or "")) as cache:
            self._tidy(cache)
            found = cache.get_many(distinct)
            replies = {key: Reply(**fields, cached=True, error=None) for key, fields in found.items()}
            todo = {key: request for key, request in distinct.items() if key not in replies}
            if todo:
                with progress(description, len(todo)) as bar:
                    run = _BatchRun(self, cache, todo, bar)
                    try:
                        run_to_end(run.run)
                    finally:
                        self.spent_usd += run.books.spent_usd
                    replies |= run.books.replies
        seen: set[str] = set()
        answers = []
        for key in keys:
            answers.append(replies[key]._replace(cached=replies[key].cached or key in seen))
            seen.add(key)
        return answers

    def _tidy(self, cache: ReplyCache) -> None:
        """Close the batches whose replies are all in the cache: a run was killed before it could."""
        for row in cache.open_batches(self.settings.base_url):
            if len(cache.get_many(row.keys)) == len(row.keys):
                cache.put_batch(row._replace(state="collected"))


class _BatchRun:
    """One call of `complete_all`: submit what is open, wait for the first batch, collect it, and so on."""

    def __init__(self, client: BatchClient, cache: ReplyCache, todo: Mapping[str, ChatRequest], bar: Bar) -> None:
        self._client, self._settings, self._cache, self._bar = client, client.settings, cache, bar
        self._batch = client.settings.batch or BatchSettings()
        self._books = Books(client.settings, client.budget, Probe(client.settings, cache), todo)
        self._wanted = set(todo)
        #: Submissions under way, by tag.
        self._rows: dict[str, BatchRow] = {}
        self._stop: BudgetExceededError | None = None
        #: Set when the budget, which other clients share, may have more room than at the last look.
        self._room = asyncio.Event()

    @property
    def books(self) -> Books:
        """What the run has got so far."""
        return self._books

    async def run(self) -> None:
        import aiohttp

        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._settings.connect_timeout_s, sock_read=self._settings.timeout_s
        )
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
            self._api = BatchApi(session, self._settings, self._client.headers)
            try:
                await self._run()
            finally:
                # What is under way will be paid for, whether this run waits for it or not.
                for one in self._books.open.values():
                    self._books.settle(one, one.reserved)

    async def _run(self) -> None:
        give_up_at = time.monotonic() + self._batch.max_wait_s
        while self._books.open:
            if self._stop is None:
                await self._submit()
            if self._rows:
                for row, batch in await self._first_final(give_up_at):
                    await self._collect(row, batch)
                    del self._rows[row.tag]
            elif self._stop is not None:
                raise self._stop
            elif self._books.open:
                # Not within `_submit`: whoever has to settle first may be waiting for its turn there.
                await self._room.wait()

    async def _submit(self) -> None:
        """Submit all that no batch is at work on, as far as the budget goes; join the batches of earlier runs."""
        async with _alone(Path(self._settings.cache_path or "")):
            await self._join()
            under_way = {key for row in self._rows.values() for key in row.keys}
            waiting = [one for one in self._books.open.values() if one.key not in under_way]
            while waiting:
                chosen, payload = self._chosen(waiting)
                if not chosen:
                    return
                waiting = waiting[len(chosen) :]
                row = BatchRow(uuid.uuid4().hex, self._settings.base_url, [one.key for one in chosen])
                # The row precedes each call, so that a run which is killed at any point knows what it may have done.
                self._cache.put_batch(row)
                try:
                    row = row._replace(input_file=await self._api.upload(payload))
                except BaseException:
                    for one in chosen:
                        self._books.settle(one, Spend())
                    raise
                self._cache.put_batch(row)
                row = row._replace(id=str((await self._api.create(row))["id"]))
                self._cache.put_batch(row)
                self._rows[row.tag] = row
                for one in chosen:
                    one.n_submitted += 1

    async def _join(self) -> None:
        """Take over what an earlier run, or one beside this, has submitted or was about to submit."""
        open_ = self._books.open
        for key, fields in self._cache.get_many(open_).items():
            self._books.close(open_[key], Reply(**fields, cached=True, error=None))
            self._bar.advance()
        for row in self._cache.open_batches(self._settings.base_url):
            if row.tag in self._rows or not open_.keys() & set(row.keys):
                continue
            if row.id is None:
                found = await self._api.find(row) if row.input_file is not None else None
                row = row._replace(id=str(found["id"])) if found else row._replace(state="not_submitted")
                self._cache.put_batch(row)
            if row.id is not None:
                self._rows[row.tag] = row

    def _chosen(self, waiting: Sequence[Open]) -> tuple[list[Open], bytes]:
        """Return the requests of the next file, and the file: as many as its limits and the budget allow."""
        chosen: list[Open] = []
        lines: list[bytes] = []
        n_bytes = 0
        loop = asyncio.get_running_loop()
        self._room.clear()
        for one in waiting[: self._batch.max_requests_per_batch]:
            body = self._books.body(one.request)
            line = encoded({"custom_id": _custom_id(one), "method": "POST", "url": CHAT, "body": body}) + b"\n"
            n_bytes += len(line)
            if chosen and n_bytes > self._batch.max_file_bytes:
                break
            try:
                if not self._books.reserve(one, body, partial(loop.call_soon_threadsafe, self._room.set)):
                    break
            except BudgetExceededError as error:
                # What is under way is collected first. It cannot make room: the limit is reached by what is spent.
                self._stop = error
                break
            chosen.append(one)
            lines.append(line)
        return chosen, b"".join(lines)

    async def _first_final(self, give_up_at: float) -> list[tuple[BatchRow, dict[str, Any]]]:
        """Wait until at least one batch has ended, and return those that have. An endpoint may be away for a while."""
        heard_at = time.monotonic()
        rows = list(self._rows.values())
        while True:
            try:
                found = await asyncio.gather(*(self._api.get(row) for row in rows))
                heard_at = time.monotonic()
            except UnreachableError:
                if time.monotonic() - heard_at >= self._settings.max_pause_s:
                    raise
                found = []
            ended = [(row, batch) for row, batch in zip(rows, found, strict=False) if batch.get("status") in _FINAL]
            if ended:
                return ended
            if time.monotonic() >= give_up_at:
                ids = ", ".join(str(row.id) for row in rows)
                raise EndpointError(
                    f"after batch.max_wait_s={self._batch.max_wait_s:g} the batches {ids} of {self._settings.base_url} "
                    "still run; they are paid for and go on: run again later, which collects them"
                )
            await asyncio.sleep(self._batch.poll_s)

    async def _collect(self, row: BatchRow, batch: Mapping[str, Any]) -> None:
        """Store what a batch answered, then close it; requests that it left unanswered are open again, or fail."""
        latency_s = latency_s_of(batch)
        by_part = {key[:_KEY_PART]: key for key in row.keys}
        unseen = {key for key in row.keys if key in self._books.open}
        stored: list[tuple[str, dict[str, Any]]] = []
        for file_id in (batch.get("output_file_id"), batch.get("error_file_id")):
            for line in await self._api.lines(file_id) if file_id else ():
                part, _, n_try = str(line.get("custom_id")).rpartition("-")
                key = by_part.get(part)
                if key not in unseen or not n_try.isdecimal():
                    continue
                unseen.remove(key)
                one = self._books.open[key]
                one.tries, one.latency_s = int(n_try), one.latency_s + latency_s
                reply = self._books.take(one, line)
                self._bar.advance(reply is not None)
                if reply is not None and reply.error is None:
                    stored.append((key, _kept(reply)))
                if len(stored) >= _STORED_AT_ONCE:
                    self._cache.put_many(stored)
                    stored.clear()
        self._cache.put_many(stored)
        for key in unseen:
            self._bar.advance(self._books.fail(self._books.open[key], unanswered(batch)) is not None)
        self._close(row, str(batch["status"]))

    def _close(self, row: BatchRow, status: str) -> None:
        """Note that a batch is done with, but for requests of other runs, whose replies wait for these runs."""
        rows = self._cache.open_batches(self._settings.base_url)
        keys = next((one.keys for one in rows if one.tag == row.tag), [])
        answered = self._cache.get_many(keys)
        left = [key for key in keys if key not in self._wanted and key not in answered]
        self._cache.put_batch(row._replace(keys=left, state="open" if left else status))


@asynccontextmanager
async def _alone(cache_path: Path) -> AsyncIterator[None]:
    """Let one process at a time submit: two that start together would both find their requests unanswered."""
    import fcntl

    with cache_path.with_name(f"{cache_path.name}-submitting").open("a") as file:
        while True:
            try:
                # The lock ends with the process, however that ends.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOCK_POLL_S)
        yield


def _custom_id(one: Open) -> str:
    return f"{one.key[:_KEY_PART]}-{one.tries}"


def _kept(reply: Reply) -> dict[str, Any]:
    kept = reply._asdict()
    del kept["cached"], kept["error"]
    return kept
