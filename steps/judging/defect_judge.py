"""The defect detector behind the interface of a judge. It ranks nothing: see `defect_score`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from steps.judging.defect_score import JUDGE, DefectSettings, Embed, Row, defect_scores, detector_version
from steps.judging.judge_settings import BaseJudgeSettings
from steps.judging.verdict import Item, Unscored, Verdict


class DefectJudgeSettings(DefectSettings, BaseJudgeSettings):
    """The embedded detector of broken answers: 1 − P(defect) in [0, 1], no measure of quality."""

    type: Literal["defect"]

    @property
    def default_name(self) -> str:
        """One detector is like another."""
        return JUDGE

    @property
    def scale_bounds(self) -> tuple[float, float]:
        """A probability."""
        return 0.0, 1.0


class DefectJudge:
    """P(the answer is not defective), learnt from the items themselves and copies broken on purpose."""

    def __init__(self, settings: DefectJudgeSettings, seed: int, embed: Embed | None = None) -> None:
        self._settings, self._seed, self._embed = settings, seed, embed
        self._detector = DefectSettings.model_validate(settings.model_dump(exclude={"name", "type"}))
        self.name = settings.judge_name
        self.scale = settings.scale_bounds
        self.report: dict[str, Any] = {}
        """After scoring: how well the detector found held-out corruptions."""
        self.fingerprint = detector_version(self._detector, seed)

    def score(self, items: Sequence[Item]) -> list[Verdict]:
        """Return one verdict per item, in order; all learn from all, except from their own group."""
        judged = [i for i, item in enumerate(items) if item.answer.strip()]
        rows = [_row(items[i]) for i in judged]
        if self._embed is None and self._detector.embedder is not None and len(rows) >= self._detector.min_rows:
            from steps.judging.embedder import load_embedder

            self._embed = load_embedder(self._detector.embedder, self._detector.embedder_max_length_tokens)
        found = defect_scores(rows, self._detector, self._seed, self._embed)
        self.report = dict(found.report)
        judgements = dict(zip(judged, found.judgements, strict=True))
        return [
            Verdict(
                item.item_id,
                self.name,
                self.fingerprint,
                judgements[i].score,
                judgements[i].unscored_reason,
                rationale=judgements[i].rationale,
                detail=judgements[i].detail,
            )
            if i in judgements
            else Verdict(
                item.item_id, self.name, self.fingerprint, None, Unscored.NO_ANSWER, detail="the answer is blank"
            )
            for i, item in enumerate(items)
        ]


def _row(item: Item) -> Row:
    asked = "\n\n".join(turn["content"] for turn in item.prompt)
    return Row(item.item_id, item.group_id or item.item_id, asked, item.answer)
