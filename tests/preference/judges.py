"""Judges written by hand: they say what a test wants to hear of a text, wherever it stands."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from steps.judging.judges import AnyJudge
from steps.judging.verdict import Item, Judge, Pair, PairwiseJudge, Unscored, Verdict
from steps.llm.budget import Budget
from steps.llm.request import ChatRequest, Reply
from steps.preference.asking import Models


class ScoringJudge:
    """Scores each answer by a function of its text; `shuffle` returns the verdicts in any order."""

    scale = (1.0, 5.0)

    def __init__(
        self, of_text: Callable[[str], float | None], name: str = "grader", shuffle: int | None = None
    ) -> None:
        self.of_text, self.name, self.fingerprint, self.shuffle = of_text, name, f"sha-{name}", shuffle
        self.items: list[Item] = []

    def score(self, items: Sequence[Item]) -> list[Verdict]:
        self.items += items
        found = []
        for item in items:
            score = self.of_text(item.answer)
            reason = Unscored.UNPARSEABLE_REPLY if score is None else None
            said = f"said of {item.answer}"
            found.append(Verdict(item.item_id, self.name, self.fingerprint, score, reason, rationale=said))
        if self.shuffle is not None:
            random.Random(self.shuffle).shuffle(found)
        return found


class ComparingJudge:
    """Compares by `first_wins(first shown, second shown)`, and is shown each pair in both orders."""

    def __init__(self, first_wins: Callable[[str, str], float | None], shuffle: int | None = None) -> None:
        self.first_wins, self.name, self.fingerprint, self.shuffle = first_wins, "comparer", "sha-comparer", shuffle
        self.pairs: list[Pair] = []

    def compare(self, pairs: Sequence[Pair]) -> list[tuple[Verdict, Verdict]]:
        self.pairs += pairs
        found = [
            (self._verdict(pair, "ab", pair.first, pair.second), self._verdict(pair, "ba", pair.second, pair.first))
            for pair in pairs
        ]
        if self.shuffle is not None:
            random.Random(self.shuffle).shuffle(found)
        return found

    def _verdict(self, pair: Pair, order: str, first: str, second: str) -> Verdict:
        score = self.first_wins(first, second)
        reason = Unscored.UNPARSEABLE_REPLY if score is None else None
        said = f"{order}: compared"
        return Verdict(pair.item_id, self.name, self.fingerprint, score, reason, order=order, rationale=said)


def prefers(marked: str) -> Callable[[str, str], float]:
    """Prefer the text that holds the marked word, wherever it stands; without a difference a tie."""
    return lambda first, second: 0.5 + 0.5 * ((marked in first) - (marked in second))


def always_first(first: str, second: str) -> float:
    return 1.0


class HandMade(Models):
    """Judges and replies written by hand in place of those that the settings name."""

    def __init__(
        self,
        judges: Sequence[ScoringJudge] = (),
        comparing: ComparingJudge | None = None,
        reply: Callable[[ChatRequest], str | Reply] | None = None,
    ) -> None:
        super().__init__(Budget(), 0, lambda requests: [self._reply(request) for request in requests])
        self.judges = {judge.name: judge for judge in judges}
        self.comparing, self.reply = comparing, reply
        self.requests: list[ChatRequest] = []

    def judge(self, settings: AnyJudge) -> Judge:
        return self.judges[settings.judge_name]

    def pairwise_judge(self, settings: Any) -> PairwiseJudge:
        assert self.comparing is not None
        return self.comparing

    def _reply(self, request: ChatRequest) -> Reply:
        assert self.reply is not None
        self.requests.append(request)
        said = self.reply(request)
        return said if isinstance(said, Reply) else reply(said)


def reply(text: str, error: str | None = None) -> Reply:
    return Reply(text, "other", 10, 5, 0.01, 0.2, 1, False, error)


MODEL = {"base_url": "http://localhost:1/v1", "model": "other"}


def judged(*names: str) -> dict[str, Any]:
    """Return the settings of ranker `judges` with judges of these names."""
    return {"ranker": "judges", "judges": [{"type": "llm", "name": name, "model": MODEL} for name in names]}


PAIRWISE: dict[str, Any] = {"ranker": "pairwise", "pairwise": {"type": "llm", "model": MODEL}}
