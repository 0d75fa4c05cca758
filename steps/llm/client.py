"""The chat-completion client: many prompts, one endpoint, and no prompt paid for twice."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from steps.errors import EndpointError, TunesmithError
from steps.llm.budget import Budget
from steps.llm.cache import ReplyCache
from steps.llm.endpoint import EndpointSettings, api_key
from steps.llm.json_reply import schema_problem
from steps.llm.request import ChatRequest, Failed, Reply, body_of, request_key
from steps.llm.transport import Answer, Failure, Transport
from steps.progress import Bar, progress


class ChatClient:
    """Asks one endpoint. Keeps every reply in the cache file, and the money within the budget.

    Raises:
        ConfigError: if the variable named by `api_key_env` is not set.
    """

    def __init__(self, settings: EndpointSettings, budget: Budget | None = None) -> None:
        self.settings = settings
        self._key = api_key(settings)
        self._budget = budget or Budget(settings.max_cost_usd)

    @property
    def spent_usd(self) -> float:
        """US dollars that this client paid, cached replies not counted; 0 while prices are unknown."""
        return self._budget.spent_usd

    def complete_all(self, requests: Sequence[ChatRequest], description: str = "Asking the model") -> list[Reply]:
        """Return one reply per request, in order. Equal requests are asked once.

        A request that fails for good is a `Reply` with `error`; it is not cached, so the next run asks it again.

        Raises:
            EndpointError: if the endpoint refuses the key, does not know the model, or cannot be reached at all.
            BudgetExceededError: if the next request could exceed `max_cost_usd`; all that was paid for is cached.
            InputError: if the cache file cannot be used.
        """
        path = self.settings.cache_path
        with ReplyCache(Path(path)) if path is not None else nullcontext() as cache:
            keys = [request_key(request, self.settings) for request in requests]
            run = _Run(self.settings, self._key, self._budget, cache)
            _run_to_end(run, dict(zip(keys, requests, strict=True)), description)
        seen: set[str] = set()
        replies = []
        for key in keys:
            replies.append(run.replies[key]._replace(cached=True) if key in seen else run.replies[key])
            seen.add(key)
        return replies


class _Run:
    """One call of `complete_all`: workers that take request after request, without batches."""

    def __init__(self, settings: EndpointSettings, key: str | None, budget: Budget, cache: ReplyCache | None) -> None:
        self._settings, self._key, self._budget, self._cache = settings, key, budget, cache
        self.replies: dict[str, Reply] = {}
        self._n_answered = 0
        self._send_schema = True
        self._stop: TunesmithError | None = None

    async def run(self, requests: dict[str, ChatRequest], description: str) -> None:
        import aiohttp

        todo = deque(requests.items())
        with progress(description, len(todo)) as bar:
            self._take_cached(todo, bar)
            timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
            connector = aiohttp.TCPConnector(limit=self._settings.max_concurrency)
            async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
                transport = Transport(session, self._settings, self._key, self._budget)
                n_workers = min(self._settings.max_concurrency, len(todo))
                await asyncio.gather(*(self._work(todo, transport, bar) for _ in range(n_workers)))
        if self._stop is not None:
            raise self._stop

    def _take_cached(self, todo: deque[tuple[str, ChatRequest]], bar: Bar) -> None:
        for _ in range(len(todo)):
            key, request = todo.popleft()
            found = self._cache.get(key) if self._cache is not None else None
            if found is None:
                todo.append((key, request))
            else:
                self.replies[key] = Reply(**found, cached=True, error=None)
                bar.advance()

    async def _work(self, todo: deque[tuple[str, ChatRequest]], transport: Transport, bar: Bar) -> None:
        while todo and self._stop is None:
            key, request = todo.popleft()
            try:
                self.replies[key] = await self._complete(key, request, transport)
            except TunesmithError as error:
                # The other workers finish what is on its way: it is paid for, and belongs into the cache.
                self._stop = self._stop or error
                transport.stopped = True
            bar.advance()

    async def _complete(self, key: str, request: ChatRequest, transport: Transport) -> Reply:
        """Ask, ask once more if the reply is cut off or misses the schema, and store what is good."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        body = body_of(request, self._settings)
        outcome, attempts = await self._ask(body, transport)
        answers = [outcome] if isinstance(outcome, Answer) else []
        error = self._error_of(outcome, request)
        if isinstance(outcome, Answer) and error is not None and _worth_asking_again(error):
            outcome, more = await self._ask(_asked_again(body, error), transport)
            attempts += more
            answers += [outcome] if isinstance(outcome, Answer) else []
            error = self._error_of(outcome, request)
        prompt_tokens = sum(answer.prompt_tokens for answer in answers)
        completion_tokens = sum(answer.completion_tokens for answer in answers)
        stored: dict[str, Any] = {
            "text": answers[-1].text if answers else "",
            "model": answers[-1].model if answers else self._settings.model,
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "cost_usd": self._settings.cost_usd(prompt_tokens, completion_tokens),
            "latency_s": loop.time() - started,
            "attempts": attempts,
        }
        if error is None and self._cache is not None:
            self._cache.put(key, stored)
        return Reply(**stored, cached=False, error=error)

    async def _ask(self, body: dict[str, Any], transport: Transport) -> tuple[Answer | Failure, int]:
        """Send a body; one that the endpoint refuses because of `response_format` goes again without.

        An endpoint that took the second form gets it from then on: the prompt asks for JSON too, and the reply is
        checked in any case.
        """
        plain = {name: value for name, value in body.items() if name != "response_format"}
        sent = body if self._send_schema else plain
        outcome, attempts = await transport.ask(sent)
        if isinstance(outcome, Failure) and outcome.status in {400, 422} and "response_format" in sent:
            outcome, more = await transport.ask(plain)
            attempts += more
            if isinstance(outcome, Answer):
                self._send_schema = False
        if isinstance(outcome, Answer):
            self._n_answered += 1
        elif not self._n_answered:
            self._refuse_endpoint(outcome)
        return outcome, attempts

    def _refuse_endpoint(self, failure: Failure) -> None:
        """Stop at a failure that every further request would share, as long as nothing was ever answered."""
        where = f"model {self._settings.model!r} at {self._settings.base_url}"
        if failure.status in {401, 403}:
            variable = self._settings.api_key_env or "none is configured; set api_key_env"
            raise EndpointError(f"{where} refused the key ({variable}): {failure.message}")
        if failure.status == 404:
            raise EndpointError(f"{where} was not found: {failure.message}; check base_url (with its /v1) and model")
        if failure.kind is Failed.CONNECTION_FAILED:
            raise EndpointError(f"{where} cannot be reached: {failure.message}; check base_url, or start the server")

    def _error_of(self, outcome: Answer | Failure, request: ChatRequest) -> str | None:
        if isinstance(outcome, Failure):
            return f"{outcome.kind}: {outcome.message}"
        if outcome.finish_reason == "length":
            return f"{Failed.TRUNCATED_REPLY}: cut off after {outcome.completion_tokens} tokens; raise max_tokens"
        if outcome.finish_reason == "content_filter":
            return f"{Failed.CONTENT_FILTERED}: the endpoint withheld its reply"
        if not outcome.text.strip():
            return f"{Failed.EMPTY_REPLY}: finish_reason {outcome.finish_reason}"
        problem = schema_problem(outcome.text, request.schema) if request.schema is not None else None
        return None if problem is None else f"{Failed.INVALID_REPLY}: {problem}"


def _worth_asking_again(error: str) -> bool:
    return error.startswith((Failed.TRUNCATED_REPLY, Failed.INVALID_REPLY, Failed.EMPTY_REPLY))


def _asked_again(body: dict[str, Any], error: str) -> dict[str, Any]:
    """Return the body of the second try: twice the tokens, and for a bad reply a word on what was wrong with it."""
    again = {**body, "max_tokens": 2 * body["max_tokens"]}
    if error.startswith(Failed.INVALID_REPLY):
        *before, last = body["messages"]
        note = "Your reply must be one JSON object of the requested form, and nothing else."
        again["messages"] = [*before, {**last, "content": f"{last['content']}\n\n{note}"}]
    return again


def _run_to_end(run: _Run, requests: dict[str, ChatRequest], description: str) -> None:
    """Run the event loop, in a thread of its own where one is running already (a notebook, a server)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(run.run(requests, description))
        return
    failed: list[BaseException] = []

    def target() -> None:
        try:
            asyncio.run(run.run(requests, description))
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=target, name="chat-client")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
