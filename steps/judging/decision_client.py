"""Asks a decision model: typed questions about a text, answered in one forward pass each, over HTTP or in this process.

The format is that of `POST /v1/systemone` of `transformers serve`, whose twin in a process is `pipeline("decision")`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steps.errors import EndpointError, InputError
from steps.llm.budget import Budget, Spend
from steps.llm.cache import ReplyCache
from steps.llm.endpoint import EndpointSettings, api_key
from steps.llm.in_process import InProcessSettings
from steps.llm.loop import run_to_end
from steps.llm.request import Failed, Reply
from steps.progress import progress, track

if TYPE_CHECKING:
    import aiohttp

#: Answers requests `{state, questions}` in order; `Reply.text` is the JSON object of the answers by question.
Decide = Callable[[Sequence[Mapping[str, Any]]], list[Reply]]
#: Statuses that every further request would meet too: the key, the address or the model is wrong.
_FATAL = frozenset({400, 401, 403, 404})
_RETRYABLE = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_EXCERPT = 300


def open_decider(model: EndpointSettings | InProcessSettings, budget: Budget | None) -> Decide:
    """Return what answers the questions of a decision judge. Replies are kept in the model's cache file.

    Raises:
        ConfigError: if the variable that `api_key_env` names is not set.
    """
    asker = _InProcess(model, budget) if isinstance(model, InProcessSettings) else _Http(model, budget)

    def decide(requests: Sequence[Mapping[str, Any]]) -> list[Reply]:
        keys = [_key(request, model.model) for request in requests]
        wanted = dict(zip(keys, requests, strict=True))
        if model.cache_path is None:
            found = asker.ask(wanted, lambda key, reply: None)
        else:
            with ReplyCache(Path(model.cache_path)) as cache:
                kept = cache.get_many(wanted)
                found = {key: Reply(**reply)._replace(cached=True) for key, reply in kept.items()}
                missing = {key: request for key, request in wanted.items() if key not in found}
                found |= asker.ask(missing, lambda key, reply: cache.put(key, reply._asdict()))
        return [found[key] for key in keys]

    return decide


def _key(request: Mapping[str, Any], model: str) -> str:
    canonical = json.dumps({"systemone": request, "model": model}, sort_keys=True)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _worst_case(request: Mapping[str, Any], price_usd: float | None) -> Spend:
    """Bound a call: each question is put with the whole state, and a token spans at least one byte."""
    size = len(json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogatepass")) * len(request["questions"])
    return Spend((price_usd or 0.0) * size / 1e6, size)


Keep = Callable[[str, Reply], object]


class _Http:
    """The endpoint `<base_url>/systemone`."""

    def __init__(self, settings: EndpointSettings, budget: Budget | None) -> None:
        self._settings, self._budget = settings, budget or Budget()
        self._key = api_key(settings)
        self._url = f"{settings.base_url}/systemone"
        self._answered = False

    def ask(self, requests: Mapping[str, Mapping[str, Any]], keep: Keep) -> dict[str, Reply]:
        found: dict[str, Reply] = {}
        if requests:
            run_to_end(lambda: self._ask_all(requests, keep, found))
        return found

    async def _ask_all(self, requests: Mapping[str, Mapping[str, Any]], keep: Keep, found: dict[str, Reply]) -> None:
        import aiohttp

        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        timeout = aiohttp.ClientTimeout(total=self._settings.timeout_s)
        waiting = iter(requests.items())
        with progress("Asking the decision model", len(requests)) as bar:
            async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:

                async def work() -> None:
                    for key, request in waiting:
                        found[key] = await self._ask(session, request)
                        if found[key].error is None:
                            keep(key, found[key])
                        bar.advance(1)

                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._settings.max_concurrency, len(requests))):
                        group.create_task(work())

    async def _ask(self, session: aiohttp.ClientSession, request: Mapping[str, Any]) -> Reply:
        worst = _worst_case(request, self._settings.price_per_million_input_usd)
        await self._reserve(worst)
        started, spent = time.monotonic(), Spend()
        try:
            for attempt in range(1, self._settings.max_retries + 2):
                outcome = await self._attempt(session, request)
                if isinstance(outcome, Mapping) or not outcome[1]:
                    break
                if attempt <= self._settings.max_retries:
                    await asyncio.sleep(min(self._settings.backoff_s * 2 ** (attempt - 1), self._settings.max_wait_s))
            latency_s = time.monotonic() - started
            if isinstance(outcome, Mapping):
                reply = self._reply(outcome, latency_s, attempt)
                spent = Spend(reply.cost_usd or 0.0, reply.prompt_tokens)
                return reply
            if outcome[1] and outcome[0].startswith(Failed.CONNECTION_FAILED) and not self._answered:
                raise EndpointError(
                    f"the decision endpoint {self._url} cannot be reached ({outcome[0]}); check base_url, or start "
                    "`transformers serve`"
                )
            return Reply("", self._settings.model, 0, 0, None, latency_s, attempt, False, outcome[0])
        finally:
            self._budget.settle(worst, spent)

    async def _reserve(self, worst: Spend) -> None:
        loop = asyncio.get_running_loop()
        while True:
            room = asyncio.Event()
            if self._budget.reserve(worst, lambda event=room: loop.call_soon_threadsafe(event.set)):  # type: ignore[misc]
                return
            await room.wait()

    async def _attempt(
        self, session: aiohttp.ClientSession, request: Mapping[str, Any]
    ) -> Mapping[str, Any] | tuple[str, bool]:
        """Return the body of the answer, or an error and whether to try again."""
        import aiohttp

        try:
            async with session.post(self._url, json={"model": self._settings.model, **request}) as response:
                text = await response.text()
                if response.status in _FATAL:
                    raise EndpointError(
                        f"the decision endpoint {self._url} refused model {self._settings.model!r} with "
                        f"{response.status}: {text[:_EXCERPT]}; check base_url, model and key, and that the server is "
                        "`transformers serve` with this model"
                    )
                if response.status != 200:
                    is_transient = response.status in _RETRYABLE
                    kind = Failed.SERVER_ERROR if is_transient else Failed.REQUEST_REFUSED
                    return f"{kind}: {response.status} {text[:_EXCERPT]}", is_transient
        except TimeoutError:
            return f"{Failed.TIMEOUT}: no answer within {self._settings.timeout_s:g} s", True
        except (aiohttp.ClientError, OSError) as error:
            return f"{Failed.CONNECTION_FAILED}: {error or type(error).__name__}", True
        self._answered = True
        return _well_formed(text, request)

    def _reply(self, body: Mapping[str, Any], latency_s: float, attempts: int) -> Reply:
        tokens = int((body.get("usage") or {}).get("input_tokens") or 0)
        model = str(body.get("model") or self._settings.model)
        cost_usd = self._settings.cost_usd(tokens, 0)
        return Reply(json.dumps(body["answers"]), model, tokens, 0, cost_usd, latency_s, attempts, False, None, "stop")


def _well_formed(text: str, request: Mapping[str, Any]) -> Mapping[str, Any] | tuple[str, bool]:
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    answers = body.get("answers") if isinstance(body, dict) else None
    if not isinstance(answers, dict) or set(answers) != set(request["questions"]):
        return f"{Failed.MALFORMED_RESPONSE}: no answer to every question: {text[:_EXCERPT]}", True
    return {**body, "answers": answers}


class _InProcess:
    """The same model and questions, within this process."""

    def __init__(self, settings: InProcessSettings, budget: Budget | None) -> None:
        self._settings, self._budget = settings, budget or Budget()
        self._pipeline: Any = None

    def ask(self, requests: Mapping[str, Mapping[str, Any]], keep: Keep) -> dict[str, Reply]:
        found: dict[str, Reply] = {}
        for key, request in track(list(requests.items()), "Deciding"):
            found[key] = self._ask(request)
            if found[key].error is None:
                keep(key, found[key])
        return found

    def _ask(self, request: Mapping[str, Any]) -> Reply:
        import torch

        decide = self._loaded()
        started = time.monotonic()
        lengths = [inputs["input_ids"].shape[-1] for inputs, _ in decide.preprocess(dict(request))["prompts"]]
        longest = getattr(decide.model.config, "max_position_embeddings", None)
        if longest is not None and max(lengths) > longest:
            error = f"{Failed.REQUEST_REFUSED}: {max(lengths)} tokens, and the model reads {longest}"
            return Reply("", self._settings.model, 0, 0, 0.0, 0.0, 1, False, error)
        worst = Spend(0.0, sum(lengths))
        # In one thread nothing else is in flight, unless the stage's other judges run beside: then wait for them.
        while not self._budget.reserve(worst):
            time.sleep(0.05)
        try:
            with torch.inference_mode():
                answers = decide(dict(request))
        finally:
            self._budget.settle(worst, worst)
        text = json.dumps(answers)
        latency_s = time.monotonic() - started
        return Reply(text, self._settings.model, sum(lengths), 0, 0.0, latency_s, 1, False, None, "stop")

    def _loaded(self) -> Any:
        if self._pipeline is None:
            from transformers import pipeline

            from steps.judging.devices import device_of

            try:
                self._pipeline = pipeline(
                    "decision", model=self._settings.model, device=device_of(self._settings.device)
                )
            except (OSError, ValueError) as error:
                raise InputError(
                    f"decision model {self._settings.model!r} cannot be loaded ({error}); name a local folder or a "
                    "reachable Hub id of a causal language model with a chat template"
                ) from None
        return self._pipeline
