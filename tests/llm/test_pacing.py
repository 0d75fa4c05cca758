import asyncio
import time

import pytest

from steps.errors import EndpointError
from steps.llm.breaker import Breaker
from steps.llm.endpoint import EndpointSettings
from steps.llm.pacing import Health, Pacing
from steps.llm.rates import Rate, Rates, Ticket
from steps.llm.request import ChatRequest, Failed


def ask(text):
    return ChatRequest([{"role": "user", "content": text}])


def settings(**changes):
    return EndpointSettings(base_url="http://x/v1", model="m", **changes)


def sent_in_a_row(rate, amount, until):
    """Send as soon as allowed; return the times."""
    now, times = 0.0, []
    while now < until:
        now += rate.wait_s(now)
        rate.take(now, amount)
        times.append(now)
    return times


@pytest.mark.parametrize("per_minute", [1.0, 60.0, 6000.0])
def test_no_minute_sees_more_than_the_limit(per_minute):
    times = sent_in_a_row(Rate(per_minute), 1.0, 200.0)
    for start in times[:: max(1, len(times) // 50)]:
        assert sum(start <= time < start + 60 for time in times) <= per_minute + 1
    assert len(times) >= 3 * per_minute


def test_what_was_estimated_too_high_is_given_back():
    rate = Rate(61.0)
    rate.take(0.0, 30.0)
    assert rate.wait_s(0.0) == pytest.approx(29.0)
    rate.correct(-25.0)
    assert rate.wait_s(0.0) == pytest.approx(4.0)


def test_the_estimate_of_tokens_learns_from_the_replies():
    rates = Rates(settings(tokens_per_minute=1000))
    estimates = []
    for _ in range(200):
        estimated = rates.take(0.0, 400, 1024)
        estimates.append(estimated)
        rates.settle(_ticket(400, estimated), 80, 20)
    assert estimates[0] == 400 / 4 + 1024
    assert estimates[-1] == pytest.approx(100, rel=0.05)


def _ticket(prompt_bytes, estimated):
    return Ticket(0.0, prompt_bytes, estimated, False)


@pytest.mark.parametrize(("overloaded", "limit"), [(64, 32), (32, 48), (3, 64)])
def test_the_limit_falls_by_half_the_share_of_overloads_and_comes_back(overloaded, limit):
    async def main():
        pacing = Pacing(settings(max_concurrency=64, breaker_failures=None), Rates(settings()))
        tickets = [await pacing.enter(10, 10) for _ in range(64)]
        for i, ticket in enumerate(tickets):
            pacing.leave(ticket, Health.OVERLOADED if i < overloaded else Health.ANSWERED)
        after_cut = pacing.limit
        windows = 0
        while pacing.limit < 64:
            windows += 1
            for ticket in [await pacing.enter(10, 10) for _ in range(int(pacing.limit))]:
                pacing.leave(ticket, Health.ANSWERED)
        return after_cut, windows

    after_cut, windows = asyncio.run(main())
    assert after_cut == limit
    assert windows == (64 - limit) / 4


def test_what_was_sent_before_a_cut_does_not_cut_again():
    async def main():
        pacing = Pacing(settings(max_concurrency=8, breaker_failures=None), Rates(settings()))
        tickets = [await pacing.enter(10, 10) for _ in range(8)]
        pacing.limit = 4.0
        for ticket in tickets:
            pacing.leave(ticket, Health.OVERLOADED)
        return pacing.limit

    assert asyncio.run(main()) == 2.0, "four attempts are a window; the other four were sent too early"


def test_a_single_overload_holds_up_its_own_request_only_and_a_row_of_them_all(endpoint, make_client):
    make_client().complete_all([ask("warm")])
    endpoint.faults.append((429, {"Retry-After": "1"}, "slow down"))
    client = make_client(max_concurrency=2)
    started = time.monotonic()
    replies = client.complete_all([ask(f"q{i}") for i in range(20)])
    assert sorted(reply.attempts for reply in replies) == [1] * 19 + [2]
    assert sum(reply.latency_s >= 1 for reply in replies) == 1
    assert time.monotonic() - started >= 1
    endpoint.faults.extend([(429, {"Retry-After": "1"}, "slow down")] * 3)
    asked_before = len(endpoint.bodies)
    started = time.monotonic()
    client = make_client(max_concurrency=4)
    replies = client.complete_all([ask(f"r{i}") for i in range(20)])
    assert [reply.error for reply in replies] == [None] * 20
    assert len(endpoint.bodies) - asked_before == 23
    # All but those under way at the third one waited.
    assert sum(reply.latency_s < 0.5 for reply in replies) >= 10
    assert time.monotonic() - started >= 1


def test_an_open_breaker_lets_one_request_try_and_closes_when_it_is_answered():
    breaker = Breaker(settings(breaker_failures=3, breaker_pause_s=10))
    for _ in range(3):
        assert breaker.wait_s(0.0) == 0.0
        assert not breaker.take()
    for _ in range(3):
        breaker.failed(0.0, False, "500", False)
    assert 10 <= breaker.wait_s(0.0) <= 11
    assert breaker.wait_s(11.0) == 0.0
    assert breaker.take(), "the trial"
    assert breaker.wait_s(11.0) == float("inf")
    breaker.failed(11.0, True, "500", False)
    assert 20 <= breaker.wait_s(11.0) <= 22, "twice as long"
    assert breaker.take()
    breaker.alive()
    assert breaker.wait_s(31.0) == 0.0


def test_failures_with_answers_between_them_pause_nothing():
    breaker = Breaker(settings(breaker_failures=3))
    for _ in range(10):
        breaker.failed(0.0, False, "500", False)
        breaker.failed(0.0, False, "500", False)
        breaker.alive()
    assert breaker.wait_s(0.0) == 0.0


def test_an_outage_burns_no_attempts_and_is_survived(endpoint, make_client):
    endpoint.down_until = time.monotonic() + 0.8
    client = make_client(max_concurrency=8, max_retries=5, backoff_s=0.01, breaker_failures=8, breaker_pause_s=0.05)
    replies = client.complete_all([ask(f"q{i}") for i in range(30)])
    assert [reply.error for reply in replies] == [None] * 30
    # Eight failures open it, those under way may join them, and then one at a time tries.
    assert sum(reply.attempts for reply in replies) - 30 <= 8 + 8 + 6


def test_an_outage_without_end_stops_the_run_with_all_replies_kept(endpoint, make_client):
    make_client().complete_all([ask("q0")])
    endpoint.faults.extend([(503, {}, "overloaded")] * 1000)
    client = make_client(max_retries=20, backoff_s=0.001, breaker_failures=4, breaker_pause_s=0.01, max_pause_s=0.1)
    with pytest.raises(EndpointError, match=r"over pauses of .*max_pause_s=0\.1.*overloaded.*only the rest"):
        client.complete_all([ask(f"q{i}") for i in range(30)])
    assert len(endpoint.bodies) < 50
    endpoint.faults.clear()
    assert make_client().complete_all([ask("q0")])[0].cached


def test_a_date_is_a_retry_after_too(endpoint, make_client):
    from email.utils import formatdate

    endpoint.faults.append((429, {"Retry-After": formatdate(time.time() + 2, usegmt=True)}, "later"))
    started = time.monotonic()
    (reply,) = make_client().complete_all([ask("a")])
    assert reply.error is None
    assert 0.9 <= time.monotonic() - started <= 3.0, "a date has whole seconds"


def test_requests_per_minute_are_kept(endpoint, make_client):
    # 25 a second after the first second's worth.
    client = make_client(requests_per_minute=25 * 61, max_concurrency=50)
    started = time.monotonic()
    client.complete_all([ask(f"q{i}") for i in range(40)])
    assert time.monotonic() - started >= 0.5
    client.complete_all([ask(f"r{i}") for i in range(25)])
    assert time.monotonic() - started >= 1.5, "the next run of the same client keeps to the same pace"


def test_tokens_per_minute_are_kept_by_what_the_endpoint_counts(endpoint, make_client):
    # 1,100 tokens a second: ten requests of 110 tokens, which were at first taken for 1,024 and more.
    client = make_client(tokens_per_minute=1100 * 61, max_concurrency=4)
    started = time.monotonic()
    client.complete_all([ask(f"q{i}") for i in range(20)])
    assert 0.7 <= time.monotonic() - started <= 4.0


def test_requests_of_a_stopped_run_are_told_so():
    async def main():
        pacing = Pacing(settings(max_concurrency=1), Rates(settings()))
        first = await pacing.enter(1, 1)
        waiting = [asyncio.create_task(pacing.enter(1, 1)) for _ in range(3)]
        await asyncio.sleep(0)
        pacing.stop()
        return first, await asyncio.gather(*waiting)

    first, others = asyncio.run(main())
    assert first is not None
    assert others == [None, None, None]


def test_an_endpoint_that_hangs_gives_its_places_back(endpoint, make_client):
    endpoint.faults.extend(["hang", "drip", "hang"])
    client = make_client(max_concurrency=2, timeout_s=0.4, first_byte_timeout_s=0.2)
    replies = client.complete_all([ask(f"q{i}") for i in range(6)])
    assert [reply.error for reply in replies] == [None] * 6
    assert sum(reply.attempts for reply in replies) == 9


def test_silence_and_lost_connections_are_told_apart(endpoint, make_client):
    make_client().complete_all([ask("warm")])
    endpoint.faults.extend(["hang", "cut_off", "hang"])
    client = make_client(max_concurrency=1, max_retries=0, timeout_s=5.0, first_byte_timeout_s=0.1)
    silent, lost = client.complete_all([ask("a"), ask("b")])
    assert (silent.failure, lost.failure) == (Failed.TIMEOUT, Failed.CONNECTION_FAILED)
    assert "first_byte_timeout_s=0.1" in silent.error
