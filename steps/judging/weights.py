"""Weights of a jury's members, learned from people's labels, and what they are worth on labels not used for them.

A member that decides a share p of the pairs as people do weighs log(p ÷ (1 − p)), the best weights for members that err
independently (Nitzan & Paroush 1982), and never less than 0: a member that is wrong more often than right is not heard,
instead of being believed in reverse on the word of a few labels.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from steps.errors import InputError
from steps.judging.calibration import FEW_LABELS

Floats = NDArray[np.float64]

N_FOLDS, N_REPEATS = 10, 5
#: Preferences nearer to a half than this are ties.
_TIE = 1e-9


class Learned(NamedTuple):
    """Weights from all labels; and per labelled pair the credit, in [0, 1], of each way to decide it unseen."""

    weights: Floats
    weighted: Floats
    majority: Floats
    best: Floats
    """Of the member that is best on the other folds."""


def credits_of(people: Floats, judge: Floats) -> Floats:
    """Return 1 where the judge takes the people's side, 0.5 where it sees a tie, else 0; NaN where either is missing.

    Args:
        people: P(first is better) by the majority, decided: not 0.5.
        judge: P(first is better), of shape `[n]` or `[n, members]`.
    """
    side = np.where(np.abs(judge - 0.5) <= _TIE, 0.0, np.sign(judge - 0.5))
    truth = np.sign(people - 0.5) if judge.ndim == 1 else np.sign(people - 0.5)[:, None]
    return np.where(np.isnan(judge) | np.isnan(truth), np.nan, (1 + side * truth) / 2)


def log_odds_weights(credit: Floats) -> Floats:
    """Return weights of the members that sum to 1; equal ones if nobody is right more often than wrong.

    Args:
        credit: Of shape `[n, members]`, NaN where a member said nothing. One pair won and one lost are added to each
            member (Laplace), so that a member which never erred in a few labels weighs no infinity.
    """
    return _log_odds((np.nansum(credit, axis=0) + 1) / ((~np.isnan(credit)).sum(0) + 2))


def _log_odds(share: Floats) -> Floats:
    raw = np.maximum(0.0, np.log(share / (1 - share)))
    return raw / raw.sum() if raw.sum() > 0 else np.full(len(raw), 1 / len(raw))


def weighted_preference(members: Floats, weights: Floats) -> Floats:
    """Return the weighted mean of the members' P(first is better); members that said nothing are left out."""
    heard = ~np.isnan(members)
    total = (heard * weights).sum(1)
    summed = np.where(heard, members, 0.0) @ weights
    mean: Floats = np.divide(summed, total, out=np.full(len(members), np.nan), where=total > 0)
    return mean


def majority_preference(members: Floats) -> Floats:
    """Return the share of votes for the first answer, a tie being half a vote; NaN where nobody voted."""
    votes = np.where(np.isnan(members), np.nan, (1 + np.sign(np.round(members - 0.5, 9))) / 2)
    n = (~np.isnan(votes)).sum(1)
    share: Floats = np.divide(np.nansum(votes, axis=1), n, out=np.full(len(votes), np.nan), where=n > 0)
    return share


def learn_weights(people: Floats, members: Floats, seed: int, min_labels: int = FEW_LABELS) -> Learned:
    """Learn the members' weights and measure the jury by repeated cross-validation.

    Args:
        people: P(first is better) by the majority of people, decided pairs only, of shape `[n]`.
        members: P(first is better) by each member, NaN for none, of shape `[n, members]`.
        seed: Of the folds.
        min_labels: Fewer pairs are refused.

    Raises:
        InputError: if there are too few labels, or fewer than two members.
    """
    check_enough(len(people), members.shape[1], min_labels)
    credit = credits_of(people, members)
    weighted, best = np.zeros(len(people)), np.zeros(len(people))
    for repeat in range(N_REPEATS):
        for held_out in _folds(len(people), seed + repeat):
            rest = np.setdiff1d(np.arange(len(people)), held_out)
            found = decide(credit[rest], members[held_out], people[held_out])
            weighted[held_out] += found.weighted / N_REPEATS
            best[held_out] += found.best / N_REPEATS
    majority = _or_half(credits_of(people, majority_preference(members)))
    return Learned(log_odds_weights(credit), weighted, majority, best)


