"""Stage `preferences`: the pairs that DPO learns from, and for every candidate that gives none the reason."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import pyarrow as pa
from pydantic import Field, model_validator

from steps.judging.llm_judge import Complete
from steps.ledger import Drops, StageResult, check_books, check_drop_fraction, ledger_of
from steps.preference.imported import compared_parts, drop_imported
from steps.preference.sampled import Sample, SampledSettings, choose_prompts, sample_pairs
from steps.rows import LEDGER, PREFERENCES, content_id, rows_of_split, table
from steps.settings import Settings
from steps.splitting.decontaminate import DecontaminationSettings, OverlapIndex, compared_texts, overlap_index

STAGE = "preferences"


class PreferenceDrop(StrEnum):
    """Why a good pair is not used."""

    OVER_MAX_PAIRS = "over_max_pairs"


class PreferenceSettings(Settings):
    """Where chosen / rejected pairs come from."""

    imported: bool = True
    """Use the pairs of preference sources; false drops none of them and uses none of them."""
    sampled: SampledSettings | None = None
    """Make pairs from ranked samples of the SFT model; none makes none."""
    decontamination: DecontaminationSettings = DecontaminationSettings()
    """How an imported pair is compared with the test split."""
    max_pairs: int | None = Field(default=None, ge=1)
    """Most pairs to train on, a seeded choice; none is unlimited."""
    max_drop_fraction: float = Field(default=0.95, ge=0, le=1)
    """Above this fraction of candidates without a pair the run stops. Sampling makes it high: a prompt that the model
    always answers equally well is a candidate without a pair."""
    seed: int = Field(default=7, ge=0)
    """Seeds the choice of prompts and pairs."""

    @model_validator(mode="after")
    def _has_an_origin(self) -> PreferenceSettings:
        if not self.imported and self.sampled is None:
            raise ValueError("imported=false and no sampled block leave no preferences; set preferences to null")
        return self


def build_preferences(
    imported: pa.Table,
    sft_dataset: pa.Table,
    sample: Sample,
    settings: PreferenceSettings,
    complete: Complete | None = None,
) -> StageResult:
    """Collect the usable pairs.

    Args:
        imported: Schema `rows.PREFERENCES`, from preference sources; may be empty.
        sft_dataset: Schema `rows.SFT`. Prompts are sampled from its training split; its test split is protected.
        sample: Answers prompts with the SFT model; called only where `settings.sampled` is set.
        settings: Of the stage.
        complete: Sends requests to an LLM judge as ranker; None makes a `ChatClient`.

    Returns:
        Pairs of schema `rows.PREFERENCES`, and one ledger row per imported pair and per sampled prompt; a kept
        prompt's `evidence_id` is its pair, its score the margin.

    Raises:
        DropLimitError: if too many candidates give no pair.
    """
    drops = Drops(STAGE)
    candidates = imported if settings.imported else imported.slice(0, 0)
    index = _index_of_test(candidates, sft_dataset, settings.decontamination)
    drop_imported(candidates, sft_dataset, index.find, settings.decontamination.ngram_words, drops)
    pairs = [pair for pair in candidates.to_pylist() if pair["id"] not in drops]
    candidate_ids = candidates["id"].to_pylist()
    if settings.sampled is not None:
        prompts = choose_prompts(sft_dataset, settings.sampled, settings.seed)
        candidate_ids += prompts["id"].to_pylist()
        pairs += sample_pairs(prompts, sample, settings.sampled, settings.seed, drops, complete)
    pairs = _at_most(pairs, settings, drops)
    kept = table(pairs, PREFERENCES)
    ledger = _with_pairs(ledger_of(STAGE, pa.array(candidate_ids, pa.string()), drops.table()), pairs)
    check_books(STAGE, len(candidate_ids), kept.num_rows, ledger)
    check_drop_fraction(ledger, settings.max_drop_fraction)
    return StageResult(kept, ledger)


def _index_of_test(candidates: pa.Table, sft_dataset: pa.Table, settings: DecontaminationSettings) -> OverlapIndex:
    """Index the test rows; what is frequent in training rows and preferences together is boilerplate."""
    test, train = rows_of_split(sft_dataset, "test"), rows_of_split(sft_dataset, "train")
    compared = compared_texts(test, settings.ngram_words)
    texts = [(row_id, text) for row_id, own in zip(test["id"].to_pylist(), compared, strict=True) for text in own]
    searched = [text for own in compared_texts(train, settings.ngram_words) for text in own]
    for pair in candidates.to_pylist():
        searched += compared_parts(pair, settings.ngram_words).values()
    return overlap_index(texts, settings, searched)


def _at_most(pairs: list[dict[str, Any]], settings: PreferenceSettings, drops: Drops) -> list[dict[str, Any]]:
    """Take `max_pairs` by a seeded hash of their ids, in the order that they came in."""
    ranked = sorted(pairs, key=lambda pair: content_id("pair", pair["id"], settings.seed))
    used = {pair["id"] for pair in ranked[: settings.max_pairs]}
    for pair in pairs:
        if pair["id"] not in used:
            detail = f"max_pairs={settings.max_pairs}"
            drops.add(pair["example_id"] or pair["id"], PreferenceDrop.OVER_MAX_PAIRS, detail=detail)
    return [pair for pair in pairs if pair["id"] in used]


def _with_pairs(ledger: pa.Table, pairs: list[dict[str, Any]]) -> pa.Table:
    """Note beside each kept prompt which pair came of it, and by what margin."""
    by_prompt = {pair["example_id"]: pair for pair in pairs}
    rows = ledger.to_pylist()
    for row in rows:
        pair = by_prompt.get(row["row_id"])
        if pair is not None and row["decision"] == "kept":
            row.update(evidence_id=pair["id"], score=pair["chosen_score"] - pair["rejected_score"])
    return pa.Table.from_pylist(rows, schema=LEDGER)
