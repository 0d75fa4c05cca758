import multiprocessing
import os
import signal
import threading
from collections import deque

import pytest
from pydantic import ValidationError

from steps.errors import BudgetExceededError, EndpointError
from steps.llm import batch_api, batch_client
from steps.llm.batch import BatchSettings
from steps.llm.budget import Budget, BudgetSettings
from steps.llm.cache import ReplyCache
from steps.llm.client import ChatClient, complete_side_by_side
from steps.llm.endpoint import EndpointSettings
from steps.llm.request import ChatRequest, Failed
from tests.llm.batch_server import FakeBatchEndpoint

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


@pytest.fixture
def endpoint():
    with FakeBatchEndpoint() as running:
        yield running


@pytest.fixture
def make_client(endpoint, tmp_path):
    def make(budget=None, **changes):
        batch = {name: changes.pop(name) for name in list(changes) if name in BatchSettings.model_fields}
        settings = {
            "base_url": endpoint.base_url,
            "model": "tiny",
            "backoff_s": 0.001,
            "cache_path": str(tmp_path / "replies.sqlite"),
            "price_per_million_input_usd": 1.0,
            "price_per_million_output_usd": 10.0,
            "batch": {"poll_s": 0.01, **batch},
        }
        return ChatClient(EndpointSettings(**{**settings, **changes}), budget)

    return make


def ask(text, schema=None, **more):
    return ChatRequest([{"role": "user", "content": text}], schema, **more)


def texts(replies):
    return [reply.text for reply in replies]


def test_replies_come_in_the_order_of_the_requests_at_half_the_price(endpoint, make_client):
    client = make_client()
    replies = client.complete_all([*(ask(f"q{i}") for i in range(20)), ask("q3")])
    assert texts(replies) == [f"reply to q{i}" for i in range(20)] + ["reply to q3"]
    assert [reply.cached for reply in replies] == [False] * 20 + [True]
    assert replies[0].cost_usd == pytest.approx((100 * 1e-6 + 10 * 10e-6) / 2)
    assert client.spent_usd == pytest.approx(20 * 100e-6)
    assert client.budget.spent_usd == pytest.approx(20 * 100e-6)
    assert client.budget.spent_tokens == 20 * 110
    assert (replies[0].latency_s, replies[0].attempts, replies[0].model) == (60.0, 1, "tiny-2026")
    assert endpoint.sizes == [20]
    assert next(iter(endpoint.batches.values()))["window"] == "24h"


def test_the_cache_is_shared_with_the_direct_way_and_only_new_rows_are_submitted(endpoint, make_client):
    first = make_client().complete_all([ask("a"), ask("b")])
    again = make_client(batch=None).complete_all([ask("a"), ask("b")])
    assert [reply._replace(cached=False) for reply in again] == first
    make_client().complete_all([ask("a"), ask("c")])
    assert endpoint.asked == {"a": 1, "b": 1, "c": 1}
    assert endpoint.sizes == [2, 1]


def test_files_keep_to_both_limits(endpoint, make_client):
    make_client(max_requests_per_batch=3).complete_all([ask(f"q{i}") for i in range(8)])
    assert endpoint.sizes == [3, 3, 2]
    line = len(next(iter(endpoint.files.values())).splitlines(keepends=True)[0])
    make_client(max_file_bytes=2 * line + 1).complete_all([ask(f"r{i}") for i in range(5)])
    assert endpoint.sizes[3:] == [2, 2, 1]
    make_client(max_file_bytes=1).complete_all([ask("larger than a file may be")])
    assert endpoint.sizes[6:] == [1]


def test_the_key_is_sent_and_never_shown(endpoint, make_client, monkeypatch):
    monkeypatch.setenv("BATCH_KEY", "sk-secret")
    endpoint.faults["POST files"] = deque([(401, "sk-secret is no key of ours")])
    with pytest.raises(EndpointError, match=r"refused the key \(BATCH_KEY\): <key> is no key of ours"):
        make_client(api_key_env="BATCH_KEY").complete_all([ask("a")])
    assert endpoint.keys == {"Bearer sk-secret"}


@pytest.mark.parametrize("call", ["POST files", "GET batch", "GET content"])
@pytest.mark.parametrize("fault", ["reset", "lost", (500, "oops"), (429, "slow down")])
def test_calls_that_cost_nothing_are_retried(endpoint, make_client, call, fault):
    endpoint.faults[call] = deque([fault, fault])
    assert texts(make_client().complete_all([ask("a")])) == ["reply to a"]
    assert endpoint.asked == {"a": 1}


