"""A budget that cannot be overrun: the worst case of a call is reserved before it is sent."""

from __future__ import annotations

from pydantic import Field

from steps.errors import BudgetExceededError
from steps.settings import Settings


class BudgetSettings(Settings):
    """What one stage may spend in one run, over all its models. Replies from the cache cost nothing."""

    max_cost_usd: float | None = Field(default=None, ge=0)
    """US dollars; none is unlimited. Every model of the stage needs a price then."""
    max_tokens: int | None = Field(default=None, ge=0)
    """Prompt and reply tokens together; none is unlimited."""


class Budget:
    """Counts US dollars. `limit_usd` None is unlimited, 0 allows only what is free or cached."""

    def __init__(self, limit_usd: float | None) -> None:
        self.limit_usd = limit_usd
        self.spent_usd = 0.0
        self._reserved_usd = 0.0

    def reserve(self, worst_case_usd: float) -> bool:
        """Set aside the worst case of a call.

        Returns:
            False, with nothing set aside, if the call fits only once calls in flight turn out cheaper than feared.

        Raises:
            BudgetExceededError: if the call could exceed the limit on top of what is spent.
        """
        if self.limit_usd is not None and self.spent_usd + worst_case_usd > self.limit_usd:
            raise BudgetExceededError(
                f"the next request could cost ${worst_case_usd:.4g} on top of ${self.spent_usd:.4g} spent, more than "
                f"max_cost_usd={self.limit_usd:g} allows. Every reply so far is kept in the reply cache: raise "
                "max_cost_usd (or take fewer rows, or a lower max_tokens) and run again, only the rest will be paid for"
            )
        if self.limit_usd is not None and self.spent_usd + self._reserved_usd + worst_case_usd > self.limit_usd:
            return False
        self._reserved_usd += worst_case_usd
        return True

    def settle(self, worst_case_usd: float, spent_usd: float) -> None:
        """Turn a reservation into what the call did cost."""
        self._reserved_usd -= worst_case_usd
        self.spent_usd += spent_usd
