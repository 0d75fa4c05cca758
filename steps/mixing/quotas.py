"""How many units each part of a mix gets: shares, their caps, and the largest mix that the parts can give."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from steps.errors import InputError
from steps.mixing.settings import MixSettings
from steps.splitting.strata import largest_remainder

Floats = npt.NDArray[np.float64]


class Quotas(NamedTuple):
    """What each part gets.

    Attributes:
        shares: Asked share of each part; they sum to 1.
        units: Whole units of each part, repeats included; their sum is the size of the mix.
        capped: Whether `max_share` cut the part's share.
    """

    shares: Floats
    units: Floats
    capped: npt.NDArray[np.bool_]


def quotas_of(names: list[str], sizes: Floats, settings: MixSettings) -> Quotas:
    """Decide what each part gets.

    Args:
        names: The parts.
        sizes: Units that each part has after its own caps, read once.
        settings: Weights or temperature, caps of shares, size.

    Raises:
        InputError: if the asked mix cannot be had; the nearest one that can is named.
    """
    wanted = _wanted(names, sizes, settings)
    limits = np.array([settings.part(name).max_share or 1.0 for name in names])
    shares = capped_shares(wanted, limits, names)
    most = sizes * np.array([settings.repeats_of(name) for name in names])
    asked = shares > 0
    largest = float(np.min(most[asked] / shares[asked])) if asked.any() else 0.0
    if settings.total is not None and settings.total > largest * (1 + 1e-9):
        raise _too_large(names, shares, most, largest, settings)
    # Without a size, repeats even the parts out but never make the epoch longer than all rows once.
    total = min(largest, float(sizes.sum())) if settings.total is None else float(settings.total)
    units = np.minimum(largest_remainder(shares * np.floor(total + 1e-6)), most)
    return Quotas(shares, units, limits < wanted - 1e-12)


def _wanted(names: list[str], sizes: Floats, settings: MixSettings) -> Floats:
    """Return the shares before caps."""
    if settings.weighted:
        missing = [name for name in names if name not in settings.parts]
        if missing:
            raise InputError(
                f"curation.mix.parts gives weights, but the training rows also have {', '.join(missing)}; give each a "
                "weight (0 leaves it out)"
            )
        weights = np.array([settings.part(name).weight or 0.0 for name in names])
        empty = [name for name, weight, size in zip(names, weights, sizes, strict=True) if weight and not size]
        if empty:
            raise InputError(f"curation.mix.parts asks for {', '.join(empty)}, of which no training row is left")
    else:
        weights = np.power(sizes, 1 / (settings.temperature or 1.0), where=sizes > 0, out=np.zeros(len(sizes)))
    return weights / weights.sum() if weights.sum() else weights


def capped_shares(wanted: Floats, limits: Floats, names: list[str]) -> Floats:
    """Cut shares to their limits and give what is cut to the other parts, by their shares, until none is above its own.

    Raises:
        InputError: if the limits leave no room for a whole.

    >>> capped_shares(np.array([0.8, 0.15, 0.05]), np.array([0.5, 0.3, 1.0]), ["a", "b", "c"]).round(3).tolist()
    [0.5, 0.3, 0.2]
    """
    present = wanted > 0
    if not present.any():
        return wanted
    if limits[present].sum() < 1 - 1e-9:
        said = ", ".join(f"{name} {limit:g}" for name, limit, p in zip(names, limits, present, strict=True) if p)
        raise InputError(
            f"curation.mix: max_share of the parts ({said}) sums to {limits[present].sum():g}, below 1; raise one"
        )
    shares, fixed = wanted.copy(), np.zeros(len(wanted), np.bool_)
    while (over := present & ~fixed & (shares > limits + 1e-12)).any():
        fixed |= over
        rest = 1 - limits[fixed].sum()
        free = present & ~fixed
        shares[fixed] = limits[fixed]
        shares[free] = wanted[free] / wanted[free].sum() * rest if free.any() else 0.0
    return shares


def _too_large(names: list[str], shares: Floats, most: Floats, largest: float, settings: MixSettings) -> InputError:
    asked = np.flatnonzero(shares > 0)
    scarce = asked[np.argmin(most[asked] / shares[asked])]
    needed = settings.total * shares[scarce] if settings.total is not None else 0.0
    repeats = settings.repeats_of(names[scarce])
    enough = int(np.ceil(needed * repeats / most[scarce])) if most[scarce] else 0
    return InputError(
        f"curation.mix.total={settings.total} {settings.unit} cannot be had: {names[scarce]} has "
        f"{most[scarce]:.0f} with max_repeats={repeats}, but {shares[scarce]:.1%} of the mix are {needed:.0f}. "
        f"Set total to {int(largest)} or less, its max_repeats to {enough}, or lower its weight"
    )
