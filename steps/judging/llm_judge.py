"""A chat model as judge: one model, one rubric, a JSON reply, and never a score that the model did not give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from steps.judging.judge_settings import AskedJudgeSettings
from steps.judging.probabilities import TOP_LOGPROBS, weigh
from steps.judging.replies import chat_fingerprint, verdict_object
from steps.judging.rubric import RubricName, load_rubric, render_item
from steps.judging.verdict import Item, Unscored, Verdict
from steps.llm.request import ChatRequest, Reply

#: `Client.complete_all`, or anything that answers requests in order.
Complete = Callable[[Sequence[ChatRequest]], list[Reply]]


class LLMSettings(AskedJudgeSettings):
    """A chat model that grades answers one by one."""

    type: Literal["llm"]
    rubric: RubricName = "helpfulness_v2"
    """Name of a bundled rubric, or the path of a YAML file of the same form."""
    probability_weighting: bool = False
    """Score = sum of level × probability over the level tokens (G-Eval), where the endpoint gives probabilities;
    where it does not, the level that was named stands, and the verdict says so."""

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """That of the rubric."""
        return load_rubric(self.rubric).rubric.scale


class LLMJudge:
    """Grades answers one by one, on the rubric's scale."""

    def __init__(self, settings: LLMSettings, seed: int, complete: Complete) -> None:
        self._settings, self._seed, self._complete = settings, seed, complete
        self._rubric, self._sha256 = load_rubric(settings.rubric)
        self.name = settings.judge_name
        self.scale = settings.scale_bounds
        self.report: dict[str, Any] = {}
        self.fingerprint = chat_fingerprint(
            "llm", settings.model, self._sha256, weighted=settings.probability_weighting
        )

    def requests(self, items: Sequence[Item]) -> list[ChatRequest]:
        """Write what would be asked of each item, whether or not it can be graded."""
        schema = self._rubric.reply_schema
        top = TOP_LOGPROBS if self._settings.probability_weighting else 0
        return [ChatRequest(render_item(self._rubric, item, self._seed), schema, top_logprobs=top) for item in items]

    def score(self, items: Sequence[Item]) -> list[Verdict]:
        """Return one verdict per item, in order; items without an answer or a needed reference are not asked about."""
        found = [self._rubric.ungradable((item.answer,), item.reference) for item in items]
        asked = [i for i, why in enumerate(found) if why is None]
        replies = self._complete(self.requests([items[i] for i in asked])) if asked else []
        read = dict(zip(asked, replies, strict=True))
        return [
            self._verdict(item, unscored_reason=why[0], detail=why[1]) if why else self._read(item, read[i])
            for i, (item, why) in enumerate(zip(items, found, strict=True))
        ]

    def _read(self, item: Item, reply: Reply) -> Verdict:
        """Turn a reply into a verdict; only the fields of the reply's own JSON count, whatever the texts said."""
        material = [item.answer, item.reference or "", *(turn["content"] for turn in item.prompt)]
        parsed = verdict_object(reply, self._rubric.reply_schema, material)
        if isinstance(parsed, tuple):
            return self._verdict(item, reply=reply, unscored_reason=parsed[0], detail=parsed[1])
        scores = {key: parsed.get(key) for key in (*self._rubric.criteria, "score")}
        rationale = parsed.get("rationale")
        for key, value in scores.items():
            problem = self._problem(key, value)
            if problem is not None:
                return self._verdict(item, reply=reply, unscored_reason=problem[0], detail=problem[1])
        if not isinstance(rationale, str):
            detail = "rationale is missing or is not a text"
            return self._verdict(item, reply=reply, unscored_reason=Unscored.UNPARSEABLE_REPLY, detail=detail)
        numbers = {key: float(value) for key, value in scores.items() if isinstance(value, int | float)}
        score = numbers.pop("score")
        found: dict[str, Any] = {"score": score, "rationale": rationale, "criteria": numbers or None}
        if self._settings.probability_weighting:
            found |= self._weighted(reply, {**parsed, "score": int(score)})
        return self._verdict(item, reply=reply, **found)

    def _problem(self, key: str, value: object) -> tuple[Unscored, str] | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Unscored.UNPARSEABLE_REPLY, f"{key} is missing or is not a number"
        if value not in self._rubric.levels:
            levels = ", ".join(map(str, sorted(self._rubric.levels)))
            return Unscored.OUT_OF_SCALE, f"{key} {value} is none of {levels}"
        return None

    def _weighted(self, reply: Reply, parsed: Mapping[str, Any]) -> dict[str, Any]:
        weighed = weigh(reply, parsed, "score", [str(level) for level in sorted(self._rubric.levels)])
        if weighed.probabilities is None:
            return {"detail": f"{weighed.why_not}; the score is the level that was named"}
        expected = math.fsum(int(level) * p for level, p in weighed.probabilities.items())
        return {"score": expected, "probabilities": weighed.probabilities}

    def _verdict(self, item: Item, **found: Any) -> Verdict:
        found.setdefault("score", None)
        return Verdict(
            item_id=item.item_id,
            judge=self.name,
            fingerprint=self.fingerprint,
            prompt_version=self._rubric.name,
            prompt_sha256=self._sha256,
            **found,
        )
