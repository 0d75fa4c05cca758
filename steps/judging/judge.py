"""Stage `judge`: a score, or a reason why there is none, for every example; optionally a selection by score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from steps.errors import DropLimitError
from steps.judging.asking import Make, ask_all, open_bench, without_asking
from steps.judging.guard import Trust, check_trust
from steps.judging.integrity import check_rows_unchanged, row_hashes
from steps.judging.judges import make_judge
from steps.judging.judging_settings import JudgingSettings
from steps.judging.report import Outcome, report_of
from steps.judging.scoring import NOTHING, items_of, with_scores
from steps.judging.selection import Selected, SelectSettings, select
from steps.judging.verdict import Judge, Verdict, verdict_table
from steps.ledger import Drops, check_drop_fraction, settle
from steps.llm.budget import Budget
from steps.rows import JUDGEMENT, LEDGER, VERDICTS
from steps.tables import BATCH_ROWS, spilled, with_column

STAGE = "judge"


class JudgeDrop(StrEnum):
    """Why judging drops a row."""

    BELOW_MIN_SCORE = "below_min_score"
    BELOW_TOP_K = "below_top_k"


def check_judges(settings: JudgingSettings, judges: Sequence[Judge] | None = None) -> Trust:
    """Check before a run that the scores may be used as configured.

    Args:
        settings: Of the stage.
        judges: The judges, if they are made already.

    Raises:
        ConfigError: if rows would be dropped by a judge that is not known to agree with people.
        InputError: if the calibration, or a file that a judge needs, cannot be read.
    """
    if all(judge.type == "defect" for judge in settings.judges):
        return Trust(None, {}, None, [])
    return check_trust(
        judges if judges is not None else without_asking(settings.judges, settings.seed),
        aggregate=settings.aggregate,
        is_filter=settings.select is not None,
        calibration_path=settings.calibration_path,
        min_agreement=settings.min_agreement,
        accept_uncalibrated=settings.accept_uncalibrated,
    )


class JudgeResult(NamedTuple):
    """The outcome of the stage."""

    kept: pa.Table
    """Rows that stay, with the columns of `rows.JUDGEMENT`."""
    ledger: pa.Table
    """One row per input row."""
    verdicts: pa.Table
    """Every judge's say on every row: schema `rows.VERDICTS`."""
    report: dict[str, Any]
    """Plain values."""


def judge_rows(
    examples: pa.Table, settings: JudgingSettings, documents: pa.Table | None = None, make: Make = make_judge
) -> JudgeResult:
    """Score every example with the configured judges, and select by score.

    Args:
        examples: Schema `rows.EXAMPLES`.
        settings: Of the stage.
        documents: Schema `rows.DOCUMENTS`, for rubrics that compare an answer with the text that it was made from.
        make: Makes a judge of its settings.

    Raises:
        ConfigError: if rows would be dropped by a judge that is not known to agree with people.
        DropLimitError: if too many rows stay unscored, or fall below `min_score`.
        EndpointError: if an endpoint refuses the key or is not there.
        BudgetExceededError: if the budget is used up; all replies are cached.
    """
    budget = Budget(settings.budget)
    bench = open_bench(settings.judges, settings.seed, budget, make)
    trust = check_judges(settings, bench.judges)
    at, items, missing = items_of(examples, documents if bench.needs_source else None) if bench.judges else NOTHING
    found = ask_all(bench, items)
    scored, details, combined = with_scores(examples, settings, trust.weights, bench.judges, found, at, missing)
    chosen = _select(scored, settings)
    kept, ledger = _settle(scored, details, chosen, settings)
    _check_unscored(scored, details, settings, ledger)
    if settings.min_score is not None:
        check_drop_fraction(ledger, settings.max_drop_fraction)
    if any(judge.type != "defect" for judge in settings.judges):
        check_rows_unchanged(row_hashes(examples), kept, JUDGEMENT.names, STAGE)
    verdicts = spilled(_verdict_batches(found), VERDICTS)
    outcome = Outcome(scored, chosen, bench.judges, found, combined, verdicts, at)
    report = report_of(outcome, settings, trust, bench.capabilities())
    return JudgeResult(kept, ledger, verdicts, {**report, "paid_usd": budget.spent_usd})


