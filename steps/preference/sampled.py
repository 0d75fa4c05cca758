"""Preferences from our own model: several answers to a training prompt, ranked; the better against the worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa

from steps.judging.verdict import Verdict
from steps.ledger import Drops
from steps.preference.asking import Models
from steps.preference.calibrated import learned_weights
from steps.preference.candidate import Candidate
from steps.preference.pairing import NoPair, Ranked, choose_pairs
from steps.preference.protected import Protected
from steps.preference.ranking import (
    Asked,
    RankedPrompt,
    Ranking,
    rank_by_check,
    rank_by_comparisons,
    rank_by_judges,
)
from steps.preference.sampled_settings import SampledSettings
from steps.preference.sampling import Sample, Sampled, sample_all
from steps.rows import content_id, prompt_and_answer, rows_of_split

#: The row's own answer, where it stands in for a sample.
REFERENCE = "reference"


class SampledDrop(StrEnum):
    """Why a sampled prompt gives no pair."""

    NOT_CHECKABLE = "not_checkable"
    GENERATION_FAILED = "generation_failed"
    UNFINISHED_SAMPLES = "unfinished_samples"
    SINGLE_ANSWER = "single_answer"
    UNSCORED_SAMPLES = "unscored_samples"


class SampledPairs(NamedTuple):
    """What sampling gave, and what revision goes on with."""

    candidates: list[Candidate]
    asked: list[Asked]
    ranked: list[RankedPrompt]
    ranker: str
    verdicts: list[Verdict]
    ledger_ids: list[str]
    """One per prompt without a pair, and one per pair."""

    def samplers(self) -> dict[str, int]:
        """Return how many distinct usable answers came from whom."""
        return dict(Counter(name for one in self.asked for name in one.samplers.values()).most_common())


def choose_prompts(sft_dataset: pa.Table, settings: SampledSettings, seed: int) -> pa.Table:
    """Return the training rows whose prompts are sampled; the choice does not depend on the rows' order."""
    rows = rows_of_split(sft_dataset, "train")
    kinds, ids = rows["kind"].to_pylist(), rows["id"].to_pylist()
    fit = [i for i, kind in enumerate(kinds) if settings.kinds is None or kind in settings.kinds]
    fit.sort(key=lambda i: content_id("prompt", ids[i], seed))
    return rows.take(pa.array(sorted(fit[: settings.max_prompts]), pa.int64()))


def sample_pairs(
    prompts: pa.Table,
    sample: Sample,
    settings: SampledSettings,
    seed: int,
    protected: Protected,
    models: Models,
    drops: Drops,
) -> SampledPairs:
    """Sample, rank, and pair; prompts that give no pair go to `drops`, those near the test split before any sampling.

    Args:
        prompts: Rows of schema `rows.SFT`.
        sample: Answers with the SFT model.
        settings: Of the pairs.
        seed: Of the tie-breaking, the comparisons, and of the fences around text that a judge grades.
        protected: The test split.
        models: Asks other models and judges.
        drops: Of the stage.
    """
    askable = [row for row in prompts.to_pylist() if not _is_unusable(row, settings, protected, drops)]
    split = [prompt_and_answer(row["messages"]) for row in askable]
    samples = sample_all([prompt for prompt, _ in split], sample, settings.generation, settings.others, models)
    asked = []
    for row, (prompt, reference), sampled in zip(askable, split, samples, strict=True):
        texts = _usable(row["id"], sampled, settings, drops)
        if texts:
            asked.append(Asked(row, prompt, reference, sorted(texts), texts))
    ranking = rank(asked, settings, seed, models)
    candidates: list[Candidate] = []
    for one, found in zip(asked, ranking.prompts, strict=True):
        candidates += _candidates(one, found, ranking.ranker, settings, seed, drops)
    paired = {candidate.pair["example_id"] for candidate in candidates}
    unpaired = [row_id for row_id in prompts["id"].to_pylist() if row_id not in paired]
    ledger_ids = [*unpaired, *(candidate.ledger_id for candidate in candidates)]
    return SampledPairs(candidates, asked, ranking.prompts, ranking.ranker, ranking.verdicts, ledger_ids)


def rank(asked: Sequence[Asked], settings: SampledSettings, seed: int, models: Models) -> Ranking:
    """Rank the answers of every prompt with the configured ranker; without any, no judge is made."""
    if not asked:
        return Ranking(settings.ranker, [], [])
    if settings.metric is not None:
        return rank_by_check(asked, settings.metric)
    if settings.ranker == "judges":
        judges = [models.judge(judge) for judge in settings.judges]
        weights = learned_weights(judges, settings.calibration_path) if settings.aggregate == "weighted" else {}
        return rank_by_judges(asked, judges, settings.aggregate, settings.quorum, weights)
    if settings.pairwise is None:
        raise ValueError("validated settings have the block pairwise")
    return rank_by_comparisons(asked, models.pairwise_judge(settings.pairwise), settings.comparisons, seed)


