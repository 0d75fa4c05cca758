"""The client of a batch endpoint: a run that was killed finds its batches again, and no request is submitted twice."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from steps.errors import BudgetExceededError, EndpointError
from steps.llm.batch import BatchSettings
from steps.llm.batch_api import CHAT, BatchApi
from steps.llm.batch_results import Unanswered, latency_s_of, read_line, unanswered
from steps.llm.budget import Budget, Spend
from steps.llm.cache import BatchRow, ReplyCache
from steps.llm.checking import Problem, problem_of, second_try
from steps.llm.endpoint import EndpointSettings, api_key, extra_headers
from steps.llm.loop import run_to_end
from steps.llm.probe import Probe
from steps.llm.request import ChatRequest, Reply, body_of, encoded, most_reply_tokens, request_key
from steps.llm.transport import Answer
from steps.progress import Bar, progress

_FINAL = {"completed", "failed", "expired", "cancelled"}
#: OpenAI's custom ids are at most 64 characters long: the beginning of the key, and which try it is.
_KEY_PART = 56
#: Replies of one transaction.
_STORED_AT_ONCE = 500
#: Seconds between two attempts to be the one that submits.
_LOCK_POLL_S = 0.1


@dataclass
class _Open:
    """A request that has no usable reply yet."""

    key: str
    request: ChatRequest
    n_submitted: int = 0
    tries: int = 1
    attempts: int = 0
    answers: list[Answer] = field(default_factory=list)
    latency_s: float = 0.0
    spend: Spend = field(default_factory=Spend)
    """Reserved for the submission that is under way."""


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
                        self.spent_usd += run.spent_usd
                    replies |= run.replies
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
        probe = Probe(client.settings, cache)
        self._structure, self._without = probe.structure(), probe.without()
        self._open = {key: _Open(key, request) for key, request in todo.items()}
        self._wanted = set(todo)
        #: Submissions under way, by tag.
        self._rows: dict[str, BatchRow] = {}
        self._stop: BudgetExceededError | None = None
        self.replies: dict[str, Reply] = {}
        self.spent_usd = 0.0

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
                for one in self._open.values():
                    self._settle(one, one.spend)

    async def _run(self) -> None:
        give_up_at = time.monotonic() + self._batch.max_wait_s
        while self._open:
            if self._stop is None:
                await self._submit()
            if not self._rows:
                if self._stop is not None:
                    raise self._stop
                continue
            batches = await self._first_final(give_up_at)
            for row, batch in batches:
                await self._collect(row, batch)
                del self._rows[row.tag]
        if self._stop is not None:
            raise self._stop

    async def _submit(self) -> None:
        """Submit all that no batch is at work on, as far as the budget goes; join the batches of earlier runs."""
        async with _alone(Path(self._settings.cache_path or "")):
            await self._join()
            under_way = {key for row in self._rows.values() for key in row.keys}
            waiting = [one for one in self._open.values() if one.key not in under_way]
            while waiting:
                chosen, payload = await self._chosen(waiting)
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
                        self._settle(one, Spend())
                    raise
                self._cache.put_batch(row)
                row = row._replace(id=str((await self._api.create(row))["id"]))
                self._cache.put_batch(row)
                self._rows[row.tag] = row
                for one in chosen:
                    one.n_submitted += 1

    async def _join(self) -> None:
        """Take over what an earlier run, or one beside this, has submitted or was about to submit."""
        for key, fields in self._cache.get_many(self._open).items():
            self._done(self._open[key], Reply(**fields, cached=True, error=None))
        for row in self._cache.open_batches(self._settings.base_url):
            if row.tag in self._rows or not self._open.keys() & set(row.keys):
                continue
            if row.id is None:
                found = await self._api.find(row) if row.input_file is not None else None
                row = row._replace(id=str(found["id"])) if found else row._replace(state="not_submitted")
                self._cache.put_batch(row)
            if row.id is not None:
                self._rows[row.tag] = row

    async def _chosen(self, waiting: Sequence[_Open]) -> tuple[list[_Open], bytes]:
        """Return the requests of the next file, and the file: as many as its limits and the budget allow."""
        chosen: list[_Open] = []
        lines: list[bytes] = []
        n_bytes = 0
        for one in waiting[: self._batch.max_requests_per_batch]:
            body = self._body(one.request)
            line = encoded({"custom_id": _custom_id(one), "method": "POST", "url": CHAT, "body": body}) + b"\n"
            n_bytes += len(line)
            if chosen and n_bytes > self._batch.max_file_bytes:
                break
            if not await self._reserve(one, body, may_wait=not chosen and not self._rows):
                break
            chosen.append(one)
            lines.append(line)
        return chosen, b"".join(lines)

    async def _reserve(self, one: _Open, body: Mapping[str, Any], *, may_wait: bool) -> bool:
        """Set aside the worst case of a request at the batch's price; False if there is no room for it now."""
        n_prompt, n_reply = len(encoded(body)), most_reply_tokens(body)
        worst = Spend(self._usd(n_prompt, n_reply) or 0.0, n_prompt + n_reply)
        loop = asyncio.get_running_loop()
        while True:
            settled = asyncio.Event()
            try:
                if self._client.budget.reserve(worst, partial(loop.call_soon_threadsafe, settled.set)):
                    one.spend = worst
                    return True
            except BudgetExceededError as error:
                # What is under way is collected first; it may also turn out cheaper, but then the next run goes on.
                self._stop = error
                return False
            if not may_wait:
                return False
            await settled.wait()

    async def _first_final(self, give_up_at: float) -> list[tuple[BatchRow, dict[str, Any]]]:
        """Wait until at least one batch has ended, and return those that have."""
        while True:
            rows = list(self._rows.values())
            found = await asyncio.gather(*(self._api.get(row) for row in rows))
            ended = [(row, batch) for row, batch in zip(rows, found, strict=True) if batch.get("status") in _FINAL]
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
        unseen = {key for key in row.keys if key in self._open}
        stored: list[tuple[str, dict[str, Any]]] = []
        for file_id in (batch.get("output_file_id"), batch.get("error_file_id")):
            for line in await self._api.lines(file_id) if file_id else ():
                part, _, n_try = str(line.get("custom_id")).rpartition("-")
                key = by_part.get(part)
                if key not in unseen or not n_try.isdecimal():
                    continue
                unseen.remove(key)
                one = self._open[key]
                one.tries, one.latency_s = int(n_try), one.latency_s + latency_s
                reply = self._taken(one, line)
                if reply is not None and reply.error is None:
                    stored.append((key, _kept(reply)))
                if len(stored) >= _STORED_AT_ONCE:
                    self._cache.put_many(stored)
                    stored.clear()
        self._cache.put_many(stored)
        for key in unseen:
            self._failed(self._open[key], unanswered(batch))
        self._close(row, str(batch["status"]))

    def _close(self, row: BatchRow, status: str) -> None:
        """Note that a batch is done with, but for requests of other runs, whose replies wait for these runs."""
        rows = self._cache.open_batches(self._settings.base_url)
        keys = next((one.keys for one in rows if one.tag == row.tag), [])
        answered = self._cache.get_many(keys)
        left = [key for key in keys if key not in self._wanted and key not in answered]
        self._cache.put_batch(row._replace(keys=left, state="open" if left else status))

    def _taken(self, one: _Open, line: Mapping[str, Any]) -> Reply | None:
        """Take one line of a file of results; None leaves the request open for another submission."""
        one.attempts += 1
        body = self._body(one.request)
        outcome = read_line(line, body)
        if isinstance(outcome, Unanswered):
            return self._failed(one, outcome)
        counts = outcome.prompt_tokens, outcome.completion_tokens
        cost_usd = self._usd(*counts, outcome.cached_prompt_tokens)
        self.spent_usd += cost_usd or 0.0
        self._settle(one, Spend(cost_usd or 0.0, sum(counts)))
        one.answers.append(outcome)
        problem = problem_of(outcome.text, outcome.finish_reason, outcome.completion_tokens, one.request.schema)
        if problem is not None and problem.is_worth_asking_again and one.tries == 1:
            one.request = second_try(one.request, most_reply_tokens(body), problem)
            one.tries, one.n_submitted = 2, 0
            return None
        return self._done(one, self._reply(one, problem))

    def _failed(self, one: _Open, why: Unanswered) -> Reply | None:
        """Leave a request that got no answer open for another submission, or let it fail."""
        self._settle(one, Spend())
        is_ours = one.n_submitted > 0
        if (why.may_pass or not is_ours) and one.n_submitted < self._batch.max_submissions:
            return None
        return self._done(one, self._reply(one, why.problem))

    def _done(self, one: _Open, reply: Reply) -> Reply:
        self._settle(one, one.spend)
        self.replies[one.key] = reply
        del self._open[one.key]
        self._bar.advance()
        return reply

    def _settle(self, one: _Open, spent: Spend) -> None:
        self._client.budget.settle(one.spend, spent)
        one.spend = Spend()

    def _reply(self, one: _Open, problem: Problem | None) -> Reply:
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

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        body = body_of(request, self._settings, self._structure)
        return {name: value for name, value in body.items() if name not in self._without}

    def _usd(self, prompt_tokens: int, completion_tokens: int, cached_prompt_tokens: int = 0) -> float | None:
        full = self._settings.cost_usd(prompt_tokens, completion_tokens, cached_prompt_tokens)
        return None if full is None else full * self._batch.price_factor


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


def _custom_id(one: _Open) -> str:
    return f"{one.key[:_KEY_PART]}-{one.tries}"


def _kept(reply: Reply) -> dict[str, Any]:
    kept = reply._asdict()
    del kept["cached"], kept["error"]
    return kept