def _scores(scored: pa.Table) -> npt.NDArray[np.float64]:
    """Return the scores, NaN for none."""
    found: npt.NDArray[np.float64] = pc.fill_null(scored["score"], float("nan")).to_numpy()
    return found


def _select(scored: pa.Table, settings: JudgingSettings) -> Selected | None:
    if settings.select is None:
        return None
    groups = scored[settings.select.per] if settings.select.per is not None else None
    return select(_scores(scored), scored["id"], groups, settings.select, settings.seed)


def _settle(
    scored: pa.Table, details: pa.Array, chosen: Selected | None, settings: JudgingSettings
) -> tuple[pa.Table, pa.Table]:
    """Drop what was not chosen, and write score, reason and remark beside every row of the ledger."""
    drops = Drops(STAGE)
    order = np.arange(scored.num_rows)
    if chosen is not None and settings.select is not None and not chosen.kept.all():
        gone = np.flatnonzero(~chosen.kept)
        order = np.r_[np.flatnonzero(chosen.kept), gone]
        reason = JudgeDrop.BELOW_MIN_SCORE if settings.min_score is not None else JudgeDrop.BELOW_TOP_K
        drops.extend(
            scored["id"].take(gone),
            reason,
            scores=scored["score"].take(gone),
            details=_evidence(scored, details, chosen, gone, settings.select),
        )
    kept, ledger = settle(STAGE, scored, drops)
    n_kept = kept.num_rows
    remarks = details.take(pa.array(order[:n_kept]))
    columns = {"score": kept["score"], "reason": kept["unscored_reason"], "detail": remarks}
    for name, column in columns.items():
        chunks = [*(column.chunks if isinstance(column, pa.ChunkedArray) else [column]), *ledger[name][n_kept:].chunks]
        ledger = with_column(ledger, LEDGER.field(name), pa.chunked_array(chunks, LEDGER.field(name).type))
    return kept, ledger


def _evidence(
    scored: pa.Table, details: pa.Array, chosen: Selected, gone: npt.NDArray[np.int64], rule: SelectSettings
) -> pa.Array:
    """Return for each dropped row the rule, the border, and the votes or the rationale."""
    if rule.min_score is not None:
        rules = pa.repeat(pa.scalar(rule.describe()), len(gone))
    else:
        shown = [f"{rule.describe()}, border {border:.4g}" for border in chosen.border[gone].tolist()]
        rules = pa.array([one.replace("border nan", "none stays") for one in shown], pa.string())
    said = pc.coalesce(details.take(gone), pc.utf8_slice_codeunits(scored["rationale"].take(gone), 0, 300))
    return pc.binary_join_element_wise(rules, said, ": ", null_handling="skip")


def _verdict_batches(found: Mapping[str, Sequence[Verdict]]) -> Iterator[pa.Table]:
    for verdicts in found.values():
        for start in range(0, len(verdicts), BATCH_ROWS):
            yield verdict_table(verdicts[start : start + BATCH_ROWS])


def _check_unscored(scored: pa.Table, details: pa.Array, settings: JudgingSettings, ledger: pa.Table) -> None:
    n_missing = scored["score"].null_count
    if not settings.judges or n_missing <= settings.max_unscored_fraction * scored.num_rows:
        return
    unscored = pc.is_valid(scored["unscored_reason"])
    common = Counter(scored["unscored_reason"].filter(unscored).to_pylist()).most_common(2)
    said = details.filter(unscored).drop_null()
    raise DropLimitError(
        f"stage {STAGE} left {n_missing} of {scored.num_rows} rows unscored, more than max_unscored_fraction="
        f"{settings.max_unscored_fraction:g} allows. Most frequent: "
        f"{', '.join(f'{reason}: {n}' for reason, n in common)}; for example: "
        f"{said[0].as_py() if len(said) else 'no detail'}. Correct the cause and run again (replies of an endpoint are "
        "cached), or raise max_unscored_fraction, or set judges to [].",
        ledger,
    )
