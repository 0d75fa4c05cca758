"""What generation will ask for, before anything is asked: requests and tokens, as expected and at worst."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from steps.synthesis.chunks import Chunk, chunk_document
from steps.synthesis.generation_settings import GenerationSettings, GroundingJudgeSettings
from steps.synthesis.people import Seed, load_personas, load_seeds
from steps.synthesis.pieces import CountTokens
from steps.synthesis.plan import Origin, Unit, plan_units
from steps.synthesis.prompts import PromptKind, Shown, SynthesisPrompt, render
from steps.tables import batches_of

#: How full chunks are: mean of 400 documents of techdocs in chunks of 600 tokens (407 of 600).
MEAN_FILL = 0.68
#: Share of pairs that grounding is expected to keep: it kept 76 to 93 % of what good models wrote from a text
#: (benchmarks/results/grounding.md); a weak generator loses more.
KEPT_SHARE = 0.85
#: Tokens of a chat template for each message.
_PER_MESSAGE = 4


class Amount(NamedTuple):
    """Requests and their tokens."""

    requests: int
    prompt_tokens: int
    completion_tokens: int

    def __add__(self, other: object) -> Amount:
        if not isinstance(other, Amount):
            return NotImplemented
        return Amount(*(one + two for one, two in zip(self, other, strict=True)))

    def times(self, factor: float) -> Amount:
        """Return so many times as much, rounded up."""
        return Amount(*(math.ceil(one * factor) for one in self))


class Estimate(NamedTuple):
    """What a run will ask for. Cached replies are not taken off."""

    generator: Amount
    """Expected of the generator: first pairs, evolutions, revisions."""
    generator_worst: Amount
    """No more than this: every reply as long as allowed, every pair evolved and revised, each asked twice."""
    judge: Amount
    """Expected of the grounding judge; zeros without one."""
    judge_worst: Amount
    n_documents: int
    n_chunks: int
    n_pairs: int
    """Pairs that are asked for, evolved ones not counted."""


def estimate(
    documents: pa.Table | Sequence[int], settings: GenerationSettings, count_tokens: CountTokens | None = None
) -> Estimate:
    """Foresee what generation asks for.

    Args:
        documents: Schema `DOCUMENTS`, which is chunked and planned as the run does it; or the tokens of each document,
            where the texts are not at hand (chunks are then taken to be filled as usual, and to hold no code).
        settings: What is asked.
        count_tokens: Counts tokens as the generating model does, as near as can be; None takes a token for four
            characters, which English text in a current vocabulary comes close to.
    """
    count = count_tokens or _guess
    if isinstance(documents, pa.Table):
        planned = list(_planned(documents, settings, count))
        units = [unit for _, group in planned for unit in group]
        n_documents, n_chunks = documents.num_rows, sum(chunks for chunks, _ in planned)
    else:
        people = load_personas(settings.personas), load_seeds(settings.few_shot_path)
        sized = enumerate(documents)
        units = [unit for number, size in sized for unit in _units_of_size(number, size, settings, people)]
        n_documents = len(documents)
        n_chunks = sum(_n_chunks(size, settings) for size in documents)
    return _sum(units, settings, count, n_documents, n_chunks)


def _planned(documents: pa.Table, settings: GenerationSettings, count: CountTokens) -> Iterator[tuple[int, list[Unit]]]:
    personas, seeds = load_personas(settings.personas), load_seeds(settings.few_shot_path)
    for batch in batches_of(documents, 256):
        for row in batch.to_pylist():
            chunks = chunk_document(row, settings.chunks, count).chunks
            # The texts are not needed any more, the counts are.
            bare = [chunk._replace(text="") for chunk in chunks]
            yield len(chunks), list(plan_units(Origin.of(row), bare, settings, personas, seeds))


def _n_chunks(size: int, settings: GenerationSettings) -> int:
    if size <= settings.chunks.max_tokens:
        return int(size >= settings.chunks.min_tokens and size > 0)
    return math.ceil(size / (MEAN_FILL * (settings.chunks.max_tokens - settings.chunks.overlap_tokens)))


def _units_of_size(
    number: int, size: int, settings: GenerationSettings, people: tuple[Sequence[str], Sequence[Seed]]
) -> Iterator[Unit]:
    personas, seeds = people
    n_chunks = _n_chunks(size, settings)
    each = math.ceil(size / max(1, n_chunks)) + (settings.chunks.overlap_tokens if n_chunks > 1 else 0)
    name = str(number)
    chunks = [Chunk(f"{number} {at}", name, 0, 0, "", (), each, False) for at in range(n_chunks)]
    yield from plan_units(Origin(name, "", "", None), chunks, settings, personas, seeds)


def _sum(
    units: Sequence[Unit], settings: GenerationSettings, count: CountTokens, n_documents: int, n_chunks: int
) -> Estimate:
    sizes = _PromptSizes(settings, count)
    first = worst = Amount(0, 0, 0)
    for unit in units:
        prompt = sizes.prompt(unit.prompt_kind)
        tokens = sizes.of(unit)
        first += Amount(1, tokens, min(settings.reply_tokens, unit.n_pairs * prompt.tokens_per_pair))
        worst += Amount(1, tokens, settings.reply_tokens)
    n_pairs = sum(unit.n_pairs for unit in units)
    mean_chunk = math.ceil(sum(unit.chunk.n_tokens for unit in units) / max(1, len(units)))
    again, again_worst, n_rows, n_rows_worst = _further(settings, sizes, n_pairs, mean_chunk)
    judge, judge_worst = _judge(settings, sizes, n_rows, n_rows_worst, mean_chunk)
    # A reply that is cut off or misses the schema is asked for once more, with twice the tokens.
    whole_worst = worst + again_worst
    twice = Amount(2 * whole_worst.requests, 2 * whole_worst.prompt_tokens, 3 * whole_worst.completion_tokens)
    return Estimate(first + again, twice, judge, judge_worst, n_documents, n_chunks, n_pairs)


def _further(
    settings: GenerationSettings, sizes: _PromptSizes, n_pairs: int, mean_chunk: int
) -> tuple[Amount, Amount, int, int]:
    """Return what evolution and revision ask for, as expected and at worst, and how many rows there are then."""
    total = worst = Amount(0, 0, 0)
    n_rows = n_rows_worst = n_pairs
    kept = KEPT_SHARE if settings.ground else 1.0
    if settings.revise:
        one, most = sizes.further("revise", mean_chunk)
        total += one.times((1 - kept) * n_pairs)
        worst += most.times(n_pairs)
        n_rows += math.ceil((1 - kept) * n_pairs)
        n_rows_worst += n_pairs
    if settings.evolve:
        one, most = sizes.further("evolve", mean_chunk)
        n_evolved = math.ceil(settings.evolve.share * kept * n_pairs) * settings.evolve.rounds
        # What does not pass is corrected too, at worst.
        n_worst = n_pairs * settings.evolve.rounds
        total += one.times(n_evolved)
        worst += most.times(n_worst)
        if settings.revise:
            worst += sizes.further("revise", mean_chunk)[1].times(n_worst)
        n_rows, n_rows_worst = n_rows + n_evolved, n_rows_worst + n_worst * (2 if settings.revise else 1)
    return total, worst, n_rows, n_rows_worst


def _judge(
    settings: GenerationSettings, sizes: _PromptSizes, n_rows: int, n_rows_worst: int, mean_chunk: int
) -> tuple[Amount, Amount]:
    judge: GroundingJudgeSettings | None = settings.ground.judge if settings.ground else None
    if judge is None:
        return Amount(0, 0, 0), Amount(0, 0, 0)
    one, _ = sizes.further("ground", mean_chunk)
    most = Amount(2, 2 * one.prompt_tokens, 3 * judge.model.max_tokens)
    return one.times(n_rows * KEPT_SHARE), most.times(n_rows_worst)


class _PromptSizes:
    """Tokens of prompts: what stands around the chunk is counted once for each kind."""

    def __init__(self, settings: GenerationSettings, count: CountTokens) -> None:
        self._settings, self._count = settings, count
        self._prompts: dict[PromptKind, SynthesisPrompt] = {}
        self._around: dict[PromptKind, int] = {}
        self._shown: dict[str, int] = {}

    def prompt(self, kind: PromptKind) -> SynthesisPrompt:
        """Return the prompt of a kind, that of the grounding judge too."""
        if kind not in self._prompts:
            loaded = self._settings.judge_prompt() if kind == "ground" else self._settings.prompt(kind)
            self._prompts[kind] = loaded.prompt
        return self._prompts[kind]

    def of(self, unit: Unit) -> int:
        """Return the prompt tokens of a first request."""
        texts = [unit.persona or "", *(f"{seed.instruction} {seed.answer}" for seed in unit.examples)]
        for text in texts:
            if text not in self._shown:
                self._shown[text] = self._count([text])[0]
        return self._fixed(unit.prompt_kind) + unit.chunk.n_tokens + sum(self._shown[text] for text in texts)

    def further(self, kind: PromptKind, chunk_tokens: int) -> tuple[Amount, Amount]:
        """Return one request that shows a pair beside its chunk, as expected and at worst."""
        prompt = self.prompt(kind)
        pair = self.prompt("question_answering").tokens_per_pair
        tokens = self._fixed(kind) + chunk_tokens + pair * (2 if kind in {"ground", "revise"} else 1)
        worst = self._fixed(kind) + self._settings.chunks.max_tokens + 2 * self._settings.reply_tokens
        return (
            Amount(1, tokens, min(self._settings.reply_tokens, prompt.tokens_per_pair)),
            Amount(1, worst, self._settings.reply_tokens),
        )

    def _fixed(self, kind: PromptKind) -> int:
        if kind not in self._around:
            prompt = self.prompt(kind)
            operation = next(iter(prompt.operations), None)
            messages = render(prompt, kind, Shown("", operation=operation), self._settings.seed)
            counts = self._count([message["content"] for message in messages])
            self._around[kind] = sum(counts) + _PER_MESSAGE * len(messages)
        return self._around[kind]


def _guess(texts: list[str]) -> list[int]:
    return [math.ceil(len(text) / 4) for text in texts]
