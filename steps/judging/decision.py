"""A judge that answers in one forward pass: a probability for every level, and no reply to parse."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from steps.errors import ConfigError
from steps.judging.decision_client import Decide
from steps.judging.judge_prompt import JudgePrompt
from steps.judging.judge_settings import AskedJudgeSettings
from steps.judging.pairwise_prompt import (
    PairwiseName,
    both_orders,
    expected_worth,
    load_pairwise,
    pair_turn,
)
from steps.judging.rubric import RubricName, item_turn, load_rubric
from steps.judging.verdict import Item, Pair, Unscored, Verdict
from steps.llm.models import Model
from steps.llm.request import Reply

#: Name of the question about the whole answer, and of the one about a pair.
WHOLE, CHOICE = "score", "choice"


class DecisionSettings(AskedJudgeSettings):
    """The decision endpoint of `transformers serve` (`<base_url>/systemone`), or the same in this process."""

    type: Literal["decision"]
    model: Model
    """`type: openai` with the `base_url` of a `transformers serve`, or `type: transformers` with a model folder."""
    rubric: RubricName = "helpfulness_v2"
    """Name of a bundled rubric, or the path of a YAML file; it needs a `question`. Its levels are the options."""

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """That of the rubric."""
        return load_rubric(self.rubric).rubric.scale


class PairwiseDecisionSettings(AskedJudgeSettings):
    """The decision endpoint, asked which of two answers is better."""

    type: Literal["decision"]
    prompt: PairwiseName = "pairwise_v1"
    """Name of a bundled pairwise prompt, or the path of a YAML file of the same form."""

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """A probability."""
        return 0.0, 1.0


class DecisionJudge:
    """Grades answers one by one: the score is the expected level."""

    def __init__(self, settings: DecisionSettings, seed: int, decide: Decide) -> None:
        self._rubric, self._sha256 = load_rubric(settings.rubric)
        self._question = _question_of(self._rubric, settings.rubric)
        self._levels = sorted(self._rubric.levels)
        self._seed, self._decide = seed, decide
        self.name = settings.judge_name
        self.scale = settings.scale_bounds
        self.report: dict[str, Any] = {}
        self.fingerprint = _fingerprint("decision", settings.model.model, self._sha256)

    def requests(self, items: Sequence[Item]) -> list[dict[str, Any]]:
        """Write what would be asked of each item."""
        told = self._rubric.instructions(with_reply_format=False)
        whole = [self._rubric.levels[level] for level in self._levels]
        single = self._rubric.criterion_levels or self._rubric.levels
        questions = {WHOLE: {"type": "score", "instructions": self._question, "criteria": whole}}
        for name, asked in self._rubric.criteria.items():
            instructions = f"{self._question} Look at nothing but this: {asked}"
            options = [single[level] for level in self._levels]
            questions[name] = {"type": "score", "instructions": instructions, "criteria": options}
        return [
            {"state": f"{told}\n\n{item_turn(self._rubric, item, self._seed)}", "questions": questions}
            for item in items
        ]

    def score(self, items: Sequence[Item]) -> list[Verdict]:
        """Return one verdict per item, in order; items without an answer or a needed reference are not asked about."""
        found = [self._rubric.ungradable((item.answer,), item.reference) for item in items]
        asked = [i for i, why in enumerate(found) if why is None]
        replies = self._decide(self.requests([items[i] for i in asked])) if asked else []
        read = dict(zip(asked, replies, strict=True))
        return [
            self._verdict(item, unscored_reason=why[0], detail=why[1]) if why else self._read(item, read[i])
            for i, (item, why) in enumerate(zip(items, found, strict=True))
        ]

    def _read(self, item: Item, reply: Reply) -> Verdict:
        n = len(self._levels)
        keys = {str(i): str(level) for i, level in enumerate(self._levels)}
        expected = {}
        for name in (WHOLE, *self._rubric.criteria):
            probabilities = _probabilities(reply, name, keys)
            if isinstance(probabilities, tuple):
                return self._verdict(item, reply=reply, unscored_reason=probabilities[0], detail=probabilities[1])
            expected[name] = probabilities
        values = {name: math.fsum(int(level) * p for level, p in one.items()) for name, one in expected.items()}
        score = values.pop(WHOLE)
        return self._verdict(
            item, reply=reply, score=score, criteria=values or None, probabilities=expected[WHOLE],
            detail=f"expected level of {n}, read off one forward pass",
        )  # fmt: skip

    def _verdict(self, item: Item, **found: Any) -> Verdict:
        version = {"prompt_version": self._rubric.name, "prompt_sha256": self._sha256}
        return Verdict(item.item_id, self.name, self.fingerprint, **{"score": None, **found, **version})


class PairwiseDecisionJudge:
    """Compares answers in both orders: the score is the probability of the choice, a tie counting half."""

    def __init__(self, settings: PairwiseDecisionSettings, seed: int, decide: Decide) -> None:
        self._prompt, self._sha256 = load_pairwise(settings.prompt)
        self._question = _question_of(self._prompt, settings.prompt)
        self._seed, self._decide = seed, decide
        self.name = settings.judge_name
        self.report: dict[str, Any] = {}
        self.fingerprint = _fingerprint("pairwise-decision", settings.model.model, self._sha256)

    def requests(self, shown: Sequence[Pair]) -> list[dict[str, Any]]:
        """Write what would be asked of each pair as it stands."""
        told = self._prompt.instructions(with_reply_format=False)
        question = {"type": "choice", "instructions": self._question, "criteria": dict(self._prompt.choices)}
        return [
            {"state": f"{told}\n\n{pair_turn(self._prompt, pair, self._seed)}", "questions": {CHOICE: question}}
            for pair in shown
        ]

    def compare(self, pairs: Sequence[Pair]) -> list[tuple[Verdict, Verdict]]:
        """Return for each pair the verdicts of both orders, `ab` then `ba`."""
        orders = both_orders(pairs)
        found = [self._prompt.ungradable((pair.first, pair.second), pair.reference) for _, pair in orders]
        asked = [i for i, why in enumerate(found) if why is None]
        replies = self._decide(self.requests([orders[i][1] for i in asked])) if asked else []
        read = dict(zip(asked, replies, strict=True))
        verdicts = []
        for i, ((order, pair), why) in enumerate(zip(orders, found, strict=True)):
            said = {"unscored_reason": why[0], "detail": why[1]} if why else self._read(read[i])
            version = {"prompt_version": self._prompt.name, "prompt_sha256": self._sha256}
            said = {"score": None, **said, "order": order, **version}
            verdicts.append(Verdict(pair.item_id, self.name, self.fingerprint, **said))
        return list(zip(verdicts[::2], verdicts[1::2], strict=True))

    def _read(self, reply: Reply) -> dict[str, Any]:
        probabilities = _probabilities(reply, CHOICE, {choice: choice for choice in self._prompt.choices})
        if isinstance(probabilities, tuple):
            return {"reply": reply, "unscored_reason": probabilities[0], "detail": probabilities[1]}
        return {"reply": reply, "score": expected_worth(probabilities), "probabilities": probabilities}


def _question_of(prompt: JudgePrompt, name: str) -> str:
    if prompt.question is None:
        raise ConfigError(
            f"{name} is written for chat models and has no `question`, which a decision model is asked; use a bundled "
            "one of version 2 or later, or add `question` and move the reply's form into `reply_format`"
        )
    return prompt.question.strip()


def _fingerprint(kind: str, model: str, prompt_sha256: str) -> str:
    return hashlib.sha256(json.dumps([kind, model, prompt_sha256]).encode()).hexdigest()


def _probabilities(reply: Reply, question: str, names: Mapping[str, str]) -> dict[str, float] | tuple[Unscored, str]:
    """Return the probabilities by level or choice, normalised, or why they cannot be read."""
    if reply.error is not None:
        is_long = "tokens, and the model reads" in reply.error
        return (Unscored.TOO_LONG if is_long else Unscored.ENDPOINT_FAILED), reply.error
    found = json.loads(reply.text)[question].get("probabilities")
    if not isinstance(found, Mapping) or set(found) != set(names):
        return Unscored.UNPARSEABLE_REPLY, f"question {question}: no probability for each of {', '.join(names)}"
    total = math.fsum(found.values())
    if not math.isfinite(total) or total <= 0 or min(found.values()) < 0:
        return Unscored.UNPARSEABLE_REPLY, f"question {question}: {dict(found)} are no probabilities"
    # The server rounds to four digits.
    return {name: found[key] / total for key, name in names.items()}
