"""A judge of pairs: which of two answers is better, asked in both orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from steps.judging.judge_settings import AskedJudgeSettings
from steps.judging.llm_judge import Complete
from steps.judging.pairwise_prompt import (
    WORTH,
    PairwiseName,
    both_orders,
    expected_worth,
    load_pairwise,
    render_pair,
)
from steps.judging.probabilities import TOP_LOGPROBS, weigh
from steps.judging.replies import chat_fingerprint, verdict_object
from steps.judging.verdict import Pair, Unscored, Verdict
from steps.llm.request import ChatRequest, Reply


class PairwiseLLMSettings(AskedJudgeSettings):
    """A chat model that compares two answers."""

    type: Literal["llm"]
    prompt: PairwiseName = "pairwise_v1"
    """Name of a bundled pairwise prompt, or the path of a YAML file of the same form."""
    probability_weighting: bool = False
    """Take P(the first shown is better) from the probabilities of the choice's token where the endpoint gives them;
    else a win counts 1, a tie 0.5, a loss 0."""

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """A probability."""
        return 0.0, 1.0


class PairwiseLLMJudge:
    """Compares answers: every pair is asked in both orders, since judges favour a position."""

    def __init__(self, settings: PairwiseLLMSettings, seed: int, complete: Complete) -> None:
        self._settings, self._seed, self._complete = settings, seed, complete
        self._prompt, self._sha256 = load_pairwise(settings.prompt)
        self.name = settings.judge_name
        self.report: dict[str, Any] = {}
        self.fingerprint = chat_fingerprint(
            "pairwise", settings.model, self._sha256, weighted=settings.probability_weighting
        )

    def requests(self, shown: Sequence[Pair]) -> list[ChatRequest]:
        """Write what would be asked of each pair as it stands, in this order of its answers."""
        schema = self._prompt.reply_schema
        top = TOP_LOGPROBS if self._settings.probability_weighting else 0
        return [ChatRequest(render_pair(self._prompt, pair, self._seed), schema, top_logprobs=top) for pair in shown]

    def compare(self, pairs: Sequence[Pair]) -> list[tuple[Verdict, Verdict]]:
        """Return for each pair the verdicts of both orders, `ab` then `ba`."""
        orders = both_orders(pairs)
        found = [self._prompt.ungradable((pair.first, pair.second), pair.reference) for _, pair in orders]
        asked = [i for i, why in enumerate(found) if why is None]
        replies = self._complete(self.requests([orders[i][1] for i in asked])) if asked else []
        read = dict(zip(asked, replies, strict=True))
        verdicts = []
        for i, ((order, pair), why) in enumerate(zip(orders, found, strict=True)):
            said = (
                {"unscored_reason": why[0], "detail": why[1]}
                if why
                else {"reply": read[i], **self._read(pair, read[i])}
            )
            verdicts.append(self._verdict(pair, order, said))
        return list(zip(verdicts[::2], verdicts[1::2], strict=True))

    def _read(self, pair: Pair, reply: Reply) -> dict[str, Any]:
        """Read the choice; only the fields of the reply's own JSON count, whatever the texts said."""
        material = [pair.first, pair.second, pair.reference or "", *(turn["content"] for turn in pair.prompt)]
        parsed = verdict_object(reply, self._prompt.reply_schema, material)
        if isinstance(parsed, tuple):
            return {"unscored_reason": parsed[0], "detail": parsed[1]}
        rationale, choice = parsed.get("rationale"), parsed.get("choice")
        if not isinstance(rationale, str) or not isinstance(choice, str):
            detail = "choice or rationale is missing or is not a text"
            return {"unscored_reason": Unscored.UNPARSEABLE_REPLY, "detail": detail}
        if choice not in self._prompt.choices:
            detail = f"choice {choice!r} is none of {', '.join(self._prompt.choices)}"
            return {"unscored_reason": Unscored.OUT_OF_SCALE, "detail": detail}
        found: dict[str, Any] = {"score": WORTH[choice], "rationale": rationale}
        return found | self._weighted(reply, parsed) if self._settings.probability_weighting else found

    def _weighted(self, reply: Reply, parsed: Mapping[str, Any]) -> dict[str, Any]:
        weighed = weigh(reply, parsed, "choice", list(self._prompt.choices))
        if weighed.probabilities is None:
            return {"detail": f"{weighed.why_not}; the score is that of the choice that was named"}
        return {"score": expected_worth(weighed.probabilities), "probabilities": weighed.probabilities}

    def _verdict(self, pair: Pair, order: str, said: Mapping[str, Any]) -> Verdict:
        return Verdict(
            item_id=pair.item_id,
            judge=self.name,
            fingerprint=self.fingerprint,
            order=order,
            prompt_version=self._prompt.name,
            prompt_sha256=self._sha256,
            **{"score": None, **said},
        )