def decide(credit: Floats, members: Floats, people: Floats) -> Learned:
    """Learn from `credit` and return the credit on other pairs, `members` with the labels `people`."""
    weights = log_odds_weights(credit)
    with_votes = (~np.isnan(credit)).any(0)
    shares = np.where(with_votes, np.nansum(credit, axis=0) / np.maximum((~np.isnan(credit)).sum(0), 1), -1.0)
    return Learned(
        weights,
        _or_half(credits_of(people, weighted_preference(members, weights))),
        _or_half(credits_of(people, majority_preference(members))),
        _or_half(credits_of(people, members[:, int(np.argmax(shares))])),
    )


def learn_score_weights(people: Floats, members: Floats, seed: int, min_labels: int = FEW_LABELS) -> Learned:
    """Learn weights for a jury that scores single answers.

    A member's share p is that of the pairs of answers which people rank apart and it ranks alike. The other fields of
    the result are the jury's scores, not credit: each answer's from members weighted by the other folds.

    Args:
        people: The majority's value of each answer.
        members: Scores of each member, each on its own scale, of shape `[n, members]`.
        seed: Of the folds.
        min_labels: Fewer answers are refused.

    Raises:
        InputError: if there are too few labels, or fewer than two members.
    """
    check_enough(len(people), members.shape[1], min_labels)
    low, high = np.nanmin(members, axis=0), np.nanmax(members, axis=0)
    scaled = (members - low) / np.where(high > low, high - low, 1.0)
    weighted, best = np.full(len(people), np.nan), np.full(len(people), np.nan)
    for held_out in _folds(len(people), seed):
        rest = np.setdiff1d(np.arange(len(people)), held_out)
        shares = _order_shares(people[rest], scaled[rest])
        weighted[held_out] = weighted_preference(scaled[held_out], _log_odds(shares))
        best[held_out] = scaled[held_out, int(np.argmax(shares))]
    equal = np.ones(members.shape[1])
    weights = _log_odds(_order_shares(people, scaled))
    return Learned(weights, weighted, weighted_preference(scaled, equal), best)


def _order_shares(people: Floats, members: Floats) -> Floats:
    """Return per member the share of pairs which people rank apart that it ranks alike, one won and one lost added."""
    truth = np.sign(people[:, None] - people[None, :])
    shares = []
    for scores in members.T:
        alike = np.sign(scores[:, None] - scores[None, :]) * truth
        counted = (truth != 0) & ~np.isnan(alike)
        shares.append((float(((1 + alike) / 2)[counted].sum()) + 1) / (int(counted.sum()) + 2))
    return np.array(shares)


def check_enough(n_labels: int, n_members: int, min_labels: int) -> None:
    """Refuse to learn from next to nothing.

    Raises:
        InputError: if there are too few labels, or fewer than two members.
    """
    if n_members < 2:
        raise InputError(f"a jury has two members or more, and verdicts of {n_members} judge were found")
    if n_labels < min_labels:
        raise InputError(
            f"{n_labels} labelled pairs are too few to learn a jury's weights from; label {min_labels - n_labels} more "
            f"(min_labels={min_labels}), or use the best single judge until then"
        )


def _folds(n: int, seed: int) -> Sequence[NDArray[np.int64]]:
    order = list(range(n))
    random.Random(seed).shuffle(order)
    return np.array_split(np.array(order), min(N_FOLDS, n))


def _or_half(credit: Floats) -> Floats:
    """Count a pair on which nobody says anything as a coin's toss: it has to be decided all the same."""
    return np.where(np.isnan(credit), 0.5, credit)
