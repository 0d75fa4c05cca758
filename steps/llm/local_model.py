"""The model of an `InProcessClient`: its prompts as tokens, its replies, and what identifies it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from steps.errors import InputError
from steps.llm.checking import Problem, problem_of
from steps.llm.request import ChatRequest, Failed, Reply, with_schema
from steps.llm.sampling import Chooser, Draw

if TYPE_CHECKING:
    from steps.chat.model import Loaded
    from steps.llm.in_process import InProcessSettings


class Turn(NamedTuple):
    """One try of one request: `ids` is the tokenised prompt."""

    key: str
    request: ChatRequest
    ids: list[int]
    max_tokens: int
    attempt: int


class LocalModel:
    """A model that is loaded when its first prompt is tokenised."""

    def __init__(self, settings: InProcessSettings) -> None:
        self._settings = settings
        self._identity: str | None = None
        self.loaded: Loaded | None = None

    def key(self, request: ChatRequest) -> str:
        """Return the SHA-256 of all that decides the reply: a model by its files, wherever they lie."""
        if self._identity is None:
            self._identity = _identity(self._settings.model)
        temperature = self.temperature(request)
        drawn = [temperature, self._settings.top_p, self._settings.seed] if temperature > 0 else []
        messages = [[message["role"], message["content"]] for message in request.messages]
        decisive = [self._identity, messages, request.schema, drawn, request.sample, request.top_logprobs]
        return hashlib.sha256(json.dumps(["transformers", *decisive], sort_keys=True).encode("ascii")).hexdigest()

    def temperature(self, request: ChatRequest) -> float:
        """Return the temperature at which a request is answered."""
        return self._settings.temperature if request.temperature is None else request.temperature

    def turn(self, key: str, request: ChatRequest, attempt: int) -> Turn | Reply:
        """Tokenise a prompt, or say why it cannot be asked.

        One that leaves room in the context for a part of its `max_tokens` gets that part: a reply that ends within it
        is whole, and one that does not is told from it.
        """
        from steps.chat.model import context_length
        from steps.chat.render import encode_prompt

        loaded = self._load()
        messages = request.messages if request.schema is None else with_schema(request.messages, request.schema)
        try:
            ids = encode_prompt(loaded.tokenizer, messages)
        except InputError as error:
            return self._refused(str(error))
        room = context_length(loaded.model) - len(ids)
        if room < 1:
            return self._refused(f"the prompt has {len(ids)} tokens, which leaves no room in the model's context")
        return Turn(key, request, ids, min(request.max_tokens or self._settings.max_tokens, room), attempt)

    def answer(self, turns: Sequence[Turn]) -> list[Reply]:
        """Answer some turns in one batch."""
        from transformers import GenerationConfig

        from steps.chat.generation import continuations, own_decoding
        from steps.chat.model import end_of_turn_ids, pad_token_id

        loaded = self._load()
        chooser = Chooser([self._draw(turn) for turn in turns])
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
        replies = []
        for row, (turn, (tokens, stopped)) in enumerate(zip(turns, found, strict=True)):
            # The batch went on for the turn that may be longest.
            kept = tokens[: turn.max_tokens]
            notes = chooser.logprobs(row, kept, loaded.tokenizer)
            replies.append(self._reply(turn, kept, stopped and len(kept) == len(tokens), latency_s, notes))
        return replies

    def _draw(self, turn: Turn) -> Draw:
        seed = f"{turn.key}-{turn.attempt}"
        return Draw(self.temperature(turn.request), self._settings.top_p, seed, turn.request.top_logprobs)

    def _reply(self, turn: Turn, tokens: list[int], stopped: bool, latency_s: float, notes: list[Any]) -> Reply:
        reply = Reply(
            text=self._load().tokenizer.decode(tokens, skip_special_tokens=True),
            model=self._settings.model,
            prompt_tokens=len(turn.ids),
            completion_tokens=len(tokens),
            cost_usd=0.0,
            latency_s=latency_s,
            attempts=1,
            cached=False,
            error=None,
            finish_reason="stop" if stopped else "length",
            # The token that ends the turn is none of the text.
            logprobs=notes[: len(tokens) - stopped] if turn.request.top_logprobs else None,
        )
        problem = problem_with(reply, turn.request)
        return reply if problem is None else reply._replace(error=str(problem))

    def _refused(self, why: str) -> Reply:
        return Reply("", self._settings.model, 0, 0, 0.0, 0.0, 0, False, f"{Failed.REQUEST_REFUSED}: {why}")

    def _load(self) -> Loaded:
        if self.loaded is None:
            from steps.chat.model import load

            loaded = load(Path(self._settings.model))
            if self._settings.device != "auto":
                loaded.model.to(self._settings.device)
            self.loaded = loaded
        return self.loaded


def problem_with(reply: Reply, request: ChatRequest) -> Problem | None:
    """Say why a model's reply cannot be used, or None."""
    return problem_of(reply.text, reply.finish_reason or "stop", reply.completion_tokens, request.schema)


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
