"""Which of several answers to a prompt is better: by a verifiable check, by judges of one answer, or by comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

from steps.judging.verdict import Item, Judge, Pair, PairwiseJudge, Verdict, preference_of
from steps.preference.comparisons import ComparisonSettings, Outcome, schedule, scores_of
from steps.preference.pairing import Ranked, Versus
from steps.rows import content_id


class Asked(NamedTuple):
    """A training prompt with its curated answer, and the usable, distinct samples, sorted."""

    row: Mapping[str, Any]
    prompt: list[dict[str, str]]
    reference: str
    texts: list[str]
    samplers: Mapping[str, str]
    """Who gave each text."""


class RankedPrompt(NamedTuple):
    """The scored answers of one prompt; answers without a score are not among them."""

    answers: list[Ranked]
    direct: dict[tuple[str, str], Versus]


class Ranking(NamedTuple):
    """The ranker's name for the rows, what it found for each prompt in order, and every verdict behind it."""

    ranker: str
    prompts: list[RankedPrompt]
    verdicts: list[Verdict]


def rank_by_check(asked: Sequence[Asked], metric: str) -> Ranking:
    """Score each answer against the row's own by a metric of `steps.evaluation.metrics`."""
    from steps.evaluation.metrics import METRICS, score

    ranker = f"check:{metric}"
    found = []
    for one in asked:
        scores = [score(metric, text, one.reference) for text in one.texts]
        said = [f"{value:g} of 1 by this check: {METRICS[metric].description}" for value in scores]
        answers = [Ranked(*answer) for answer in zip(one.texts, scores, said, strict=True)]
        found.append(RankedPrompt(answers, {}))
    return Ranking(ranker, found, [])


def rank_by_judges(
    asked: Sequence[Asked], judges: Sequence[Judge], aggregate: str, quorum: int, weights: Mapping[str, float]
) -> Ranking:
    """Let each judge grade each answer by itself; several judges are put together on a scale of 0 to 1.

    A verdict is known by the item that it names, never by its place in the list.

    Args:
        asked: Prompts with the answers to rank.
        judges: Who grades them.
        aggregate: `mean`, `median` or `weighted`.
        quorum: Judges that must have scored an answer.
        weights: With `weighted`, by judge fingerprint.
    """
    items = [Item(_item_id(one, text), one.prompt, text, one.reference) for one in asked for text in one.texts]
    verdicts = [verdict for judge in judges for verdict in judge.score(items)]
    by_item = {(verdict.judge, verdict.item_id): verdict for verdict in verdicts}
    found = []
    for one in asked:
        answers = []
        for text in one.texts:
            said = [by_item.get((judge.name, _item_id(one, text))) for judge in judges]
            score = _together(said, judges, aggregate, quorum, weights)
            if score is not None:
                answers.append(Ranked(text, score, _rationale(said)))
        found.append(RankedPrompt(answers, {}))
    return Ranking(f"judges:{'+'.join(judge.name for judge in judges)}", found, verdicts)


def _together(
    verdicts: Sequence[Verdict | None],
    judges: Sequence[Judge],
    aggregate: str,
    quorum: int,
    weights: Mapping[str, float],
) -> float | None:
    """Return one judge's score as it is, that of several on a scale of 0 to 1; None for fewer than the quorum."""
    scores, heard = [], []
    for verdict, judge in zip(verdicts, judges, strict=True):
        if verdict is not None and verdict.score is not None:
            low, high = judge.scale if len(judges) > 1 else (0.0, 1.0)
            scores.append((verdict.score - low) / (high - low))
            heard.append(weights.get(judge.fingerprint, 0.0) if aggregate == "weighted" else 1.0)
    if len(scores) < quorum or not sum(heard):
        return None
    if aggregate == "median":
        return float(median(scores))
    return sum(score * weight for score, weight in zip(scores, heard, strict=True)) / sum(heard)


def rank_by_comparisons(
    asked: Sequence[Asked], judge: PairwiseJudge, settings: ComparisonSettings, seed: int
) -> Ranking:
    """Let the judge compare answers two by two, each pair in both orders; an inconsistent one counts as a tie."""
    pairs, places = [], []
    for number, one in enumerate(asked):
        texts = sorted(one.texts, key=lambda text: content_id("compared", one.row["id"], text, seed))
        for first, second in schedule(len(texts), settings.max_per_prompt):
            item_id = content_id("comparison", one.row["id"], texts[first], texts[second])
            pairs.append(Pair(item_id, one.prompt, texts[first], texts[second], one.reference))
            places.append((number, one.texts.index(texts[first]), one.texts.index(texts[second])))
    verdicts = [verdict for both in judge.compare(pairs) for verdict in both]
    by_order = {(verdict.item_id, verdict.order): verdict for verdict in verdicts}
    outcomes: list[list[Outcome]] = [[] for _ in asked]
    rationales: list[dict[int, list[str]]] = [{} for _ in asked]
    for pair, (number, first, second) in zip(pairs, places, strict=True):
        ab, ba = by_order.get((pair.item_id, "ab")), by_order.get((pair.item_id, "ba"))
        if ab is None or ba is None:
            continue
        preference = preference_of(ab, ba)
        if preference.first_wins is None or preference.consistent is None:
            continue
        wins = preference.first_wins if preference.consistent else 0.5
        outcomes[number].append(Outcome(first, second, wins, preference.consistent))
        for place in (first, second):
            rationales[number].setdefault(place, []).extend(said for said in (ab.rationale, ba.rationale) if said)
    prompts = [_prompt(*found, settings) for found in zip(asked, outcomes, rationales, strict=True)]
    return Ranking(f"pairwise:{judge.name}", prompts, verdicts)


def _prompt(
    one: Asked, outcomes: Sequence[Outcome], rationales: Mapping[int, Sequence[str]], settings: ComparisonSettings
) -> RankedPrompt:
    scores = scores_of(len(one.texts), outcomes, settings)
    answers = [
        Ranked(text, score, "\n".join(rationales.get(place, ())) or None)
        for place, (text, score) in enumerate(zip(one.texts, scores, strict=True))
        if score is not None
    ]
    direct = {}
    for outcome in outcomes:
        first, second = one.texts[outcome.first], one.texts[outcome.second]
        direct[first, second] = Versus(outcome.first_wins, outcome.consistent)
        direct[second, first] = Versus(1 - outcome.first_wins, outcome.consistent)
    return RankedPrompt(answers, direct)


def _item_id(one: Asked, text: str) -> str:
    return content_id(one.row["id"], text)


def _rationale(verdicts: Sequence[Verdict | None]) -> str | None:
    said = [f"{one.judge}: {one.rationale}" for one in verdicts if one is not None and one.rationale]
    return "\n".join(said) or None
