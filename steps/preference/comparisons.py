"""From comparisons of two answers to a score for each: which pairs are compared, and what their outcomes add up to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, NamedTuple

from pydantic import Field

from steps.settings import Settings

#: The fit moves by far less than a millionth after this many rounds, however one-sided the outcomes: the prior bounds
#: every strength.
_ROUNDS = 200


class ComparisonSettings(Settings):
    """Which answers of a prompt are compared, and how the outcomes become scores in [0, 1]."""

    max_per_prompt: int | None = Field(default=None, ge=1)
    """Comparisons of one prompt, each asked in both orders; none is a round-robin, n × (n − 1) ÷ 2 of n answers. A
    lower bound takes neighbours on a ring in seeded order, then those two places apart and so on, so that with n − 1
    comparisons all answers hang together."""
    score: Literal["win_rate", "bradley_terry"] = "win_rate"
    """`win_rate`: the mean outcome of an answer's comparisons; in a round-robin it ranks as Bradley-Terry does.
    `bradley_terry`: the chance of beating an answer of mean strength, which counts how strong the others were; for
    bounded comparisons."""


class Outcome(NamedTuple):
    """One comparison; `first` and `second` are places in the list of a prompt's answers."""

    first: int
    second: int
    first_wins: float
    """P(first is better): 0.5 is a tie, and what an inconsistent judge counts as."""
    consistent: bool


def schedule(n: int, max_per_prompt: int | None) -> list[tuple[int, int]]:
    """Return the places of the answers to compare.

    >>> schedule(3, None)
    [(0, 1), (0, 2), (1, 2)]
    >>> schedule(4, 3)
    [(0, 1), (1, 2), (2, 3)]
    """
    everyone = list(combinations(range(n), 2))
    if max_per_prompt is None or len(everyone) <= max_per_prompt:
        return everyone
    ring = [(at, (at + apart) % n) for apart in range(1, n) for at in range(n)]
    distinct = dict.fromkeys((min(pair), max(pair)) for pair in ring)
    return list(distinct)[:max_per_prompt]


def scores_of(n: int, outcomes: Sequence[Outcome], settings: ComparisonSettings) -> list[float | None]:
    """Return the score of each of `n` answers; None for one that no comparison speaks of."""
    scores = _bradley_terry(n, outcomes) if settings.score == "bradley_terry" else _win_rates(n, outcomes)
    compared = {place for one in outcomes for place in (one.first, one.second)}
    return [round(score, 6) if place in compared else None for place, score in enumerate(scores)]


def _win_rates(n: int, outcomes: Sequence[Outcome]) -> list[float]:
    wins, games = [0.0] * n, [0] * n
    for one in outcomes:
        for place, won in ((one.first, one.first_wins), (one.second, 1 - one.first_wins)):
            wins[place] += won
            games[place] += 1
    return [won / played if played else 0.5 for won, played in zip(wins, games, strict=True)]


def _bradley_terry(n: int, outcomes: Sequence[Outcome]) -> list[float]:
    """Fit strengths by minorisation-maximisation (Hunter 2004, "MM algorithms for generalized Bradley-Terry models").

    One tie of each answer with an answer of strength 1 is added: without it, an answer that won everything would be
    infinitely strong. Returned is strength ÷ (strength + 1).
    """
    strengths, wins = [1.0] * n, [0.5] * n
    for one in outcomes:
        wins[one.first] += one.first_wins
        wins[one.second] += 1 - one.first_wins
    for _ in range(_ROUNDS):
        weights = [1 / (strength + 1) for strength in strengths]
        for one in outcomes:
            shared = 1 / (strengths[one.first] + strengths[one.second])
            weights[one.first] += shared
            weights[one.second] += shared
        strengths = [won / weight for won, weight in zip(wins, weights, strict=True)]
    return [strength / (strength + 1) for strength in strengths]