@pytest.mark.parametrize(("fault", "n_calls"), [("lost", 1), ("reset", 2), ((500, "oops"), 2), ((429, "slow"), 2)])
def test_a_batch_whose_creation_got_lost_is_looked_for_before_it_is_created_again(
    endpoint, make_client, fault, n_calls
):
    make_client().complete_all([ask(f"earlier {i}") for i in range(3)])
    endpoint.faults["POST batches"] = deque([fault])
    assert texts(make_client().complete_all([ask("a")])) == ["reply to a"]
    assert endpoint.asked["a"] == 1
    assert endpoint.calls["POST batches"] == 1 + n_calls


def test_an_endpoint_without_batches_says_so(endpoint, make_client):
    endpoint.faults["POST files"] = deque([(404, "Not Found")])
    with pytest.raises(EndpointError, match="has no batches"):
        make_client().complete_all([ask("a")])
    endpoint.faults["POST batches"] = deque([(400, "billing hard limit reached")])
    with pytest.raises(EndpointError, match="HTTP 400: billing hard limit reached"):
        make_client().complete_all([ask("a")])
    assert texts(make_client().complete_all([ask("a")])) == ["reply to a"], "and nothing is left in the way"


def test_a_run_that_waited_long_enough_stops_and_the_next_collects_its_batch(endpoint, make_client):
    endpoint.n_polls = 10**9
    budget = Budget()
    with pytest.raises(EndpointError, match=r"the batches batch-0 of .* run again later"):
        make_client(budget, max_wait_s=0.05).complete_all([ask("a"), ask("b")])
    assert budget.spent_tokens > 2000, "the worst case of what is under way counts as spent"
    endpoint.n_polls = 0
    assert texts(make_client().complete_all([ask("b"), ask("a")])) == ["reply to b", "reply to a"]
    assert endpoint.asked == {"a": 1, "b": 1}


def test_new_requests_are_submitted_beside_a_batch_that_is_under_way(endpoint, make_client):
    endpoint.endings.append("never")
    with pytest.raises(EndpointError):
        make_client(max_wait_s=0.01).complete_all([ask("a"), ask("b"), ask("c")])
    endpoint.batches["batch-0"]["ending"] = "completed"
    # Fewer rows than before: what is not wanted now is left for a later run.
    assert texts(make_client().complete_all([ask("b"), ask("new")])) == ["reply to b", "reply to new"]
    assert texts(make_client().complete_all([ask("a"), ask("c")])) == ["reply to a", "reply to c"]
    assert endpoint.asked == {"a": 1, "b": 1, "c": 1, "new": 1}
    assert endpoint.sizes == [3, 1]


def kill(*_args, **_more):
    os.kill(os.getpid(), signal.SIGKILL)


def run_and_be_killed(client, requests, where):
    """Runs in a process of its own, which is killed at a point that `where` names."""
    upload, create = batch_api.BatchApi.upload, batch_api.BatchApi.create
    put_many, put_batch = ReplyCache.put_many, ReplyCache.put_batch

    def done_then_killed(method):
        async def call(self, *args):
            await method(self, *args)
            kill()

        return call

    match where:
        case "before upload":
            batch_api.BatchApi.upload = kill
        case "after upload":
            batch_api.BatchApi.upload = done_then_killed(upload)
        case "before create":
            batch_api.BatchApi.create = kill
        case "after create":
            batch_api.BatchApi.create = done_then_killed(create)
        case "while waiting":
            batch_api.BatchApi.get = kill
        case "while collecting":
            batch_client._STORED_AT_ONCE = 3
            ReplyCache.put_many = lambda self, pairs: (put_many(self, pairs), kill())
        case "before closing":
            ReplyCache.put_batch = lambda self, row: kill() if row.state != "open" else put_batch(self, row)
    client.complete_all(requests)


