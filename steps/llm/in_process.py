"""A transformers model in this process, behind the same interface as an endpoint: for work without a server."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from steps.errors import BudgetExceededError, InputError
from steps.llm.budget import Budget, Spend
from steps.llm.cache import ReplyCache
from steps.llm.checking import asked_again, error_of, is_repairable
from steps.llm.request import ChatRequest, Failed, Reply, with_schema
from steps.progress import Bar, progress
from steps.settings import Settings

if TYPE_CHECKING:
    from steps.chat.model import Loaded
    from steps.llm.sampling import Chooser


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


class _Turn(NamedTuple):
    """One try of one request: `ids` is the tokenised prompt."""

    key: str
    request: ChatRequest
    messages: Sequence[Mapping[str, str]]
    ids: list[int]
    max_tokens: int
    attempt: int


class InProcessClient:
    """Asks a model that it loads with the first request that the cache does not answer.

    A reply depends on its own prompt, settings and sample number, not on the batch that it is made in (but for the
    rounding of padded matrix products, which can tip a tie between two tokens).
    """

    def __init__(self, settings: InProcessSettings, budget: Budget | None = None) -> None:
        self.settings = settings
        self._budget = budget or Budget()
        self._loaded: Loaded | None = None
        self._identity: str | None = None
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
        keys = [self._key(request) for request in requests]
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
        turns, refused, again = [], {}, []
        for key, request in todo.items():
            messages = request.messages if request.schema is None else with_schema(request.messages, request.schema)
            turn = self._turn(key, request, messages, request.max_tokens or self.settings.max_tokens, 1)
            if isinstance(turn, _Turn):
                turns.append(turn)
            else:
                refused[key] = turn
        yield from refused.items()
        bar.advance(len(refused))
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

    def _second(self, turn: _Turn, reply: Reply) -> _Turn | None:
        """Return the second try of a request, if it can come out better than the first."""
        if reply.error is None or not is_repairable(reply.error):
            return None
        messages = asked_again(turn.messages, reply.error)
        second = self._turn(turn.key, turn.request, messages, 2 * turn.max_tokens, 2)
        if not isinstance(second, _Turn):
            return None
        is_same = second.ids == turn.ids and second.max_tokens == turn.max_tokens
        return None if is_same and self._temperature(turn.request) == 0 else second

    def _turn(
        self, key: str, request: ChatRequest, messages: Sequence[Mapping[str, str]], max_tokens: int, attempt: int
    ) -> _Turn | Reply:
        """Tokenise a prompt; one that fits the context for a part of `max_tokens` only gets that part."""
        from steps.chat.model import context_length
        from steps.chat.render import encode_prompt

        loaded = self._model()
        try:
            ids = encode_prompt(loaded.tokenizer, messages)
        except InputError as error:
            return self._refused(str(error))
        room = context_length(loaded.model) - len(ids)
        if room < 1:
            return self._refused(f"the prompt has {len(ids)} tokens, which leaves no room in the model's context")
        return _Turn(key, request, messages, ids, min(max_tokens, room), attempt)

    def _refused(self, why: str) -> Reply:
        return Reply("", self.settings.model, 0, 0, 0.0, 0.0, 0, False, f"{Failed.REQUEST_REFUSED}: {why}")

    def _rounds(self, turns: Sequence[_Turn]) -> Iterator[tuple[_Turn, Reply]]:
        """Answer batch after batch, prompts of similar length together."""
        waiting = sorted(turns, key=lambda turn: (turn.max_tokens, len(turn.ids), turn.key))
        while waiting:
            batch = self._reserved(waiting[: self.settings.batch_size])
            del waiting[: len(batch)]
            spent = [0] * len(batch)
            try:
                replies = self._batch(batch)
                spent = [reply.prompt_tokens + reply.completion_tokens for reply in replies]
            finally:
                for turn, n_tokens in zip(batch, spent, strict=True):
                    self._budget.settle(_worst(turn), Spend(0.0, n_tokens))
            yield from zip(batch, replies, strict=True)

    def _reserved(self, turns: Sequence[_Turn]) -> list[_Turn]:
        """Return as many of the turns as the budget has room for now, at least one."""
        taken: list[_Turn] = []
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

    def _batch(self, turns: Sequence[_Turn]) -> list[Reply]:
        from transformers import GenerationConfig

        from steps.chat.generation import continuations, own_decoding
        from steps.chat.model import end_of_turn_ids, pad_token_id
        from steps.llm.sampling import Chooser, Draw

        loaded = self._model()
        chooser = Chooser(
            [
                Draw(
                    self._temperature(turn.request),
                    self.settings.top_p,
                    f"{turn.key}-{turn.attempt}",
                    turn.request.top_logprobs,
                )
                for turn in turns
            ]
        )
        decoding = GenerationConfig(
            max_new_tokens=max(turn.max_tokens for turn in turns),
            do_sample=False,
            eos_token_id=end_of_turn_ids(loaded),
            pad_token_id=pad_token_id(loaded),
        )
        started = time.perf_counter()
        with own_decoding(loaded):
            found = continuations(loaded, [turn.ids for turn in turns], decoding, chooser)
        latency_s = time.perf_counter() - started
        return [
            self._reply(
                turn, tokens[: turn.max_tokens], stopped and len(tokens) <= turn.max_tokens, latency_s, chooser, i
            )
            for i, (turn, (tokens, stopped)) in enumerate(zip(turns, found, strict=True))
        ]

    def _reply(
        self, turn: _Turn, tokens: list[int], stopped: bool, latency_s: float, chooser: Chooser, row: int
    ) -> Reply:
        tokenizer = self._model().tokenizer
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        finish_reason = "stop" if stopped else "length"
        logprobs = chooser.logprobs(row, tokens[:-1] if stopped else tokens, tokenizer)
        return Reply(
            text,
            self.settings.model,
            len(turn.ids),
            len(tokens),
            0.0,
            latency_s,
            1,
            False,
            error_of(text, finish_reason, len(tokens), turn.request.schema),
            finish_reason,
            logprobs if turn.request.top_logprobs else None,
        )

    def _temperature(self, request: ChatRequest) -> float:
        return self.settings.temperature if request.temperature is None else request.temperature

    def _key(self, request: ChatRequest) -> str:
        """Return the SHA-256 of all that decides the reply: a model by its files, wherever they lie."""
        if self._identity is None:
            self._identity = _identity(self.settings.model)
        temperature = self._temperature(request)
        drawn = [temperature, self.settings.top_p, self.settings.seed] if temperature > 0 else []
        messages = [[message["role"], message["content"]] for message in request.messages]
        decisive = [self._identity, messages, request.schema, drawn, request.sample, request.top_logprobs]
        return hashlib.sha256(json.dumps(["transformers", *decisive], sort_keys=True).encode("ascii")).hexdigest()

    def _model(self) -> Loaded:
        if self._loaded is None:
            from steps.chat.model import load

            loaded = load(Path(self.settings.model))
            if self.settings.device != "auto":
                loaded.model.to(self.settings.device)
            self._loaded = loaded
        return self._loaded


def _worst(turn: _Turn) -> Spend:
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


def _identity(model: str) -> str:
    """Return a hash of the model's files, so that one trained anew in the same folder is another model."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    digest = hashlib.sha256()
    for path in sorted(file for file in folder.iterdir() if file.is_file() and file.suffix != ".md"):
        with path.open("rb") as file:
            digest.update(path.name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
