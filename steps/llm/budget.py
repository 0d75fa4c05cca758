"""A budget that cannot be overrun: the worst case of a call is reserved before it is sent."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple

from pydantic import Field

from steps.errors import BudgetExceededError
from steps.settings import Settings


class BudgetSettings(Settings):
    """What one stage may spend in one run, over all its models. Replies from the cache cost nothing."""

    max_cost_usd: float | None = Field(default=None, ge=0)
    """US dollars; none is unlimited. Every model of the stage needs a price then."""
    max_tokens: int | None = Field(default=None, ge=0)
    """Prompt and reply tokens together; none is unlimited."""


class Spend(NamedTuple):
    """What a call costs, or could cost at worst."""

    usd: float = 0.0
    """US dollars; 0 where the price is unknown or nothing."""
    tokens: int = 0
    """Prompt and reply tokens together."""


class Budget:
    """Counts the money and the tokens of all clients that share it, in however many threads they run.

    A limit of None is unlimited, one of 0 allows only what is free or cached.
    """

    def __init__(self, settings: BudgetSettings | None = None) -> None:
        self.settings = settings or BudgetSettings()
        self._lock = threading.Lock()
        self._spent, self._reserved = Spend(), Spend()
        self._waiting: list[Callable[[], object]] = []

    @property
    def spent_usd(self) -> float:
        """US dollars spent so far, on the calls whose price is known."""
        return self._spent.usd

    @property
    def spent_tokens(self) -> int:
        """Prompt and reply tokens used so far."""
        return self._spent.tokens

    def reserve(self, worst: Spend, notify: Callable[[], object] | None = None) -> bool:
        """Set aside the worst case of a call.

        Args:
            worst: What the call could cost.
            notify: Called once, from any thread, after the next call is settled, if this one must wait for that.

        Returns:
            False, with nothing set aside, if the call fits only once calls in flight turn out cheaper than feared.

        Raises:
            BudgetExceededError: if the call could exceed a limit on top of what is spent.
        """
        with self._lock:
            if (name := self._exceeded(_sum(self._spent, worst))) is not None:
                raise BudgetExceededError(self._refusal(name, worst))
            if self._exceeded(_sum(_sum(self._spent, self._reserved), worst)) is not None:
                if notify is not None:
                    self._waiting.append(notify)
                return False
            self._reserved = _sum(self._reserved, worst)
            return True

    def settle(self, worst: Spend, spent: Spend) -> None:
        """Turn a reservation into what the call did cost, and wake those who wait for room."""
        with self._lock:
            self._reserved = Spend(self._reserved.usd - worst.usd, self._reserved.tokens - worst.tokens)
            self._spent = _sum(self._spent, spent)
            waiting, self._waiting = self._waiting, []
        for notify in waiting:
            # An event loop that is closed by now waits no longer.
            with contextlib.suppress(RuntimeError):
                notify()

    def _exceeded(self, total: Spend) -> str | None:
        if self.settings.max_cost_usd is not None and total.usd > self.settings.max_cost_usd:
            return "max_cost_usd"
        if self.settings.max_tokens is not None and total.tokens > self.settings.max_tokens:
            return "max_tokens"
        return None

    def _refusal(self, name: str, worst: Spend) -> str:
        if name == "max_cost_usd":
            amounts = f"${worst.usd:.4g} on top of ${self._spent.usd:.4g} spent"
            limit = f"budget.max_cost_usd={self.settings.max_cost_usd:g}"
        else:
            amounts = f"{worst.tokens} tokens on top of {self._spent.tokens} used"
            limit = f"budget.max_tokens={self.settings.max_tokens}"
        return (
            f"the next request could cost {amounts}, more than {limit} allows. Every reply so far is kept in the reply "
            f"cache: raise budget.{name} (or take fewer rows, or a lower max_tokens of the model) and run again, only "
            "the rest will be asked and paid for"
        )


class _Priced(NamedTuple):
    """What `check_priced` reads off a model."""

    model: str
    prices: tuple[float | None, float | None]


def check_priced(models: Iterable[object], budget: BudgetSettings) -> None:
    """Check that a budget in dollars can be kept: the prices of all models are known. A model in this process is free.

    Args:
        models: Settings of the stage's models (`steps.llm.models.Model`).
        budget: Of the stage.

    Raises:
        ValueError: naming the models without a price; a settings validator passes it on.
    """
    if budget.max_cost_usd is None:
        return
    priced = [_Priced(str(getattr(model, "model", model)), getattr(model, "prices", (0.0, 0.0))) for model in models]
    missing = sorted({one.model for one in priced if None in one.prices})
    if missing:
        raise ValueError(
            f"budget.max_cost_usd={budget.max_cost_usd:g} cannot be kept without prices of {', '.join(missing)}; set "
            "price_per_million_input_usd and price_per_million_output_usd (0 for a local model), or leave max_cost_usd "
            "out and bound budget.max_tokens"
        )


def _sum(left: Spend, right: Spend) -> Spend:
    return Spend(left.usd + right.usd, left.tokens + right.tokens)