@pytest.mark.parametrize(
    ("where", "n_batches_before"),
    [
        ("before upload", 0),
        ("after upload", 0),
        ("before create", 0),
        ("after create", 1),
        ("while waiting", 1),
        ("while collecting", 1),
        ("before closing", 1),
    ],
)
def test_kill_9_at_any_point_submits_nothing_twice_and_leaves_nothing_unasked(
    endpoint, make_client, tmp_path, where, n_batches_before
):
    requests = [ask(f"q{i}") for i in range(7)]
    # Forked, as starting Python afresh takes most of a second.
    process = multiprocessing.get_context("fork").Process(
        target=run_and_be_killed, args=(make_client(), requests, where), daemon=True
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert len(endpoint.batches) == n_batches_before
    replies = make_client().complete_all(requests)
    assert texts(replies) == [f"reply to q{i}" for i in range(7)]
    assert endpoint.asked == {f"q{i}": 1 for i in range(7)}
    assert endpoint.sizes == [7]
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        assert cache.open_batches(endpoint.base_url) == []


def test_runs_that_start_together_share_one_batch(endpoint, make_client):
    found = {}

    def run(name):
        found[name] = texts(make_client().complete_all([ask("a"), ask("b"), ask(name)]))

    threads = [threading.Thread(target=run, args=(name,)) for name in ("x", "y", "z")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: ["reply to a", "reply to b", f"reply to {name}"] for name in "xyz"}
    assert endpoint.asked == dict.fromkeys("abxyz", 1)


@pytest.mark.parametrize("ending", ["expired", "silent"])
def test_of_a_batch_that_ended_early_only_the_unanswered_requests_are_submitted_again(endpoint, make_client, ending):
    endpoint.endings.append(ending)
    endpoint.n_before_end = 2
    replies = make_client().complete_all([ask(f"q{i}") for i in range(5)])
    assert texts(replies) == [f"reply to q{i}" for i in range(5)]
    assert endpoint.sizes == [5, 3]
    assert endpoint.asked == {"q0": 1, "q1": 1, "q2": 2, "q3": 2, "q4": 2}


def test_a_request_that_no_batch_answers_fails_after_the_last_submission(endpoint, make_client):
    endpoint.endings.extend(["expired", "expired", "expired"])
    good, bad = make_client(max_submissions=3).complete_all([ask("q0"), ask("q1")])
    assert (good.error, bad.error) == (None, None)
    endpoint.endings.extend(["expired", "expired"])
    endpoint.n_before_end = 0
    budget = Budget()
    (reply,) = make_client(budget).complete_all([ask("q2")])
    assert reply.failure is Failed.TIMEOUT
    assert endpoint.asked["q2"] == 2
    assert budget.spent_usd == budget.spent_tokens == 0
    assert texts(make_client().complete_all([ask("q2")])) == ["reply to q2"]


@pytest.mark.parametrize(
    ("ending", "failure", "message", "n_answered"),
    [("failed", Failed.REQUEST_REFUSED, "line 1 is no request", 0), ("cancelled", Failed.NOT_SENT, "was cancelled", 1)],
)
def test_a_batch_that_was_refused_or_cancelled_is_left_to_the_next_run(
    endpoint, make_client, ending, failure, message, n_answered
):
    endpoint.endings.append(ending)
    replies = make_client().complete_all([ask("a"), ask("b")])
    assert [reply.failure for reply in replies] == [None] * n_answered + [failure] * (2 - n_answered)
    assert message in replies[1].error
    assert texts(make_client().complete_all([ask("a"), ask("b")])) == ["reply to a", "reply to b"]
    assert endpoint.sizes == [2, 2 - n_answered]


@pytest.mark.parametrize(
    ("statuses", "failure", "n_asked"),
    [([400], Failed.REQUEST_REFUSED, 1), ([429, 500], Failed.SERVER_ERROR, 2), ([500], None, 2)],
)
def test_a_single_refusal_is_the_failure_of_its_row_alone(endpoint, make_client, statuses, failure, n_asked):
    endpoint.refusals["bad"] = deque(statuses)
    good, bad = make_client().complete_all([ask("good"), ask("bad")])
    assert good.text == "reply to good"
    assert bad.failure is failure
    assert endpoint.asked == {"good": 1, "bad": n_asked}
    if failure is not None:
        assert "no such thing" in bad.error
        assert (bad.cost_usd, bad.prompt_tokens) == (0.0, 0)


def test_a_reply_of_another_form_is_asked_for_once_more_and_both_are_on_the_bill(endpoint, make_client):
    endpoint.answer = lambda messages: '{"score": 4}' if "could not be used" in messages[-1]["content"] else "four"
    budget = Budget()
    (reply,) = make_client(budget, max_tokens=50).complete_all([ask("a", SCHEMA)])
    assert (reply.text, reply.error, reply.attempts) == ('{"score": 4}', None, 2)
    assert (reply.prompt_tokens, reply.completion_tokens) == (200, 20)
    assert reply.cost_usd == pytest.approx(2 * 100e-6) == budget.spent_usd
    assert [body["max_tokens"] for body in endpoint.bodies] == [50, 100]
    endpoint.answer = lambda messages: "four"
    (reply,) = make_client().complete_all([ask("b", SCHEMA)])
    assert (reply.failure, reply.text, reply.attempts) == (Failed.INVALID_REPLY, "four", 2)
    assert endpoint.sizes == [1] * 4


def test_the_second_try_of_a_killed_run_is_found_too(endpoint, make_client):
    endpoint.answer = lambda messages: '{"score": 4}' if "could not be used" in messages[-1]["content"] else "four"
    endpoint.endings.extend(["completed", "never"])
    with pytest.raises(EndpointError, match="batch-1"):
        make_client(max_wait_s=0.2).complete_all([ask("a", SCHEMA)])
    endpoint.batches["batch-1"]["ending"] = "completed"
    (reply,) = make_client().complete_all([ask("a", SCHEMA)])
    assert (reply.text, reply.error) == ('{"score": 4}', None)
    assert endpoint.sizes == [1, 1]


def test_requests_go_in_as_many_batches_as_the_budget_has_room_for_at_once(endpoint, make_client):
    worst = 0.5 * (200 * 1e-6 + 50 * 10e-6)
    budget = Budget(BudgetSettings(max_cost_usd=3.5 * worst))
    replies = make_client(budget, max_tokens=50).complete_all([ask(f"q{i}") for i in range(8)])
    assert [reply.error for reply in replies] == [None] * 8
    assert len(endpoint.sizes) > 1
    assert budget.spent_usd == pytest.approx(8 * 100e-6)


def test_the_run_stops_at_the_cap_with_what_was_answered_kept(endpoint, make_client, tmp_path):
    budget = Budget(BudgetSettings(max_cost_usd=0.0008))
    with pytest.raises(BudgetExceededError, match="max_cost_usd"):
        make_client(budget, max_tokens=50).complete_all([ask(f"q{i}") for i in range(30)])
    assert budget.spent_usd <= 0.0008
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        n_kept = len(cache)
    assert n_kept == len(endpoint.asked) > 2
    make_client().complete_all([ask(f"q{i}") for i in range(30)])
    assert set(endpoint.asked.values()) == {1}


def test_a_batch_of_another_key_is_not_paid_for_again_unasked(endpoint, make_client):
    endpoint.endings.append("never")
    with pytest.raises(EndpointError):
        make_client(max_wait_s=0.01).complete_all([ask("a")])
    del endpoint.batches["batch-0"]
    with pytest.raises(EndpointError, match="submitted with another key"):
        make_client().complete_all([ask("a")])
    assert endpoint.asked == {"a": 1}


def test_a_jury_asks_batches_and_direct_endpoints_side_by_side(endpoint, make_client):
    replies = complete_side_by_side([(make_client(model=name), [ask("a")]) for name in ("one", "two")])
    assert [texts(found) for found in replies] == [["reply to a"], ["reply to a"]]
    assert sorted(body["model"] for body in endpoint.bodies) == ["one", "two"]


def test_batches_need_the_file_in_which_they_are_found_again():
    with pytest.raises(ValidationError, match="batch needs a cache_path"):
        EndpointSettings(base_url="http://x/v1", model="m", cache_path=None, batch=BatchSettings())


def test_an_endpoint_that_is_away_for_a_while_is_waited_for(endpoint, make_client):
    endpoint.faults["GET batch"] = deque(["reset"] * 5)
    assert texts(make_client(max_retries=1).complete_all([ask("a")])) == ["reply to a"]
    endpoint.faults["GET batch"] = deque(["reset"] * 50)
    with pytest.raises(EndpointError, match="failed 2 times at GET batches/batch-1"):
        make_client(max_retries=1, max_pause_s=0.05).complete_all([ask("b")])
    endpoint.faults.clear()
    assert texts(make_client().complete_all([ask("b")])) == ["reply to b"]
    assert endpoint.asked == {"a": 1, "b": 1}


def test_clients_that_share_a_tight_budget_wait_for_each_other_without_blocking(endpoint, make_client):
    worst = 0.5 * (200 * 1e-6 + 50 * 10e-6)
    budget = Budget(BudgetSettings(max_cost_usd=6 * worst))
    clients = [make_client(budget, model=name, max_tokens=50, max_requests_per_batch=1) for name in ("one", "two")]
    found = complete_side_by_side([(client, [ask(f"q{i}") for i in range(6)]) for client in clients])
    assert [texts(replies) for replies in found] == [[f"reply to q{i}" for i in range(6)]] * 2
    assert set(endpoint.asked.values()) == {2}
