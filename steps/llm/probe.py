"""What an endpoint can do, tried out: many accept a JSON schema, log-probabilities or a seed, and ignore them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from enum import StrEnum
from typing import NamedTuple

from steps.llm.asking import Asker
from steps.llm.cache import ReplyCache
from steps.llm.endpoint import EndpointSettings
from steps.llm.json_reply import parse_object
from steps.llm.request import ChatRequest, Failed, Structure, body_of
from steps.llm.transport import Answer, Failure

#: Settings that decide what an endpoint does with a probe; a finding under others says nothing.
_DECISIVE = {"base_url", "model", "temperature", "top_p", "max_tokens_field", "extra_body"}
#: Counts up when the probes change, so that findings of older ones are not trusted.
_VERSION = 1
#: A word that no model writes unless the schema makes it.
_WORD = "quixovar-73"
_SCHEMA = {
    "type": "object",
    "properties": {"word": {"type": "string", "enum": [_WORD]}},
    "required": ["word"],
    "additionalProperties": False,
}
GREETING = "Say hello."
SAMPLED = "Write down ten words, each picked at random."
#: Tokens of a sampled probe: two samples of 48 tokens at temperature 1 are never equal by chance.
_SAMPLED_TOKENS = 48


class Capability(StrEnum):
    """What is probed."""

    JSON_SCHEMA = "json_schema"
    TOOL = "tool"
    LOGPROBS = "logprobs"
    SEED = "seed"


class _Finding(NamedTuple):
    works: bool
    is_lasting: bool
    """Whether it was seen, and so holds for the next run too."""


#: Nothing was found out: the run goes on as if it worked, and the next one probes again.
_UNTOLD = _Finding(True, is_lasting=False)


def needed(request: ChatRequest, settings: EndpointSettings) -> set[Capability]:
    """Return what the request makes use of."""
    found = set()
    if request.schema is not None:
        found.add(Capability.JSON_SCHEMA)
    if request.top_logprobs:
        found.add(Capability.LOGPROBS)
    temperature = settings.temperature if request.temperature is None else request.temperature
    if settings.seed is not None and temperature != 0:
        found.add(Capability.SEED)
    return found


class Probe:
    """Knows, and where it must finds out, what one endpoint can do. Findings outlive the run in the cache file."""

    def __init__(self, settings: EndpointSettings, cache: ReplyCache | None) -> None:
        self._settings, self._cache = settings, cache
        decisive = {**settings.model_dump(mode="json", include=_DECISIVE), "version": _VERSION}
        self._key = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode("ascii")).hexdigest()
        self.found: dict[str, bool] = (cache.get_probe(self._key) if cache is not None else None) or {}

    async def run(self, wanted: set[Capability], asker: Asker) -> None:
        """Probe what is wanted and not known yet, all at once.

        Raises:
            BudgetExceededError: if the budget does not allow it.
            EndpointError: if the endpoint cannot be used at all.
        """
        unknown = sorted(one for one in wanted if one not in self.found)
        tried = await asyncio.gather(*(self._try(one, asker) for one in unknown))
        findings: dict[str, _Finding] = dict(zip(unknown, tried, strict=True))
        has_schema = findings[Capability.JSON_SCHEMA].works if Capability.JSON_SCHEMA in findings else True
        if not has_schema and Capability.TOOL not in self.found:
            findings[Capability.TOOL] = await self._try(Capability.TOOL, asker)
        lasting = {**self.found, **{name: one.works for name, one in findings.items() if one.is_lasting}}
        if self._cache is not None and lasting != self.found:
            self._cache.put_probe(self._key, lasting)
        self.found.update((name, one.works) for name, one in findings.items())

    def structure(self) -> Structure:
        """Return the firmest form of structured reply that works; the firmest of all where nothing is known."""
        if self.found.get(Capability.JSON_SCHEMA, True):
            return Structure.JSON_SCHEMA
        return Structure.TOOL if self.found.get(Capability.TOOL) else Structure.PROMPT

    def without(self) -> frozenset[str]:
        """Return the fields that are not worth sending."""
        ignored = set()
        if not self.found.get(Capability.LOGPROBS, True):
            ignored |= {"logprobs", "top_logprobs"}
        if not self.found.get(Capability.SEED, True):
            ignored.add("seed")
        return frozenset(ignored)

    async def _try(self, capability: Capability, asker: Asker) -> _Finding:
        match capability:
            case Capability.JSON_SCHEMA:
                return await self._keeps_to_schema(Structure.JSON_SCHEMA, asker)
            case Capability.TOOL:
                return await self._keeps_to_schema(Structure.TOOL, asker)
            case Capability.LOGPROBS:
                outcome = await self._ask(ChatRequest(_turn(GREETING), top_logprobs=1), asker)
                if not isinstance(outcome, Answer):
                    return _of_failure(outcome)
                return _Finding(outcome.logprobs is not None, is_lasting=True)
            case Capability.SEED:
                return await self._repeats_itself(asker)

    async def _keeps_to_schema(self, structure: Structure, asker: Asker) -> _Finding:
        outcome = await self._ask(ChatRequest(_turn(GREETING), schema=_SCHEMA), asker, structure)
        if not isinstance(outcome, Answer):
            return _of_failure(outcome)
        if outcome.finish_reason == "length":
            return _UNTOLD
        try:
            return _Finding(parse_object(outcome.text).get("word") == _WORD, is_lasting=True)
        except ValueError:
            return _Finding(False, is_lasting=True)

    async def _repeats_itself(self, asker: Asker) -> _Finding:
        temperature = None if self._settings.temperature is None else 1.0
        request = ChatRequest(_turn(SAMPLED), temperature=temperature, max_tokens=_SAMPLED_TOKENS)
        first, second = await asyncio.gather(self._ask(request, asker), self._ask(request, asker))
        if not isinstance(first, Answer):
            return _of_failure(first)
        if not isinstance(second, Answer):
            return _of_failure(second)
        if not first.text.strip():
            return _UNTOLD
        return _Finding(first.text == second.text, is_lasting=True)

    async def _ask(
        self, request: ChatRequest, asker: Asker, structure: Structure = Structure.JSON_SCHEMA
    ) -> Answer | Failure:
        return (await asker.call(body_of(request, self._settings, structure))).outcome


def _turn(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def _of_failure(failure: Failure) -> _Finding:
    """A refusal is heeded in this run, and tried again in the next: it may have had another cause."""
    return _Finding(False, is_lasting=False) if failure.kind is Failed.REQUEST_REFUSED else _UNTOLD
