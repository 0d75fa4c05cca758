"""A transformers model in this process, behind the same interface as an endpoint: for work without a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from steps.errors import BudgetExceededError
from steps.llm.budget import Budget, Spend
from steps.llm.cache import ReplyCache
from steps.llm.checking import second_try
from steps.llm.local_model import LocalModel, Turn, problem_with
from steps.llm.request import ChatRequest, Reply
from steps.progress import Bar, progress
from steps.settings import Settings


class InProcessSettings(Settings):
    """A causal language model with a chat template, loaded by this process."""

    type: Literal["transformers"]
    model: str = Field(min_length=1)
    """Folder or Hub id of the model; one of the Hub must have been fetched before."""
    family: str | None = None
    """Whose model it is (`llama`, `qwen`, …); none derives it from the name. A judge of the generator's family is
    flagged."""
    device: str = "auto"
    """`auto` takes a GPU where there is one; else a torch device such as `cpu`."""
    batch_size: int = Field(default=8, ge=1)
    """Prompts that are answered at once."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature; 0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Probability mass that is sampled from; 1 keeps all tokens."""
    seed: int = Field(default=7, ge=0)
    """Seed of the sampling; sample `i` of a prompt has its own."""
    max_tokens: int = Field(default=1024, ge=1)
    """Longest reply in tokens. A reply cut off by it is asked for once more with twice as many."""
    cache_path: str | None = Field(default=".tunesmith/replies.sqlite", min_length=1)
    """SQLite file that keeps every reply; none asks anew each time."""


class InProcessClient:
    """Asks a model that it loads with the first request that the cache does not answer.

    A reply depends on its own prompt, settings and sample number, not on the batch that it is made in (but for the
    rounding of padded matrix products, which can tip a tie between two tokens).
    """

    def __init__(self, settings: InProcessSettings, budget: Budget | None = None) -> None:
        self.settings = settings
        self._budget = budget or Budget()
        self._model = LocalModel(settings)
        self._lock = threading.Lock()

    @property
    def spent_usd(self) -> float:
        """US dollars that this client paid: none."""
        return 0.0

    def complete_all(self, requests: Sequence[ChatRequest], description: str = "Asking the model") -> list[Reply]:
        """Return one reply per request, in order. Equal requests are asked once.

        Raises:
            InputError: if the model cannot be loaded, or the cache file not be used.
            BudgetExceededError: if the next request could exceed the budget's `max_tokens`; all replies so far are
                cached.
        """
        path = self.settings.cache_path
        keys = [self._model.key(request) for request in requests]
        with self._lock, ReplyCache(Path(path)) if path is not None else nullcontext() as cache:
            found = cache.get_many(keys) if cache is not None else {}
            replies = {key: Reply(**fields, cached=True, error=None) for key, fields in found.items()}
            todo = {key: request for key, request in zip(keys, requests, strict=True) if key not in replies}
            if todo:
                with progress(description, len(todo)) as bar:
                    for key, reply in self._answers(todo, bar):
                        if reply.error is None and cache is not None:
                            cache.put(key, _stored(reply))
                        replies[key] = reply
        seen: set[str] = set()
        answers = []
        for key in keys:
            answers.append(replies[key]._replace(cached=replies[key].cached or key in seen))
            seen.add(key)
        return answers

    def _answers(self, todo: Mapping[str, ChatRequest], bar: Bar) -> Iterator[tuple[str, Reply]]:
        """Yield the requests' replies, as each batch is done; a reply that misses the form is asked for once more."""
        turns, again = [], []
        for key, request in todo.items():
            turn = self._model.turn(key, request, 1)
            if isinstance(turn, Turn):
                turns.append(turn)
            else:
                yield key, turn
                bar.advance()
        firsts: dict[str, Reply] = {}
        for turn, reply in self._rounds(turns):
            second = self._second(turn, reply)
            if second is None:
                yield turn.key, reply
                bar.advance()
            else:
                firsts[turn.key] = reply
                again.append(second)
        for turn, reply in self._rounds(again):
            yield turn.key, _billed_together(firsts[turn.key], reply)
            bar.advance()

    def _second(self, turn: Turn, reply: Reply) -> Turn | None:
        """Return the second try of a request, if it can come out better than the first."""
        problem = problem_with(reply, turn.request)
        if problem is None or not problem.is_worth_asking_again:
            return None
        second = self._model.turn(turn.key, second_try(turn.request, turn.max_tokens, problem), 2)
        if not isinstance(second, Turn):
            return None
        is_same = second.ids == turn.ids and second.max_tokens == turn.max_tokens
        return None if is_same and self._model.temperature(turn.request) == 0 else second

    def _rounds(self, turns: Sequence[Turn]) -> Iterator[tuple[Turn, Reply]]:
        """Answer batch after batch, prompts of similar length together."""
        waiting = sorted(turns, key=lambda turn: (turn.max_tokens, len(turn.ids), turn.key))
        while waiting:
            batch = self._reserved(waiting[: self.settings.batch_size])
            del waiting[: len(batch)]
            spent = [0] * len(batch)
            try:
                replies = self._model.answer(batch)
                spent = [reply.prompt_tokens + reply.completion_tokens for reply in replies]
            finally:
                for turn, n_tokens in zip(batch, spent, strict=True):
                    self._budget.settle(_worst(turn), Spend(0.0, n_tokens))
            yield from zip(batch, replies, strict=True)

    def _reserved(self, turns: Sequence[Turn]) -> list[Turn]:
        """Return as many of the turns as the budget has room for now, at least one."""
        taken: list[Turn] = []
        while len(taken) < len(turns):
            settled = threading.Event()
            try:
                has_room = self._budget.reserve(_worst(turns[len(taken)]), settled.set)
            except BudgetExceededError:
                if taken:
                    return taken
                raise
            if has_room:
                taken.append(turns[len(taken)])
            elif taken:
                return taken
            else:
                settled.wait()
        return taken


def _worst(turn: Turn) -> Spend:
    return Spend(0.0, len(turn.ids) + turn.max_tokens)


def _stored(reply: Reply) -> dict[str, Any]:
    return {name: value for name, value in reply._asdict().items() if name not in {"cached", "error"}}


def _billed_together(first: Reply, second: Reply) -> Reply:
    return second._replace(
        prompt_tokens=first.prompt_tokens + second.prompt_tokens,
        completion_tokens=first.completion_tokens + second.completion_tokens,
        latency_s=first.latency_s + second.latency_s,
        attempts=2,
    )
