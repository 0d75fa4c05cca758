"""Which of a prompt's ranked answers become chosen and rejected, or why none do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import combinations
from typing import Literal, NamedTuple

from pydantic import Field

from steps.rows import content_id
from steps.settings import Settings


class PairingDrop(StrEnum):
    """Why a prompt's answers give no pair."""

    NO_MARGIN = "no_margin"
    TIE = "tie"
    INCONSISTENT_ORDERS = "inconsistent_orders"
    BEST_TOO_LOW = "best_too_low"
    ALL_RIGHT = "all_right"
    ALL_WRONG = "all_wrong"


class PairingSettings(Settings):
    """Which pairs are made of the ranked answers of a prompt."""

    pairing: Literal["best_vs_worst", "best_vs_random", "right_vs_wrong", "all"] = "best_vs_worst"
    """`best_vs_worst`: one pair. `best_vs_random`: one, against a seeded choice of those that the best leads by the
    margin. `right_vs_wrong` (with a check): one, a seeded choice of the answers that reach `pass_score` over one of
    those that do not. `all`: every two answers that are a margin apart."""
    min_margin: float = Field(default=0.5, gt=0)
    """Least difference of the two scores, on the ranker's scale: checks, win rates and juries 0 to 1, a single judge
    its own."""
    min_chosen_score: float | None = None
    """Least score of a chosen answer; none takes the best, however bad."""
    max_pairs_per_prompt: int | None = Field(default=None, ge=1)
    """With `all`: most pairs of one prompt, those of the greatest margins; none takes all."""


class Ranked(NamedTuple):
    """One answer with its score, and what the judges said of it."""

    text: str
    score: float
    rationale: str | None = None


class Versus(NamedTuple):
    """The outcome of one answer's direct comparison with another."""

    wins: float
    consistent: bool


#: Outcomes of direct comparisons by the texts of the two answers, in both directions.
Direct = Mapping[tuple[str, str], Versus]


class NoPair(NamedTuple):
    """Why there is no pair: the margin or score that was found, and the words for the ledger."""

    reason: PairingDrop
    score: float | None
    detail: str


def choose_pairs(
    ranked: Sequence[Ranked], direct: Direct, settings: PairingSettings, pass_score: float, row_id: str, seed: int
) -> list[tuple[Ranked, Ranked]] | NoPair:
    """Choose (chosen, rejected) of one prompt. Where an answer stands in the list decides nothing.

    Args:
        ranked: The answers, at least one; among equal scores a seeded hash of the text decides.
        direct: What the two were told apart by, where a judge compared them: an answer that did not win against
            another one in both orders is not chosen over it, whatever the scores.
        settings: Which pairs to make.
        pass_score: From this score on an answer is right.
        row_id: Of the prompt, for the hash.
        seed: Of the hash.
    """
    order = sorted(ranked, key=lambda answer: (-answer.score, content_id(answer.text, row_id, seed)))
    best, worst = order[0], order[-1]
    if settings.min_chosen_score is not None and best.score < settings.min_chosen_score:
        return NoPair(PairingDrop.BEST_TOO_LOW, best.score, f"min_chosen_score={settings.min_chosen_score:g}")
    if settings.pairing == "right_vs_wrong":
        return _right_vs_wrong(order, pass_score, row_id, seed)
    apart = [
        (better, other)
        for better, other in combinations(order, 2)
        if better.score - other.score >= settings.min_margin - 1e-9
        and (settings.min_chosen_score is None or better.score >= settings.min_chosen_score)
    ]
    if not apart:
        return _no_margin(order, direct)
    if settings.pairing == "all":
        apart.sort(key=lambda pair: (pair[1].score - pair[0].score, content_id(pair[0].text, pair[1].text, seed)))
        won = [pair for pair in apart if _undecided(pair, direct) is None]
        return won[: settings.max_pairs_per_prompt] or _undecided(apart[0], direct) or _no_margin(order, direct)
    pair = (best, worst)
    if settings.pairing == "best_vs_random":
        others = [other for better, other in apart if better is best]
        pair = (best, min(others, key=lambda other: content_id("random", other.text, row_id, seed)))
    return _undecided(pair, direct) or [pair]


def _right_vs_wrong(
    order: Sequence[Ranked], pass_score: float, row_id: str, seed: int
) -> list[tuple[Ranked, Ranked]] | NoPair:
    right = [answer for answer in order if answer.score >= pass_score]
    wrong = [answer for answer in order if answer.score < pass_score]
    if not right or not wrong:
        reason = PairingDrop.ALL_RIGHT if right else PairingDrop.ALL_WRONG
        return NoPair(reason, order[0].score, f"all {len(order)} different answers, pass_score={pass_score:g}")
    chosen, rejected = (
        min(side, key=lambda one: content_id("side", one.text, row_id, seed)) for side in (right, wrong)
    )
    return [(chosen, rejected)]


def _undecided(pair: tuple[Ranked, Ranked], direct: Direct) -> NoPair | None:
    """Return why a judge that compared the two does not stand behind the pair, or None."""
    versus = direct.get((pair[0].text, pair[1].text))
    if versus is None or (versus.consistent and versus.wins > 0.5):
        return None
    reason = PairingDrop.TIE if versus.consistent else PairingDrop.INCONSISTENT_ORDERS
    margin = pair[0].score - pair[1].score
    return NoPair(reason, margin, f"compared with each other, chosen wins by {versus.wins:g}")


def _no_margin(order: Sequence[Ranked], direct: Direct) -> NoPair:
    """Say why no two answers are far enough apart: because orders contradicted each other, or else equal."""
    margin = order[0].score - order[-1].score
    detail = f"best {order[0].score:g}, worst {order[-1].score:g} of {len(order)} different samples"
    n_inconsistent = sum(not versus.consistent for versus in direct.values()) // 2
    if n_inconsistent:
        detail += f"; {n_inconsistent} of {len(direct) // 2} comparisons inconsistent"
    if direct and margin == 0:
        reason = PairingDrop.INCONSISTENT_ORDERS if n_inconsistent else PairingDrop.TIE
        return NoPair(reason, margin, detail)
    return NoPair(PairingDrop.NO_MARGIN, margin, detail)
