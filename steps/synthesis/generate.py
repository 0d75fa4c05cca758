"""Generation: a language model writes instruction pairs from chunks, and only what its chunk supports is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import pyarrow as pa

from steps.errors import DropLimitError
from steps.ledger import check_books, check_drop_fraction
from steps.llm.budget import Budget
from steps.llm.models import open_client
from steps.llm.request import ChatRequest, Reply
from steps.rows import EXAMPLES, GENERATIONS, LEDGER, table
from steps.synthesis.chunks import Chunked, chunk_document
from steps.synthesis.evolution import evolution_units, not_evolved
from steps.synthesis.generation_rows import STAGE, call_of, decision_of, example_of, grounding_of, revision_of
from steps.synthesis.generation_settings import GenerationSettings
from steps.synthesis.grounding import STAGE as GROUND
from steps.synthesis.grounding import Finding, GroundDrop, ground
from steps.synthesis.grounding_judge import judge_requests, questions, read_verdicts
from steps.synthesis.people import load_personas, load_seeds
from steps.synthesis.pieces import CountTokens
from steps.synthesis.plan import Origin, Unit, plan_units
from steps.synthesis.prompts import LoadedPrompt, PromptKind, fence_of, render
from steps.synthesis.replies import UNGENERATED, Read, read_reply
from steps.tables import Spill, batches_of

#: `complete_all` of a client, or anything that answers requests in order.
Complete = Callable[[Sequence[ChatRequest]], list[Reply]]
#: A kept or checked row with the request that it came from.
Made = tuple[Unit, dict[str, Any]]

#: Requests that are in memory at once: with chunks of 5 KB about 20 MB. At 64 requests in flight a batch is 64 rounds,
#: so that waiting for its slowest reply, where that takes twice the mean, costs one round of 64.
BATCH_UNITS = 4_096
BATCH_DOCUMENTS = 256


class Generated(NamedTuple):
    """What generation made of the documents."""

    examples: pa.Table
    """Schema `EXAMPLES`: what is grounded."""
    generations: pa.Table
    """Schema `GENERATIONS`: every request, with its raw reply."""
    judgements: pa.Table
    """The same of the grounding judge; empty without one."""
    generate_ledger: pa.Table
    """One row for each request."""
    ground_ledger: pa.Table
    """One row for each pair that a reply held; empty where grounding is off."""
    chunks: dict[str, dict[str, int]]
    """For each document `n_chunks, n_cut_blocks, n_too_short, n_units, n_characters, n_asked_characters`."""


def generate(
    documents: pa.Table,
    settings: GenerationSettings,
    count_tokens: CountTokens,
    complete: Complete | None = None,
    judge: Complete | None = None,
) -> Generated:
    """Ask the model for pairs of every chunk, check them, and make some of them harder.

    Args:
        documents: Schema `DOCUMENTS`.
        settings: What to ask, and what to keep.
        count_tokens: Counts tokens as the base model does.
        complete: Answers the generator's requests; None opens the client of `settings.model`.
        judge: Answers the grounding judge's; None opens the client of its model.

    Raises:
        DropLimitError: if more than `max_ungenerated_fraction` of the requests, `ground.max_drop_fraction` of the pairs
            or `ground.judge.max_unjudged_fraction` of the verdicts fail.
        EndpointError: if the model cannot be asked at all.
        BudgetExceededError: if the next request could exceed the budget; all replies so far are cached.
    """
    run = _Run(settings, complete, judge)
    chunks: dict[str, dict[str, int]] = {}
    units = _units(documents, settings, count_tokens, chunks)
    while batch := list(islice(units, BATCH_UNITS)):
        run.make(batch)
    return run.result(chunks)


def _units(
    documents: pa.Table, settings: GenerationSettings, count_tokens: CountTokens, chunks: dict[str, dict[str, int]]
) -> Iterator[Unit]:
    """Yield the requests of all documents, and note what each document was cut into."""
    personas, seeds = load_personas(settings.personas), load_seeds(settings.few_shot_path)
    for batch in batches_of(documents, BATCH_DOCUMENTS):
        for row in batch.to_pylist():
            cut = chunk_document(row, settings.chunks, count_tokens)
            units = list(plan_units(Origin.of(row), cut.chunks, settings, personas, seeds))
            chunks[row["id"]] = _noted(row, cut, units)
            yield from units


def _noted(row: Mapping[str, Any], cut: Chunked, units: Sequence[Unit]) -> dict[str, int]:
    asked = {unit.chunk.id: unit.chunk for unit in units}
    return {
        "n_chunks": len(cut.chunks),
        "n_cut_blocks": cut.n_cut_blocks,
        "n_too_short": cut.n_too_short,
        "n_asked_chunks": len(asked),
        "n_units": len(units),
        "n_characters": len(row["text"]),
        "n_asked_characters": sum(chunk.end - chunk.start for chunk in asked.values()),
    }


class _Run:
    """One run of generation: the clients, and the books of both stages."""

    def __init__(self, settings: GenerationSettings, complete: Complete | None, judge: Complete | None) -> None:
        self._settings = settings
        budget = Budget(settings.budget)
        self._complete = complete or open_client(settings.model, budget).complete_all
        self._judge = judge
        if settings.ground and settings.ground.judge and judge is None:
            self._judge = open_client(settings.ground.judge.model, budget).complete_all
        self._prompts: dict[PromptKind, LoadedPrompt] = {}
        self._examples, self._generations, self._judgements = Spill(EXAMPLES), Spill(GENERATIONS), Spill(GENERATIONS)
        self._units, self._pairs = Spill(LEDGER), Spill(LEDGER)
        self._n_units = self._n_failed = self._n_pairs = self._n_unjudged = self._n_judged = 0

    def make(self, units: Sequence[Unit]) -> None:
        """Take requests all the way: ask, check, correct, make harder."""
        kept = self._asked_and_checked(units)
        if self._settings.evolve is not None:
            parents = kept
            for round_ in range(self._settings.evolve.rounds):
                harder = evolution_units(parents, self._settings.evolve, self._settings.seed, round_)
                parents = self._asked_and_checked(harder)
                kept = kept + parents
        self._examples.append(table([row for _, row in kept], EXAMPLES))

    def result(self, chunks: dict[str, dict[str, int]]) -> Generated:
        """Check the books and return everything."""
        units, pairs, examples = self._units.table(), self._pairs.table(), self._examples.table()
        n_given = units.num_rows - sum(value == "dropped" for value in units["decision"].to_pylist())
        check_books(STAGE, self._n_units, n_given, units)
        if self._settings.ground is not None:
            check_books(GROUND, self._n_pairs, examples.num_rows, pairs)
            check_drop_fraction(pairs, self._settings.ground.max_drop_fraction)
        return Generated(examples, self._generations.table(), self._judgements.table(), units, pairs, chunks)

    def _asked_and_checked(self, units: Sequence[Unit]) -> list[Made]:
        if not units:
            return []
        made = self._ask(units)
        if self._settings.ground is None:
            return made
        kept, failed = self._check(made)
        if self._settings.revise:
            again = [unit for unit, row, finding in failed for unit in revision_of(unit, row, finding)]
            kept += self._check(self._ask(again))[0] if again else []
        return kept

    def _ask(self, units: Sequence[Unit]) -> list[Made]:
        """Send requests, read what came, and write one generation and one ledger row for each."""
        for kind in {unit.prompt_kind for unit in units}:
            self._prompts[kind] = self._prompts.get(kind) or self._settings.prompt(kind)
        replies = self._complete([self._request(unit) for unit in units])
        made: list[Made] = []
        calls, decisions = [], []
        for unit, reply in zip(units, replies, strict=True):
            loaded = self._prompts[unit.prompt_kind]
            read = _harder_only(
                read_reply(reply, unit, loaded.prompt, fence_of(unit.id, unit.shown(), self._settings.seed)), unit
            )
            made += [(unit, example_of(unit, pair, at, reply, loaded)) for at, pair in enumerate(read.pairs)]
            calls.append(call_of(unit, reply, loaded, read.n_held))
            decisions.append(decision_of(unit, read))
            self._n_failed += read.drop in UNGENERATED
        self._n_units += len(units)
        self._generations.append(table(calls, GENERATIONS))
        self._units.append(table(decisions, LEDGER))
        self._bound_failures()
        return made

    def _request(self, unit: Unit) -> ChatRequest:
        prompt = self._prompts[unit.prompt_kind].prompt
        messages = render(prompt, unit.id, unit.shown(), self._settings.seed)
        return ChatRequest(
            messages,
            prompt.reply_schema,
            temperature=self._settings.temperature,
            max_tokens=self._settings.max_reply_tokens,
        )

    def _bound_failures(self) -> None:
        if self._n_failed <= self._settings.max_ungenerated_fraction * self._n_units:
            return
        ledger = self._units.table()
        failed = [reason for reason in ledger["reason"].to_pylist() if reason in UNGENERATED]
        common = ", ".join(f"{reason}: {count}" for reason, count in Counter(failed).most_common(2))
        raise DropLimitError(
            f"stage {STAGE}: {self._n_failed} of {self._n_units} requests gave no usable reply, more than "
            f"max_ungenerated_fraction={self._settings.max_ungenerated_fraction:g} allows. Most frequent: {common}. "
            "Usable replies are in the reply cache: correct the endpoint or raise max_tokens and run again, only "
            "the rest is asked for, or raise curation.synthesise.generate.max_ungenerated_fraction",
            ledger,
        )

    def _check(self, made: Sequence[Made]) -> tuple[list[Made], list[tuple[Unit, dict[str, Any], Finding]]]:
        """Return the grounded rows, and the others with what was found; write one ledger row for each."""
        settings = self._settings.ground
        if settings is None:
            return list(made), []
        findings = {row["id"]: ground(row["messages"], row["kind"], unit.chunk, settings) for unit, row in made}
        if settings.judge is not None:
            self._ask_judge([one for one in made if findings[one[1]["id"]].drop is None], findings)
        kept = [(unit, row) for unit, row in made if findings[row["id"]].drop is None]
        failed = [(unit, row, findings[row["id"]]) for unit, row in made if findings[row["id"]].drop is not None]
        self._n_pairs += len(made)
        decisions = [grounding_of(unit, row, findings[row["id"]]) for unit, row in made]
        self._pairs.append(table(decisions, LEDGER))
        return kept, failed

    def _ask_judge(self, made: Sequence[Made], findings: dict[str, Finding]) -> None:
        """Have a model check what passed so far; its say stands in `findings` from then on."""
        settings = self._settings.ground.judge if self._settings.ground else None
        if settings is None or self._judge is None or not made:
            return
        asked = questions(made)
        replies = self._judge(judge_requests(asked, settings, self._settings.seed))
        loaded = self._settings.judge_prompt()
        for one, reply in zip(asked, replies, strict=True):
            findings[one.row["id"]] = read_verdicts(reply, one, findings[one.row["id"]])
            self._n_unjudged += findings[one.row["id"]].drop is GroundDrop.UNJUDGED
        self._n_judged += len(asked)
        calls = [
            {
                **call_of(one.unit, reply, loaded, len(one.claims)),
                "id": one.id,
                "kind": GROUND,
                "derived_from": one.row["id"],
            }
            for one, reply in zip(asked, replies, strict=True)
        ]
        self._judgements.append(table(calls, GENERATIONS))
        if self._n_unjudged > settings.max_unjudged_fraction * self._n_judged:
            raise DropLimitError(
                f"stage {GROUND}: {self._n_unjudged} of {self._n_judged} pairs got no usable verdict, more than "
                f"max_unjudged_fraction={settings.max_unjudged_fraction:g} allows; correct the judge's endpoint, raise "
                "its max_tokens, or raise curation.synthesise.generate.ground.judge.max_unjudged_fraction",
                self._pairs.table(),
            )


def _harder_only(read: Read, unit: Unit) -> Read:
    """Refuse an evolved pair that is no gain over its parent."""
    if unit.operation is None or not read.pairs:
        return read
    problem = not_evolved(unit, read.pairs[0])
    if problem is None:
        return read
    return Read([], read.refused, read.n_held, *problem)
