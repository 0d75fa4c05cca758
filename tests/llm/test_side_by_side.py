import threading
import time

import pytest

from steps.errors import BudgetExceededError, EndpointError
from steps.llm.budget import Budget, BudgetSettings
from steps.llm.client import complete_side_by_side
from steps.llm.request import ChatRequest, Reply
from tests.llm.server import FakeEndpoint

PRICES = {"price_per_million_input_usd": 0.0, "price_per_million_output_usd": 10.0}


def ask(*texts):
    return [ChatRequest([{"role": "user", "content": text}]) for text in texts]


class OtherClient:
    """A client that blocks, as a model in this process does."""

    def complete_all(self, requests, description="Asking"):
        time.sleep(0.2)
        return [Reply(threading.current_thread().name, "own", 1, 1, 0.0, 0.1, 1, False, None) for _ in requests]


def test_several_models_are_asked_at_once_and_each_gets_its_own_replies(make_client):
    with FakeEndpoint(lambda messages: "first") as first, FakeEndpoint(lambda messages: "second") as second:
        first.latency_s = second.latency_s = 0.1
        clients = [make_client(base_url=one.base_url, model=name) for name, one in {"a": first, "b": second}.items()]
        started = time.monotonic()
        found = complete_side_by_side([(clients[0], ask("q", "r")), (clients[1], ask("q")), (OtherClient(), ask("q"))])
        # One after the other: 0.1 + 0.1 + 0.2 s.
        assert time.monotonic() - started < 0.39
    assert [[reply.text for reply in replies] for replies in found[:2]] == [["first", "first"], ["second"]]
    assert found[2][0].text != threading.current_thread().name


def test_one_that_cannot_be_used_stops_all_and_what_came_in_is_kept(endpoint, make_client):
    endpoint.latency_s = 0.05
    dead = make_client(base_url="http://127.0.0.1:9/v1", model="dead", max_retries=0)
    alive = make_client(max_concurrency=2)
    with pytest.raises(EndpointError, match=r"dead.*cannot be reached"):
        complete_side_by_side([(alive, ask(*(f"q{i}" for i in range(100)))), (dead, ask("q"))])
    asked = list(endpoint.asked)
    assert len(asked) < 20
    assert all(reply.cached for reply in make_client().complete_all(ask(*asked)))


def test_models_side_by_side_share_one_budget(endpoint, make_client):
    budget = Budget(BudgetSettings(max_cost_usd=0.0035))
    clients = [make_client(budget, model=name, max_tokens=100, **PRICES) for name in ("a", "b")]
    with pytest.raises(BudgetExceededError, match="spent"):
        complete_side_by_side([(client, ask(*(f"q{i}" for i in range(50)))) for client in clients])
    assert 0.0025 < budget.spent_usd <= 0.0035
    assert budget.spent_usd == pytest.approx(sum(client.spent_usd for client in clients))
    assert len(endpoint.bodies) == round(budget.spent_usd / 1e-4)


def test_threads_share_one_budget(endpoint, make_client):
    endpoint.latency_s = 0.01
    budget = Budget(BudgetSettings(max_tokens=30 * 110 + 1000))
    errors = []

    def work(name):
        client = make_client(budget, model=name, max_tokens=100)
        try:
            client.complete_all(ask(*(f"q{i}" for i in range(50))))
        except BudgetExceededError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 3
    assert 30 * 110 <= budget.spent_tokens <= 30 * 110 + 1000
    assert budget.spent_tokens == 110 * len(endpoint.bodies)
