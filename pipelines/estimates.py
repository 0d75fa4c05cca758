"""What the stages of a run would ask: `tunesmith plan` says it before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from pipelines.at_hand import RowsAtHand, rows_of_sources, rows_of_version
from pipelines.config import RunConfig
from pipelines.estimating import CountTokens, Estimate, cost_of, estimate, models_in
from steps.errors import InputError, LedgerError
from steps.filtering.tokens import token_counter
from steps.judging.decision import DecisionJudge, DecisionSettings, PairwiseDecisionJudge
from steps.judging.judges import AnyPairwiseJudge
from steps.judging.llm_judge import LLMJudge, LLMSettings
from steps.judging.pairwise import PairwiseLLMJudge, PairwiseLLMSettings
from steps.judging.verdict import Item, Pair
from steps.llm.endpoint import EndpointSettings
from steps.llm.in_process import InProcessSettings
from steps.llm.recorder import Recorder
from steps.llm.request import ChatRequest, Reply
from steps.preference.comparisons import schedule
from steps.preference.pairing import Ranked
from steps.preference.revised import REPLY_SCHEMA, RevisionSettings, load_revision_prompt, revision_messages
from steps.preference.sampled_settings import SampledSettings
from steps.rows import content_id, prompt_and_answer, rows_of_split
from steps.synthesis.estimate import Amount
from steps.synthesis.estimate import estimate as estimate_generation

#: Rows whose requests are written out and counted; more are a sample of as many.
ROWS_COUNTED = 1_000

AnyModel = EndpointSettings | InProcessSettings


class _Answered(NamedTuple):
    """A row that ends with an answer."""

    row_id: str
    prompt: list[dict[str, str]]
    answer: str


def estimates_of(config: RunConfig) -> list[Estimate]:
    """Return what a run would ask of each model. Reads the rows at hand, and asks nothing.

    Raises:
        ConfigError, InputError: if there are neither a curated version nor sources that can be read.
    """
    curates = config.pipeline in {"curate", "retrain"}
    preferences = config.training.preferences if config.pipeline in {"finetune", "retrain"} else None
    sources = cache(partial(rows_of_sources, config))  # read once, and only where no version holds the rows
    found: list[Estimate] = []
    if curates and any(models_in(config.curation.synthesise)):
        # Generated rows would be counted as documents to generate from again: the documents decide.
        found += _generation(config, rows_of_version(config, "documents") or sources())
    if curates and any(models_in(config.curation.judge)):
        found += _judging(config, rows_of_version(config, "unique_examples") or sources())
    if preferences is not None and any(models_in(preferences)):
        found += _preferences(config, rows_of_version(config, "sft_dataset") or sources())
    return found


def _counter(model: AnyModel, base_model: Path | None) -> CountTokens | None:
    """Return what counts tokens: the model's own tokenizer, else the base model's; None: there is neither."""
    named = model.model if isinstance(model, InProcessSettings) else model.tokenizer
    if named is None:
        return token_counter(base_model) if base_model is not None else None
    if (Path(named) / "tokenizer.json").is_file():
        return token_counter(Path(named))
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_pretrained(named)
    except Exception as error:
        raise InputError(
            f"tokenizer={named} of model {model.model} is neither a folder with a tokenizer.json nor a reachable Hub "
            f"id ({error}); leave it out to count with the base model's"
        ) from error
    return lambda texts: [len(one.ids) for one in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def _generation(config: RunConfig, rows: RowsAtHand) -> Iterator[Estimate]:
    settings = config.curation.synthesise.generate
    if settings is None:
        return
    counted = _counter(settings.model, rows.base_model)
    found = estimate_generation(rows.documents, settings, counted)
    basis = f"{found.n_documents:,} documents in {found.n_chunks:,} chunks, {found.n_pairs:,} pairs; {rows.origin}"
    yield _of_amounts("synthesise", settings.model, found.generator, found.generator_worst, basis)
    if settings.ground is not None and settings.ground.judge is not None:
        yield _of_amounts("ground", settings.ground.judge.model, found.judge, found.judge_worst, basis)


def _of_amounts(stage: str, model: AnyModel, expected: Amount, worst: Amount, basis: str) -> Estimate:
    return Estimate(
        stage,
        model.model,
        expected.requests,
        0,
        expected.prompt_tokens,
        expected.completion_tokens,
        worst.completion_tokens,
        cost_of(model, expected.prompt_tokens, expected.completion_tokens),
        cost_of(model, worst.prompt_tokens, worst.completion_tokens),
        f"{basis}; replies of earlier runs not taken off",
    )


def _judging(config: RunConfig, rows: RowsAtHand) -> Iterator[Estimate]:
    answered, share = _sample(rows.examples, config.seed)
    basis = f"{rows.examples.num_rows:,} rows: {rows.origin}"
    generate = config.curation.synthesise.generate
    if generate is not None and not any(rows.examples["generator"].to_pylist()):
        n_pairs = estimate_generation(rows.documents, generate).n_pairs
        if rows.examples.num_rows:
            share *= rows.examples.num_rows / (rows.examples.num_rows + n_pairs)
        basis += f", and {n_pairs:,} pairs still to be generated, taken to be as long"
    items = [Item(one.row_id, one.prompt, one.answer) for one in answered]
    for judge in config.curation.judge.judges:
        if isinstance(judge, LLMSettings | DecisionSettings):
            requests = _pointwise(judge, items, config.curation.judge.seed)
            counted = _counter(judge.model, rows.base_model)
            yield estimate(f"judge {judge.judge_name}", requests, judge.model, counted, share=share, basis=basis)


def _preferences(config: RunConfig, rows: RowsAtHand) -> Iterator[Estimate]:
    settings = config.training.preferences
    sampled = settings.sampled if settings is not None else None
    if settings is None or sampled is None:
        return
    train = rows_of_split(rows.examples, "train") if "split" in rows.examples.column_names else rows.examples
    n_prompts = min(train.num_rows, sampled.max_prompts or train.num_rows)
    answered, share = _sample(train, config.seed)
    share *= train.num_rows / max(1, n_prompts)
    basis = f"{n_prompts:,} prompts, answers taken to be as long as the rows' own; {rows.origin}"
    for stage, model, requests in _ranked(sampled, settings.revision, answered, settings.seed):
        yield estimate(stage, requests, model, _counter(model, rows.base_model), share=share, basis=basis)


def _ranked(
    sampled: SampledSettings, revision: RevisionSettings | None, answered: Sequence[_Answered], seed: int
) -> Iterator[tuple[str, AnyModel, list[ChatRequest]]]:
    """Yield what is asked about the answers to some prompts: of other models, of judges, of the reviser."""
    for other in sampled.others:
        asked = [ChatRequest(one.prompt, sample=at) for one in answered for at in range(other.samples_per_prompt)]
        yield "preferences, answers", other.model, asked
    n_answers = sampled.generation.samples_per_prompt + sum(other.samples_per_prompt for other in sampled.others)
    items = [Item(f"{one.row_id} {at}", one.prompt, one.answer) for one in answered for at in range(n_answers)]
    for judge in sampled.judges if sampled.ranker == "judges" else ():
        if isinstance(judge, LLMSettings | DecisionSettings):
            yield f"preferences, {judge.judge_name}", judge.model, _pointwise(judge, items, seed)
    if sampled.ranker == "pairwise" and sampled.pairwise is not None:
        compared = schedule(n_answers, sampled.comparisons.max_per_prompt)
        pairs = [
            Pair(f"{one.row_id} {at}", one.prompt, one.answer, one.answer)
            for one in answered
            for at in range(len(compared))
        ]
        name = f"preferences, {sampled.pairwise.judge_name}"
        yield name, sampled.pairwise.model, _pairwise(sampled.pairwise, pairs, seed)
    if revision is not None:
        prompt, _ = load_revision_prompt(revision.prompt)
        messages = [
            revision_messages(prompt, one.prompt, Ranked(one.answer, 0.0), one.row_id, seed) for one in answered
        ]
        yield "preferences, revision", revision.model, [ChatRequest(one, REPLY_SCHEMA) for one in messages]


def _sample(rows: pa.Table, seed: int) -> tuple[list[_Answered], float]:
    """Return rows that end with an answer, a seeded sample of `ROWS_COUNTED` at most, and the share that it is."""
    ids = rows["id"].to_pylist()
    chosen = sorted(range(len(ids)), key=lambda at: content_id("estimate", ids[at], seed))[:ROWS_COUNTED]
    answered = []
    for row in rows.select(["id", "messages"]).take(pa.array(chosen, pa.int64())).to_pylist():
        try:
            answered.append(_Answered(row["id"], *prompt_and_answer(row["messages"])))
        except ValueError:
            continue  # without an answer nothing is asked, as in the run
    return answered, len(chosen) / len(ids) if ids else 1.0


def _pointwise(judge: LLMSettings | DecisionSettings, items: Sequence[Item], seed: int) -> list[ChatRequest]:
    """Write the requests of a judge of single answers."""
    if isinstance(judge, LLMSettings):
        recorder = Recorder()
        LLMJudge(judge, seed, recorder).score(items)
        return recorder.requests
    return _passes(DecisionJudge(judge, seed, _undecided).requests(items))


def _pairwise(judge: AnyPairwiseJudge, pairs: Sequence[Pair], seed: int) -> list[ChatRequest]:
    """Write the requests of a judge of pairs, both orders of each."""
    if isinstance(judge, PairwiseLLMSettings):
        recorder = Recorder()
        PairwiseLLMJudge(judge, seed, recorder).compare(pairs)
        return recorder.requests
    return 2 * _passes(PairwiseDecisionJudge(judge, seed, _undecided).requests(pairs))


def _passes(requests: Sequence[dict[str, Any]]) -> list[ChatRequest]:
    """Return requests as large as those of a decision endpoint: each question is put with the whole state."""
    return [
        ChatRequest([{"role": "user", "content": one["state"] * len(one["questions"])}], max_tokens=1)
        for one in requests
    ]


def _undecided(requests: Sequence[Mapping[str, Any]]) -> list[Reply]:
    raise LedgerError(f"an estimate asked {len(requests)} questions")
