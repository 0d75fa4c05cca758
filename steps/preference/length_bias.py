"""Length bias: whether chosen answers are longer than rejected ones, by how much, and keeping it within bounds.

Judges and people favour the longer answer (in shipped judgements of GPT-4 it wins two times out of three), and DPO
learns length first: Park et al. 2024, "Disentangling length from quality in direct preference optimization"
(arXiv:2403.19159).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from steps.errors import InputError
from steps.ledger import Drops
from steps.preference.candidate import Candidate, text_of
from steps.rows import content_id
from steps.settings import Settings


class LengthBiasSettings(Settings):
    """How much longer chosen answers may be, or shorter."""

    max_length_bias: float = Field(ge=0, le=0.5)
    """Bound of |share − 0.5|, where share is that of the pairs whose chosen answer is longer, among those of unequal
    length: 0.1 allows 40 to 60 %. It holds for both directions: terse answers can be a bias as well."""
    action: Literal["drop", "stop"] = "drop"
    """`drop` takes the most biased pairs away until the share lies within the bound; `stop` stops the run."""


class LengthBiasDrop(StrEnum):
    """Why a pair goes."""

    LENGTH_BIAS = "length_bias"


class LengthBias(NamedTuple):
    """What was measured; lengths are characters, without space around the text."""

    n_pairs: int
    n_longer_chosen: int
    n_longer_rejected: int
    share_longer_chosen: float | None
    """Among pairs of unequal length; None without any."""
    mean_log_ratio: float | None
    """Mean of ln(chosen length ÷ rejected length); 0 is no bias, 0.69 twice as long."""
    point_biserial: float | None
    """Correlation over all answers between being chosen and length, −1 to 1; None where all are equally long."""


def measure_length_bias(candidates: Sequence[Candidate]) -> LengthBias:
    """Measure the bias of a set of pairs."""
    lengths = np.array([_lengths(candidate) for candidate in candidates], float).reshape(-1, 2)
    longer, shorter = (int(n) for n in ((lengths[:, 0] > lengths[:, 1]).sum(), (lengths[:, 0] < lengths[:, 1]).sum()))
    n_unequal = longer + shorter
    correlation = None
    if len(lengths) and lengths.std() > 0:
        is_chosen = np.tile([1.0, 0.0], len(lengths))
        correlation = round(float(np.corrcoef(is_chosen, lengths.ravel())[0, 1]), 6)
    return LengthBias(
        len(lengths),
        longer,
        shorter,
        longer / n_unequal if n_unequal else None,
        round(float(np.log(lengths[:, 0] / lengths[:, 1]).mean()), 6) if len(lengths) else None,
        correlation,
    )


def bound_length_bias(candidates: Sequence[Candidate], settings: LengthBiasSettings, seed: int, drops: Drops) -> None:
    """Enter into `drops` the fewest pairs that bring the share of longer chosen answers within the bound.

    They are those of the commoner direction with the greatest ratio of lengths; a seeded hash decides among equals.

    Raises:
        InputError: with `action: stop`, if the share is out of bounds; with `drop`, if no pair would be left.
    """
    measured = measure_length_bias(candidates)
    share = measured.share_longer_chosen
    if share is None or abs(share - 0.5) <= settings.max_length_bias + 1e-12:
        return
    is_longer = share > 0.5
    direction = "longer" if is_longer else "shorter"
    rarer = min(measured.n_longer_chosen, measured.n_longer_rejected)
    found = (
        f"the chosen answer is {direction} in {max(share, 1 - share):.1%} of {measured.n_pairs} pairs; "
        f"length_bias.max_length_bias={settings.max_length_bias:g} allows {0.5 + settings.max_length_bias:.0%}"
    )
    if settings.action == "stop":
        raise InputError(f"{found}. Balance the pairs, set action: drop, or a wider bound")
    if not rarer:
        raise InputError(f"{found}, and no pair goes the other way, so that none would be left. Set a wider bound")
    most = int((0.5 + settings.max_length_bias) / (0.5 - settings.max_length_bias) * rarer + 1e-9)
    biased = [candidate for candidate in candidates if (log_ratio(candidate) > 0) == is_longer and log_ratio(candidate)]
    biased.sort(key=lambda one: (-abs(log_ratio(one)), content_id("length", one.ledger_id, seed)))
    for candidate in biased[: len(biased) - most]:
        detail = f"max_length_bias={settings.max_length_bias:g}; chosen is {direction} in {max(share, 1 - share):.1%}"
        score = round(log_ratio(candidate), 4)
        drops.add(candidate.ledger_id, LengthBiasDrop.LENGTH_BIAS, score=score, detail=detail)


def log_ratio(candidate: Candidate) -> float:
    """Return ln(chosen length ÷ rejected length)."""
    chosen, rejected = _lengths(candidate)
    return math.log(chosen / rejected)


def _lengths(candidate: Candidate) -> tuple[int, int]:
    chosen, rejected = (max(1, len(text_of(candidate.pair[side]).strip())) for side in ("chosen", "rejected"))
    return chosen, rejected