def preference(one: Asked, chosen: Ranked, rejected: Ranked, ranker: str) -> dict[str, Any]:
    """Return the row of schema `rows.PREFERENCES`."""
    return {
        "id": content_id("preference", one.row["id"], ranker, chosen.text, rejected.text),
        "prompt": one.prompt,
        "chosen": [{"role": "assistant", "content": chosen.text}],
        "rejected": [{"role": "assistant", "content": rejected.text}],
        "ranker": ranker,
        "source": one.row["source"],
        "path": one.row["path"],
        "row": one.row["row"],
        "example_id": one.row["id"],
        "chosen_score": chosen.score,
        "rejected_score": rejected.score,
    }


def _is_unusable(row: dict[str, Any], settings: SampledSettings, protected: Protected, drops: Drops) -> bool:
    """Enter a prompt that is too near to the test split, or whose answer no check can be held against."""
    prompt, reference = prompt_and_answer(row["messages"])
    found = protected.find_prompt(prompt)
    if found is not None:
        drops.add(row["id"], found.reason, evidence_id=found.evidence_id, score=found.score, detail=found.detail)
        return True
    from steps.evaluation.metrics import applies

    if settings.metric is not None and not applies(settings.metric, reference):
        drops.add(row["id"], SampledDrop.NOT_CHECKABLE, detail=f"{settings.metric} does not apply to the row's answer")
        return True
    return False


def _usable(row_id: str, sampled: Sequence[Sampled], settings: SampledSettings, drops: Drops) -> dict[str, str]:
    """Return the distinct finished answers, each with its sampler.

    An unfinished one is never used: as rejected it would teach that its last word must not be followed by an end.
    """
    whole = [one for one in sampled if one.answer.error is None]
    if not whole:
        detail = next((one.answer.error for one in sampled if one.answer.error), "the model returned no sample")
        drops.add(row_id, SampledDrop.GENERATION_FAILED, detail=detail)
        return {}
    finished = [one for one in whole if one.answer.stopped and one.answer.text.strip()]
    if not finished:
        detail = f"none of {len(whole)} samples ended with text within {settings.generation.max_new_tokens} tokens"
        drops.add(row_id, SampledDrop.UNFINISHED_SAMPLES, detail=detail)
    return {one.answer.text: one.sampler for one in sorted(finished, key=lambda one: one.sampler, reverse=True)}


def _candidates(
    one: Asked, found: RankedPrompt, ranker: str, settings: SampledSettings, seed: int, drops: Drops
) -> list[Candidate]:
    """Return the pairs of one prompt, or enter the reason why there is none."""
    row_id = one.row["id"]
    if len(one.texts) == 1 and settings.ranker == "pairwise":
        drops.add(row_id, SampledDrop.SINGLE_ANSWER, detail="all samples are the same text; nothing was compared")
        return []
    if not found.answers:
        drops.add(row_id, SampledDrop.UNSCORED_SAMPLES, detail=f"none of {len(one.texts)} samples got a score")
        return []
    answers, samplers = _with_reference(one, found, settings)
    pairs = choose_pairs(answers, found.direct, settings, settings.pass_score, row_id, seed)
    if isinstance(pairs, NoPair):
        drops.add(row_id, pairs.reason, score=pairs.score, detail=pairs.detail)
        return []
    several = settings.pairing == "all"
    candidates = []
    for chosen, rejected in pairs:
        row = preference(one, chosen, rejected, ranker)
        note = f"{samplers[chosen.text]} over {samplers[rejected.text]}"
        candidates.append(Candidate(row["id"] if several else row_id, "sampled", row, note))
    return candidates


def _with_reference(one: Asked, found: RankedPrompt, settings: SampledSettings) -> tuple[list[Ranked], dict[str, str]]:
    """Return the answers; where none passes the check, with the row's own answer, if that does."""
    answers, samplers = list(found.answers), dict(one.samplers)
    if not settings.reference_as_chosen or settings.metric is None:
        return answers, samplers
    from steps.evaluation.metrics import score

    reference = Ranked(one.reference, score(settings.metric, one.reference, one.reference))
    if reference.score >= settings.pass_score > max(answer.score for answer in answers):
        answers.append(reference)
        samplers[reference.text] = REFERENCE
    return answers, samplers
