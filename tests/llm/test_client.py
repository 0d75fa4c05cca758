import json
import time
from collections import Counter

import pytest

from steps.errors import BudgetExceededError, ConfigError, EndpointError
from steps.llm.budget import Budget, BudgetSettings
from steps.llm.cache import ReplyCache
from steps.llm.request import ChatRequest, Failed, request_key

SCHEMA = {
    "type": "object",
    "properties": {"rationale": {"type": "string"}, "score": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["rationale", "score"],
}


def ask(text, schema=None, sample=0):
    return ChatRequest([{"role": "user", "content": text}], schema, sample)


def test_replies_come_in_the_order_of_the_requests_and_carry_the_bill(endpoint, make_client):
    client = make_client(price_per_million_input_usd=1.0, price_per_million_output_usd=10.0)
    replies = client.complete_all([ask(f"q{i}") for i in range(40)])
    assert [reply.text for reply in replies] == [f"reply to q{i}" for i in range(40)]
    assert replies[0].model == "tiny-2026"
    assert replies[0].cost_usd == pytest.approx(100e-6 + 10 * 10e-6)
    assert client.spent_usd == pytest.approx(40 * 200e-6)
    assert endpoint.most_in_flight <= 16


def test_each_prompt_is_asked_once_over_two_runs_and_new_rows_alone_are_paid(endpoint, make_client):
    first = make_client().complete_all([ask("a"), ask("b"), ask("a")])
    assert [reply.cached for reply in first] == [False, False, True]
    second = make_client().complete_all([ask("a"), ask("b"), ask("c")])
    assert [reply.cached for reply in second] == [True, True, False]
    assert endpoint.asked == {"a": 1, "b": 1, "c": 1}
    assert second[0]._replace(cached=False) == first[0]


def test_samples_of_one_prompt_are_asked_and_kept_apart(endpoint, make_client):
    requests = [ask("a", sample=i) for i in range(3)]
    make_client(temperature=1.0).complete_all(requests)
    make_client(temperature=1.0).complete_all(requests)
    assert endpoint.asked == {"a": 3}


def test_another_address_of_the_same_model_uses_the_cache_but_other_sampling_does_not(endpoint, make_client):
    make_client().complete_all([ask("a")])
    moved = endpoint.base_url.replace("127.0.0.1", "localhost")
    assert make_client(base_url=moved).complete_all([ask("a")])[0].cached
    assert not make_client(temperature=0.5).complete_all([ask("a")])[0].cached


@pytest.mark.parametrize("fault", [(500, {}, "oops"), (503, {}, "busy"), (408, {}, ""), "reset", "not_json"])
def test_a_transport_fault_is_retried(endpoint, make_client, fault):
    endpoint.faults.append(fault)
    (reply,) = make_client().complete_all([ask("a")])
    assert reply.error is None
    assert reply.attempts == 2
    assert endpoint.asked == {"a": 2}


def test_a_hanging_request_times_out_and_is_retried(endpoint, make_client):
    endpoint.faults.append("hang")
    (reply,) = make_client(timeout_s=0.3).complete_all([ask("a")])
    assert (reply.error, reply.attempts) == (None, 2)


def test_retry_after_is_obeyed_by_all_requests(endpoint, make_client):
    endpoint.faults.append((429, {"Retry-After": "1"}, "slow down"))
    started = time.monotonic()
    replies = make_client(max_concurrency=1).complete_all([ask("a"), ask("b")])
    assert time.monotonic() - started >= 1.0
    assert [reply.error for reply in replies] == [None, None]


def test_an_endless_retry_after_is_cut_to_the_longest_wait(endpoint, make_client):
    endpoint.faults.append((429, {"Retry-After": "86400"}, "come back tomorrow"))
    (reply,) = make_client(max_wait_s=0.2).complete_all([ask("a")])
    assert reply.error is None


def test_a_request_that_keeps_failing_is_a_reply_with_its_error_and_is_asked_again_next_time(endpoint, make_client):
    endpoint.faults.extend([(500, {}, "the disk is full")] * 3)
    client = make_client(max_retries=2, max_concurrency=1)
    bad, good = client.complete_all([ask("a"), ask("b")])
    assert bad.failure is Failed.SERVER_ERROR
    assert "the disk is full" in bad.error
    assert bad.attempts == 3
    assert good.error is None
    again = make_client().complete_all([ask("a")])[0]
    assert (again.text, again.cached) == ("reply to a", False)


def test_an_exhausted_account_is_not_retried(endpoint, make_client):
    endpoint.faults.append((429, {}, "You exceeded your quota: insufficient_quota"))
    (reply,) = make_client().complete_all([ask("a")])
    assert (reply.failure, reply.attempts) == (Failed.RATE_LIMITED, 1)


def test_a_truncated_reply_is_asked_for_once_more_with_more_tokens(endpoint, make_client):
    endpoint.answer = lambda messages: json.dumps({"rationale": "clear", "score": 4})
    endpoint.faults.append("truncate")
    (reply,) = make_client(max_tokens=50).complete_all([ask("a", SCHEMA)])
    assert json.loads(reply.text)["score"] == 4
    assert [body["max_tokens"] for body in endpoint.bodies] == [50, 100]
    assert reply.completion_tokens == 20, "both answers are on the bill"


def test_a_reply_that_misses_the_schema_twice_is_an_error_with_the_text_kept(endpoint, make_client):
    endpoint.answer = lambda messages: '{"rationale": "fine", "score": "high"}'
    (reply,) = make_client().complete_all([ask("a", SCHEMA)])
    assert reply.failure is Failed.INVALID_REPLY
    assert "score is not of type integer" in reply.error
    assert "high" in reply.text
    assert len(endpoint.bodies) == 2
    assert "one JSON object" in endpoint.bodies[1]["messages"][-1]["content"]


def test_an_empty_reply_is_an_error(endpoint, make_client):
    endpoint.faults.extend(["null", "null"])
    (reply,) = make_client().complete_all([ask("a")])
    assert reply.failure is Failed.EMPTY_REPLY


def test_an_endpoint_without_json_schema_support_is_asked_without(endpoint, make_client):
    endpoint.refuses_schema = True
    endpoint.answer = lambda messages: '```json\n{"rationale": "fine", "score": 2}\n```'
    replies = make_client(max_concurrency=1).complete_all([ask(f"q{i}", SCHEMA) for i in range(3)])
    assert [reply.error for reply in replies] == [None] * 3
    assert ["response_format" in body for body in endpoint.bodies] == [False, False, False]
    assert len(endpoint.probes) == 2, "json_schema, then a tool"


def test_a_request_that_is_refused_the_schema_late_recovers_too(endpoint, make_client):
    endpoint.refuses_schema = True
    endpoint.faults.append("slow")
    endpoint.answer = lambda messages: '{"rationale": "fine", "score": 2}'
    replies = make_client(probe=False).complete_all([ask("slow", SCHEMA), ask("quick", SCHEMA)])
    assert [reply.error for reply in replies] == [None, None]


@pytest.mark.parametrize(("status", "says"), [(401, "refused the key"), (403, "refused the key"), (404, "not found")])
def test_a_refused_key_or_unknown_model_stops_at_once(endpoint, make_client, monkeypatch, status, says):
    monkeypatch.setenv("TUNESMITH_TEST_KEY", "sk-very-secret")
    endpoint.faults.extend([(status, {}, "Incorrect key sk-very-secret")] * 50)
    with pytest.raises(EndpointError, match=says) as caught:
        make_client(api_key_env="TUNESMITH_TEST_KEY").complete_all([ask(f"q{i}") for i in range(50)])
    assert "sk-very-secret" not in str(caught.value)
    assert "tiny" in str(caught.value)
    assert len(endpoint.bodies) <= 16


def test_the_key_is_sent_and_never_shown(endpoint, make_client, monkeypatch):
    monkeypatch.setenv("TUNESMITH_TEST_KEY", "sk-very-secret")
    client = make_client(api_key_env="TUNESMITH_TEST_KEY", max_retries=0, max_concurrency=1)
    endpoint.faults.extend([(500, {}, "sk-very-secret is broken")])
    (reply,) = client.complete_all([ask("a")])
    assert endpoint.keys == ["Bearer sk-very-secret"]
    assert "sk-very-secret" not in repr(reply)
    assert "sk-very-secret" not in repr(client.settings)


def test_a_missing_key_is_found_before_anything_is_sent(make_client, monkeypatch):
    monkeypatch.delenv("TUNESMITH_TEST_KEY", raising=False)
    with pytest.raises(ConfigError, match="TUNESMITH_TEST_KEY"):
        make_client(api_key_env="TUNESMITH_TEST_KEY")


def test_an_endpoint_that_is_not_there_stops_the_run(make_client):
    with pytest.raises(EndpointError, match="cannot be reached"):
        make_client(base_url="http://127.0.0.1:9/v1", max_retries=1).complete_all([ask("a")])


def test_the_budget_stops_before_it_is_overrun_and_what_was_paid_for_is_kept(endpoint, make_client):
    prices = {"price_per_million_input_usd": 1.0, "price_per_million_output_usd": 10.0}
    budget = Budget(BudgetSettings(max_cost_usd=0.003))
    client = make_client(budget, **prices, max_tokens=100, max_concurrency=4)
    with pytest.raises(BudgetExceededError, match=r"max_cost_usd=0\.003"):
        client.complete_all([ask(f"q{i}") for i in range(50)])
    n_paid = len(endpoint.bodies)
    assert 0 < budget.spent_usd == client.spent_usd <= 0.003
    assert n_paid == round(client.spent_usd / 200e-6)
    replies = make_client(**prices).complete_all([ask(f"q{i}") for i in range(50)])
    assert sum(reply.cached for reply in replies) == n_paid
    assert max(endpoint.asked.values()) == 1


def test_a_tight_budget_sends_fewer_at_once_rather_than_stop(endpoint, make_client):
    endpoint.latency_s = 0.02
    prices = {"price_per_million_input_usd": 0.0, "price_per_million_output_usd": 10.0}
    # Each call could cost $0.001 and does cost $0.0001: ten fit one after the other, three at once never do.
    budget = Budget(BudgetSettings(max_cost_usd=0.002))
    client = make_client(budget, **prices, max_tokens=100, max_concurrency=8)
    replies = client.complete_all([ask(f"q{i}") for i in range(10)])
    assert all(reply.error is None for reply in replies)
    assert endpoint.most_in_flight <= 2


def test_a_reply_without_usage_is_charged_at_its_worst_case(endpoint, make_client):
    endpoint.faults.append("no_usage")
    client = make_client(price_per_million_input_usd=0.0, price_per_million_output_usd=10.0, max_tokens=100)
    client.complete_all([ask("a")])
    assert client.spent_usd == pytest.approx(0.001)


def test_under_mixed_faults_every_row_is_accounted_for_and_none_is_asked_more_often_than_allowed(endpoint, make_client):
    endpoint.answer = lambda messages: '{"rationale": "fine", "score": 2}'
    kinds = ["reset", "hang", "truncate", "not_json", "cut_off", "null", (500, {}, "oops"), (429, {}, "slow down")]
    endpoint.faults.extend(kinds[i * 7 % len(kinds)] if i % 2 else "none" for i in range(240))
    client = make_client(max_retries=2, timeout_s=0.3, max_concurrency=16, breaker_failures=40)
    replies = client.complete_all([ask(f"q{i}.", SCHEMA) for i in range(100)])
    asked = Counter()
    for content, n in endpoint.asked.items():
        asked[content.partition(".")[0]] += n
    assert max(asked.values()) <= 4, "two retries and one second try"
    assert asked == {f"q{i}": reply.attempts for i, reply in enumerate(replies)}
    for reply in replies:
        assert reply.error is None or reply.failure in set(Failed)
        assert reply.error is not None or json.loads(reply.text)["score"] == 2
    assert sum(reply.error is None for reply in replies) > 80
    asked_before = sum(endpoint.asked.values())
    endpoint.faults.clear()
    again = make_client().complete_all([ask(f"q{i}.", SCHEMA) for i in range(100)])
    assert [reply.cached for reply in again] == [reply.error is None for reply in replies]
    assert sum(endpoint.asked.values()) - asked_before == sum(reply.error is not None for reply in replies)


def test_prompt_tokens_from_the_endpoints_own_cache_have_a_price_of_their_own(endpoint, make_client):
    endpoint.usage |= {"prompt_tokens_details": {"cached_tokens": 80}}
    endpoint.usage |= {"completion_tokens_details": {"reasoning_tokens": 9}}
    prices = {"price_per_million_input_usd": 10.0, "price_per_million_output_usd": 100.0}
    client = make_client(**prices, price_per_million_cached_input_usd=1.0)
    (reply,) = client.complete_all([ask("a")])
    assert reply.cost_usd == pytest.approx((20 * 10 + 80 * 1 + 10 * 100) / 1e6)
    assert client.spent_usd == pytest.approx(reply.cost_usd)
    assert (reply.prompt_tokens, reply.completion_tokens) == (100, 10)


def test_an_entry_of_an_earlier_version_is_read(make_client, tmp_path):
    client = make_client()
    old = {"text": "old", "model": "m", "prompt_tokens": 1, "completion_tokens": 1, "cost_usd": None, "latency_s": 0.1}
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        cache.put(request_key(ask("a"), client.settings), {**old, "attempts": 1})
    (reply,) = client.complete_all([ask("a")])
    assert (reply.text, reply.cached, reply.finish_reason, reply.logprobs) == ("old", True, None, None)


def test_further_headers_come_from_the_environment_and_are_never_shown(endpoint, make_client, monkeypatch):
    monkeypatch.setenv("TUNESMITH_TEST_HEADER", "header-secret")
    endpoint.faults.append((500, {}, "header-secret is broken"))
    client = make_client(extra_headers_env={"api-key": "TUNESMITH_TEST_HEADER"}, max_retries=0)
    (reply,) = client.complete_all([ask("a")])
    assert endpoint.headers[0]["api-key"] == "header-secret"
    assert "header-secret" not in reply.error
    monkeypatch.delenv("TUNESMITH_TEST_HEADER")
    with pytest.raises(ConfigError, match=r"extra_headers_env\.api-key=TUNESMITH_TEST_HEADER"):
        make_client(extra_headers_env={"api-key": "TUNESMITH_TEST_HEADER"})


def test_a_redirect_is_refused_rather_than_followed_with_the_key(endpoint, make_client, monkeypatch):
    monkeypatch.setenv("TUNESMITH_TEST_KEY", "sk-very-secret")
    endpoint.faults.append((307, {"Location": "http://127.0.0.1:9/elsewhere"}, "moved"))
    (reply,) = make_client(api_key_env="TUNESMITH_TEST_KEY").complete_all([ask("a")])
    assert (reply.failure, reply.attempts) == (Failed.REQUEST_REFUSED, 1)


def test_many_more_requests_than_are_looked_up_at_once(endpoint, make_client):
    make_client(max_concurrency=64).complete_all([ask(f"q{i}") for i in range(0, 700, 2)])
    replies = make_client(max_concurrency=64).complete_all([ask(f"q{i % 700}") for i in range(1400)])
    assert [reply.text for reply in replies] == [f"reply to q{i % 700}" for i in range(1400)]
    assert [reply.cached for reply in replies] == [i >= 700 or i % 2 == 0 for i in range(1400)]
    assert set(endpoint.asked.values()) == {1}


def test_it_works_inside_a_running_event_loop(make_client):
    import asyncio

    async def inside():
        return make_client().complete_all([ask("a")])

    assert asyncio.run(inside())[0].text == "reply to a"
