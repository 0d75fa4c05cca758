"""How this stage asks models: all of them spend from one budget, and every call is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from steps.judging.judges import AnyJudge, AnyPairwiseJudge, make_judge, make_pairwise_judge
from steps.judging.llm_judge import Complete
from steps.judging.verdict import Judge, PairwiseJudge
from steps.llm.budget import Budget
from steps.llm.endpoint import EndpointSettings
from steps.llm.in_process import InProcessSettings
from steps.llm.models import open_client
from steps.llm.request import ChatRequest, Reply
from steps.rows import CALL, table


class Models:
    """The models and judges of one stage.

    Args:
        budget: Shared by all of them.
        seed: Of the fences around texts that a judge grades.
        complete: Answers requests in place of the clients, in tests.
    """

    def __init__(self, budget: Budget, seed: int, complete: Complete | None = None) -> None:
        self._budget, self._seed, self._complete = budget, seed, complete
        self._calls: list[dict[str, Any]] = []
        self._judges: dict[str, Judge] = {}
        self._pairwise_judges: dict[str, PairwiseJudge] = {}

    def ask(
        self, model: EndpointSettings | InProcessSettings, requests: Sequence[ChatRequest], description: str
    ) -> list[Reply]:
        """Return one reply per request, in order.

        Raises:
            EndpointError: if the model cannot be asked at all.
            BudgetExceededError: if the budget is used up; all replies so far are cached.
        """
        if self._complete is not None:
            replies = self._complete(requests)
        else:
            replies = open_client(model, self._budget).complete_all(requests, description)
        self._calls += [reply.call for reply in replies]
        return replies

    def judge(self, settings: AnyJudge) -> Judge:
        """Return a judge of single answers, the same each time: it may have loaded or trained a model."""
        key = settings.model_dump_json()
        if key not in self._judges:
            self._judges[key] = make_judge(settings, self._seed, self._budget, self._complete)
        return self._judges[key]

    def pairwise_judge(self, settings: AnyPairwiseJudge) -> PairwiseJudge:
        """Return a judge of pairs, the same each time."""
        key = settings.model_dump_json()
        if key not in self._pairwise_judges:
            self._pairwise_judges[key] = make_pairwise_judge(settings, self._seed, self._budget, self._complete)
        return self._pairwise_judges[key]

    def calls(self) -> pa.Table:
        """Return what was asked so far, as a table of schema `rows.CALL`."""
        return table(self._calls, CALL)
