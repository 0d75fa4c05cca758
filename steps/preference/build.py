"""Stage `preferences`: the pairs that DPO learns from, and for every candidate that gives none the reason."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import pyarrow as pa
from pydantic import Field, model_validator

from steps.judging.verdict import Verdict, verdict_table
from steps.ledger import Drops, check_books, check_drop_fraction, ledger_of
from steps.llm.budget import Budget, BudgetSettings
from steps.preference.asking import Models
from steps.preference.candidate import Candidate
from steps.preference.imported import drop_repetitions, imported_candidates
from steps.preference.length_bias import LengthBias, LengthBiasSettings, bound_length_bias, measure_length_bias
from steps.preference.near_duplicates import NearDuplicateSettings, drop_near_duplicates
from steps.preference.protected import Protected
from steps.preference.report import report_preferences
from steps.preference.revised import RevisionSettings, revise
from steps.preference.sampled import choose_prompts, sample_pairs
from steps.preference.sampled_settings import SampledSettings
from steps.preference.sampling import Sample
from steps.preference.warn import warnings_of
from steps.rows import LEDGER, PREFERENCES, content_id, table
from steps.settings import Settings
from steps.splitting.decontaminate import DecontaminationSettings

STAGE = "preferences"


class PreferenceDrop(StrEnum):
    """Why a good pair is not used."""

    OVER_MAX_PAIRS = "over_max_pairs"


class PreferenceSettings(Settings):
    """Where chosen / rejected pairs come from."""

    imported: bool = True
    """Use the pairs of preference sources; false drops none of them and uses none of them."""
    imported_min_margin: float | None = Field(default=None, gt=0)
    """Least difference of the scores of an imported pair (of ranked replies: of the ranks); none takes every pair."""
    sampled: SampledSettings | None = None
    """Make pairs from ranked samples of the SFT model; none makes none."""
    revision: RevisionSettings | None = None
    """Have the worst samples revised, and the revision chosen over them where the ranker confirms it; needs
    `sampled`. None revises nothing."""
    decontamination: DecontaminationSettings = DecontaminationSettings()
    """How a pair is compared with the test split."""
    max_prompt_similarity: float | None = Field(default=0.8, gt=0, le=1)
    """Jaccard similarity of two prompts' 2-word shingles from which a prompt is a near-duplicate of a test prompt and
    goes; it finds reworded short prompts, which share no long n-gram. None compares no shingles."""
    near_duplicates: NearDuplicateSettings | None = NearDuplicateSettings()
    """From when on chosen and rejected are nearly the same; none compares nothing."""
    length_bias: LengthBiasSettings | None = None
    """Bound of the length bias; none measures it without a bound."""
    max_pairs: int | None = Field(default=None, ge=1)
    """Most pairs to train on, a seeded choice, made before length bias is bounded; none is unlimited."""
    max_drop_fraction: float = Field(default=0.95, ge=0, le=1)
    """Above this fraction of candidates without a pair the run stops. Sampling makes it high: a prompt that the model
    always answers equally well is a candidate without a pair."""
    budget: BudgetSettings = BudgetSettings()
    """What judges, reviser and other models may cost together."""
    seed: int = Field(default=7, ge=0)
    """Seeds the choice of prompts and pairs."""

    @model_validator(mode="after")
    def _has_an_origin(self) -> PreferenceSettings:
        if not self.imported and self.sampled is None:
            raise ValueError("imported=false and no sampled block leave no preferences; set preferences to null")
        if self.revision is not None and self.sampled is None:
            raise ValueError("revision mends answers that were sampled and ranked; add the block sampled")
        return self


class PreferenceResult(NamedTuple):
    """The pairs, one ledger row per candidate, what judges said, and a report of plain values."""

    kept: pa.Table
    ledger: pa.Table
    verdicts: pa.Table
    report: dict[str, Any]


class _Collected(NamedTuple):
    candidates: list[Candidate]
    ledger_ids: list[str]
    verdicts: list[Verdict]
    sources: dict[str, Any]


def build_preferences(
    imported: pa.Table,
    sft_dataset: pa.Table,
    sample: Sample,
    settings: PreferenceSettings,
    models: Models | None = None,
) -> PreferenceResult:
    """Collect the usable pairs.

    Args:
        imported: Schema `rows.PREFERENCES`, from preference sources; may be empty.
        sft_dataset: Schema `rows.SFT`. Prompts are sampled from its training split; its test split is protected.
        sample: Answers prompts with the SFT model; called only where `settings.sampled` is set.
        settings: Of the stage.
        models: Judges, reviser and other models; None asks those of the settings.

    Returns:
        Pairs of schema `rows.PREFERENCES`; one ledger row per imported row, sampled prompt (with `pairing: all`, pair)
        and revision, a kept one with its pair as `evidence_id` and the margin as score; verdicts of schema
        `rows.VERDICTS`; the report.

    Raises:
        DropLimitError: if too many candidates give no pair.
        InputError: if length bias cannot be bounded.
        BudgetExceededError: if the budget is used up; all replies are cached.
    """
    drops, models = Drops(STAGE), models or Models(Budget(settings.budget), settings.seed)
    rows = imported.to_pylist() if settings.imported else []
    whole = [row for row in rows if row["chosen"] and row["rejected"]]
    protected = Protected(sft_dataset, whole, settings.decontamination, settings.max_prompt_similarity)
    found = _collect(rows, sft_dataset, sample, settings, protected, models, drops)
    before = _check(found.candidates, settings, protected, drops)
    used = _left(found.candidates, drops)
    if settings.length_bias is not None:
        bound_length_bias(used, settings.length_bias, settings.seed, drops)
        used = _left(used, drops)
    kept = table([one.pair for one in used], PREFERENCES)
    ledger = _with_pairs(ledger_of(STAGE, pa.array(found.ledger_ids, pa.string()), drops.table()), used)
    check_books(STAGE, len(found.ledger_ids), kept.num_rows, ledger)
    check_drop_fraction(ledger, settings.max_drop_fraction)
    verdicts = list({(one.judge, one.item_id, one.order): one for one in found.verdicts}.values())
    verdict_rows = verdict_table(verdicts)
    warnings = [] if settings.sampled is None else warnings_of(settings.sampled, settings.revision, verdicts)
    report = report_preferences(found.candidates, used, ledger, before, verdicts, verdict_rows, models.calls())
    return PreferenceResult(kept, ledger, verdict_rows, report | found.sources | {"warnings": warnings})


def _collect(
    rows: Sequence[dict[str, Any]],
    sft_dataset: pa.Table,
    sample: Sample,
    settings: PreferenceSettings,
    protected: Protected,
    models: Models,
    drops: Drops,
) -> _Collected:
    """Return the pairs of every origin; what gives none is in `drops`."""
    candidates = list(imported_candidates(rows, settings.imported_min_margin, settings.seed, drops))
    ledger_ids, verdicts, sources = (
        [row["id"] for row in rows],
        list[Verdict](),
        dict[str, Any](sampled=None, revision=None),
    )
    if settings.sampled is not None:
        prompts = choose_prompts(sft_dataset, settings.sampled, settings.seed)
        sampled = sample_pairs(prompts, sample, settings.sampled, settings.seed, protected, models, drops)
        candidates += sampled.candidates
        ledger_ids += sampled.ledger_ids
        verdicts += sampled.verdicts
        sources["sampled"] = {"n_prompts": prompts.num_rows, "samplers": sampled.samplers(), "ranker": sampled.ranker}
        if settings.revision is not None:
            revised = revise(sampled, settings.revision, settings.sampled, settings.seed, models, drops)
            candidates += revised.candidates
            ledger_ids += revised.ledger_ids
            verdicts += revised.verdicts
            sources["revision"] = {
                "model": settings.revision.model.model,
                "prompt": settings.revision.prompt,
                "prompt_sha256": revised.prompt_sha256,
                "n_revised": len(revised.ledger_ids),
                "n_confirmed": len(revised.candidates),
            }
    return _Collected(candidates, ledger_ids, verdicts, sources)


def _check(
    candidates: Sequence[Candidate], settings: PreferenceSettings, protected: Protected, drops: Drops
) -> LengthBias:
    """Enter what repeats the test split, another pair or itself, and what is too many; return the length bias."""
    for one in candidates:
        is_imported = one.origin in {"imported", "labelled"}  # the prompts of the others were looked up when chosen
        found = (protected.find_prompt(one.pair["prompt"]) if is_imported else None) or protected.find_answers(one.pair)
        if found is not None:
            drops.add(
                one.ledger_id, found.reason, evidence_id=found.evidence_id, score=found.score, detail=found.detail
            )
    if settings.near_duplicates is not None:
        drop_near_duplicates(_left(candidates, drops), settings.near_duplicates, drops)
    drop_repetitions(_left(candidates, drops), drops)
    left = _left(candidates, drops)
    ranked = sorted(left, key=lambda one: content_id("pair", one.pair["id"], settings.seed))
    used = {one.ledger_id for one in ranked[: settings.max_pairs]}
    for one in left:
        if one.ledger_id not in used:
            detail = f"max_pairs={settings.max_pairs}"
            drops.add(one.ledger_id, PreferenceDrop.OVER_MAX_PAIRS, detail=detail)
    return measure_length_bias(_left(left, drops))


def _left(candidates: Sequence[Candidate], drops: Drops) -> list[Candidate]:
    return [one for one in candidates if one.ledger_id not in drops]


def _with_pairs(ledger: pa.Table, used: Sequence[Candidate]) -> pa.Table:
    """Note beside each kept candidate which pair came of it, by what margin, and whose answers they are."""
    by_ledger_id = {one.ledger_id: one for one in used}
    rows = ledger.to_pylist()
    for row in rows:
        one = by_ledger_id.get(row["row_id"])
        if one is not None and row["decision"] == "kept" and one.origin != "imported":
            row.update(evidence_id=one.pair["id"], score=one.margin, detail=one.note)
    return pa.Table.from_pylist(rows, schema=LEDGER)
