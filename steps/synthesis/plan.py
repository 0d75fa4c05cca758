"""The plan of generation: which chunk is asked for how many pairs of which kind, by whom, with which examples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

from steps.rows import content_id
from steps.synthesis.chunks import Chunk
from steps.synthesis.generation_settings import GenerationSettings
from steps.synthesis.people import Seed
from steps.synthesis.prompts import GenerationKind, Operation, PromptKind, Shown

#: The golden ratio's fraction: multiples of it fill [0, 1) evenly, however many are taken (Weyl's sequence).
_STRIDE = 0.6180339887498949


class Origin(NamedTuple):
    """Where a document came from: what its pairs carry on."""

    document_id: str
    source: str
    path: str
    licence: str | None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Origin:
        """Take it from a row of schema `DOCUMENTS`."""
        return cls(row["id"], row["source"], row["path"], row["licence"])


class Unit(NamedTuple):
    """One request: so many pairs of a kind from a chunk."""

    id: str
    origin: Origin
    chunk: Chunk
    kind: str
    """Kind of the rows; of an evolved pair with `+` and the operation behind that of its parent."""
    prompt_kind: PromptKind
    n_pairs: int = 1
    persona: str | None = None
    examples: tuple[Seed, ...] = ()
    operation: Operation | None = None
    parent: Mapping[str, Any] | None = None
    """The row that is evolved or revised."""
    claims: tuple[str, ...] = ()
    """Of a revision: what lacks support."""

    def shown(self) -> Shown:
        """Return what the prompt shows."""
        messages = self.parent["messages"] if self.parent else []
        return Shown(
            self.chunk.text,
            self.chunk.headings,
            self.n_pairs,
            self.persona,
            [{"instruction": seed.instruction, "answer": seed.answer} for seed in self.examples],
            question_of(messages, self.chunk) if messages else "",
            messages[-1]["content"] if messages else "",
            self.claims,
            self.operation,
        )


def question_of(messages: Sequence[Mapping[str, str]], chunk: Chunk) -> str:
    """Return what was asked: all turns before the last answer, without the chunk that a task on a text repeats."""
    before = messages[:-1]
    if len(before) == 1:
        return before[0]["content"].removesuffix(chunk.text).strip()
    return "\n\n".join(f"{message['role']}: {message['content']}" for message in before)


def plan_units(
    origin: Origin,
    chunks: Sequence[Chunk],
    settings: GenerationSettings,
    personas: Sequence[str],
    seeds: Sequence[Seed],
) -> Iterator[Unit]:
    """Yield the requests of one document, the same for the same seed whatever other documents there are.

    The kinds of a chunk are drawn by weight with one random offset for the whole document, so that over its chunks each
    kind is asked for as often as its weight says, give or take one. Pairs of one kind are asked for together: the chunk
    is the costly part of a prompt.
    """
    chosen = _spread(chunks, settings)
    random = Random(f"{settings.seed} {origin.document_id}")
    offset = random.random()
    left = settings.max_pairs_per_document or math.inf
    for number, chunk in enumerate(chosen):
        n_pairs = int(min(settings.pairs_per_chunk, left))
        left -= n_pairs
        draws = [(offset + (number * settings.pairs_per_chunk + at) * _STRIDE) % 1.0 for at in range(n_pairs)]
        kinds = [kind for draw in draws if (kind := _kind_at(draw, chunk, settings))]
        for kind, count in Counter(kinds).items():
            yield _unit(origin, chunk, kind, count, settings, personas, seeds)


def _spread(chunks: Sequence[Chunk], settings: GenerationSettings) -> list[Chunk]:
    """Return the chunks that are asked of, evenly spaced where the document has more than it may have pairs of."""
    if settings.max_pairs_per_document is None:
        return list(chunks)
    n_wanted = math.ceil(settings.max_pairs_per_document / settings.pairs_per_chunk)
    if len(chunks) <= n_wanted:
        return list(chunks)
    return [chunks[math.floor((at + 0.5) * len(chunks) / n_wanted)] for at in range(n_wanted)]


def _kind_at(draw: float, chunk: Chunk, settings: GenerationSettings) -> GenerationKind | None:
    weights = {kind: weight for kind, weight in settings.kinds.items() if weight and (kind != "code" or chunk.has_code)}
    at = draw * sum(weights.values())
    for kind, weight in weights.items():
        at -= weight
        if at < 0:
            return kind
    # Rounding may leave the last kind a hair short; without any, code alone is wanted, and there is none.
    return next(reversed(weights), None)


def _unit(
    origin: Origin,
    chunk: Chunk,
    kind: GenerationKind,
    n_pairs: int,
    settings: GenerationSettings,
    personas: Sequence[str],
    seeds: Sequence[Seed],
) -> Unit:
    random = Random(f"{settings.seed} {chunk.id} {kind}")
    persona = random.choice(personas) if personas else None
    fitting = [seed for seed in seeds if seed.kind in {None, kind}]
    examples = tuple(random.sample(fitting, min(settings.few_shot, len(fitting))))
    shown = [text for seed in examples for text in (seed.instruction, seed.answer)]
    unit_id = content_id("unit", chunk.id, kind, n_pairs, persona, *shown)
    return Unit(unit_id, origin, chunk, kind, kind, n_pairs, persona, examples)
