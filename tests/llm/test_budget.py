import threading

import pytest

from steps.errors import BudgetExceededError
from steps.llm.budget import Budget, BudgetSettings, Spend, check_priced
from steps.llm.endpoint import EndpointSettings
from steps.llm.in_process import InProcessSettings


def test_a_call_that_could_exceed_what_is_left_is_refused_with_what_was_spent():
    budget = Budget(BudgetSettings(max_cost_usd=1.0))
    assert budget.reserve(Spend(usd=0.6))
    budget.settle(Spend(usd=0.6), Spend(usd=0.5))
    with pytest.raises(BudgetExceededError, match=r"\$0\.6 on top of \$0\.5 spent.*budget\.max_cost_usd=1"):
        budget.reserve(Spend(usd=0.6))


def test_tokens_are_a_limit_of_their_own():
    budget = Budget(BudgetSettings(max_tokens=100))
    assert budget.reserve(Spend(usd=1e9, tokens=60))
    budget.settle(Spend(usd=1e9, tokens=60), Spend(tokens=60))
    with pytest.raises(BudgetExceededError, match=r"41 tokens on top of 60 used.*budget\.max_tokens=100"):
        budget.reserve(Spend(tokens=41))
    assert budget.reserve(Spend(tokens=40))


def test_a_limit_of_zero_allows_what_is_free_and_none_allows_all():
    assert Budget(BudgetSettings(max_cost_usd=0)).reserve(Spend(tokens=10))
    with pytest.raises(BudgetExceededError):
        Budget(BudgetSettings(max_cost_usd=0)).reserve(Spend(usd=1e-9))
    assert Budget().reserve(Spend(usd=1e9, tokens=10**12))


def test_who_must_wait_is_told_when_a_call_is_settled():
    budget, told = Budget(BudgetSettings(max_cost_usd=1.0)), threading.Event()
    assert budget.reserve(Spend(usd=0.9))
    assert not budget.reserve(Spend(usd=0.9), told.set)
    assert not told.is_set()
    budget.settle(Spend(usd=0.9), Spend(usd=0.05))
    assert told.is_set()
    assert budget.reserve(Spend(usd=0.9))


def test_threads_never_spend_more_than_the_limit_together():
    budget, worst = Budget(BudgetSettings(max_tokens=1000)), Spend(tokens=7)

    def work():
        while True:
            told = threading.Event()
            try:
                if not budget.reserve(worst, told.set):
                    told.wait(5)
                    continue
            except BudgetExceededError:
                return
            budget.settle(worst, worst)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.spent_tokens == 994


def test_a_budget_in_dollars_needs_the_prices_of_all_models():
    priced = EndpointSettings(
        base_url="http://x/v1", model="a", price_per_million_input_usd=0, price_per_million_output_usd=0
    )
    unpriced = EndpointSettings(base_url="http://x/v1", model="b")
    own = InProcessSettings(type="transformers", model="c")
    check_priced([priced, own], BudgetSettings(max_cost_usd=1))
    check_priced([unpriced], BudgetSettings(max_tokens=1))
    with pytest.raises(ValueError, match="prices of b; set price_per_million_input_usd"):
        check_priced([priced, unpriced, own], BudgetSettings(max_cost_usd=1))
