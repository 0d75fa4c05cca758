"""Lets the judges of a stage score the same items: chat models side by side, everything else one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from steps.judging.integrity import score_unchanged
from steps.judging.judges import AnyJudge, make_judge
from steps.judging.llm_judge import Complete, LLMSettings
from steps.judging.rubric import load_rubric
from steps.judging.verdict import Item, Judge, Verdict
from steps.llm.budget import Budget
from steps.llm.models import Client, open_client
from steps.llm.request import ChatRequest, Reply

#: `make_judge`, or what stands for it in tests.
Make = Callable[[AnyJudge, int, Budget | None, Complete | None], Judge]


class _NotAskedYetError(Exception):
    """A judge has written its requests and waits for replies."""


class _Deferred:
    """Stands between a judge and its client, so that all judges' requests can go out together."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.requests: Sequence[ChatRequest] = ()
        self.replies: list[Reply] | None = None

    def __call__(self, requests: Sequence[ChatRequest]) -> list[Reply]:
        if self.replies is None:
            self.requests = requests
            raise _NotAskedYetError
        return self.replies


class Bench(NamedTuple):
    """The judges of a stage, ready to be asked."""

    judges: list[Judge]
    deferred: dict[str, _Deferred]
    """By judge's name: those whose requests go out together."""
    needs_source: frozenset[str]
    """Names of the judges whose rubric compares an answer with a reference."""

    def capabilities(self) -> dict[str, dict[str, str | bool]]:
        """Return what was found out about the endpoints, by model."""
        found: dict[str, dict[str, str | bool]] = {}
        for one in self.deferred.values():
            found |= getattr(one.client, "capabilities", {})
        return found


def open_bench(settings: Sequence[AnyJudge], seed: int, budget: Budget, make: Make = make_judge) -> Bench:
    """Make the judges. They share the budget; judges of one model share its client, so that its limits hold for all.

    Raises:
        ConfigError: if a key or a prompt file is missing.
        InputError: if a classifier has too few labels, or a file cannot be read.
    """
    clients: dict[str, Client] = {}
    deferred: dict[str, _Deferred] = {}
    for one in settings:
        if make is make_judge and isinstance(one, LLMSettings):
            key = one.model.model_dump_json()
            if key not in clients:
                clients[key] = open_client(one.model, budget)
            deferred[one.judge_name] = _Deferred(clients[key])
    judges = [make(one, seed, budget, deferred.get(one.judge_name)) for one in settings]
    return Bench(judges, deferred, frozenset(one.judge_name for one in settings if _needs_source(one)))


def _needs_source(settings: AnyJudge) -> bool:
    rubric = getattr(settings, "rubric", None)
    return rubric is not None and load_rubric(rubric).rubric.needs_reference


def without_asking(settings: Sequence[AnyJudge], seed: int) -> list[Judge]:
    """Make the judges for their fingerprints alone; they are asked nothing."""
    return [make_judge(one, seed, None, _refuse) for one in settings]


def _refuse(requests: Sequence[ChatRequest]) -> list[Reply]:
    raise NotImplementedError(f"made for its fingerprint, and asked {len(requests)} questions")


def ask_all(bench: Bench, items: Sequence[Item]) -> dict[str, list[Verdict]]:
    """Return each judge's verdicts on the items, in order, checked: no judge changes what it grades.

    Raises:
        EndpointError: if a model cannot be asked at all.
        BudgetExceededError: if the budget that they share is used up; all replies are cached.
        LedgerError: if a judge changed an item, or its verdicts do not line up with the items.
    """
    bare = [item._replace(reference=None) for item in items] if bench.needs_source else items
    given = {judge.name: items if judge.name in bench.needs_source else bare for judge in bench.judges}
    waiting: dict[int, list[_Deferred]] = {}
    for judge in bench.judges:
        if judge.name in bench.deferred:
            one = bench.deferred[judge.name]
            with suppress(_NotAskedYetError):
                judge.score(given[judge.name])
            if one.requests:
                waiting.setdefault(id(one.client), []).append(one)
    if waiting:
        _answer(list(waiting.values()))
    return {judge.name: score_unchanged(judge, given[judge.name]) for judge in bench.judges}


def _answer(waiting: Sequence[Sequence[_Deferred]]) -> None:
    """Ask all clients at once, each for all judges that share it."""
    from steps.llm.client import complete_side_by_side

    asked = [(group[0].client, [request for one in group for request in one.requests]) for group in waiting]
    for group, replies in zip(waiting, complete_side_by_side(asked, "Asking the judges"), strict=True):
        rest = iter(replies)
        for one in group:
            one.replies = list(islice(rest, len(one.requests)))
