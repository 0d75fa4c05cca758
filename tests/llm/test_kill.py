"""What was paid for is never paid for again, whatever ends the run; counted by the endpoint, not by us."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.llm_stub import Stub
from steps.llm.cache import ReplyCache
from steps.llm.client import ChatClient
from steps.llm.endpoint import EndpointSettings
from steps.llm.request import request_key
from tests.llm.judging_child import N_ROWS, request, requests

CHILD = Path(__file__).with_name("judging_child.py")
CONCURRENCY = 32
#: The kill falls when this many were answered.
KILLED_AFTER = 400


@pytest.fixture(scope="module")
def stub():
    with Stub(latency_s=0.02) as running:
        yield running


@pytest.fixture(scope="module")
def settings(stub, tmp_path_factory):
    return EndpointSettings(
        base_url=stub.base_url,
        model="judge",
        max_concurrency=CONCURRENCY,
        cache_path=str(tmp_path_factory.mktemp("kill") / "replies.sqlite"),
    )


def judged(stub):
    """Attempts and answers by row. Probes of the endpoint are prompts too, but of no row."""
    return {int(mark): each for mark, each in stub.prompts().items() if mark.isdigit()}


def kept(settings):
    """Rows whose reply is in the cache file."""
    with ReplyCache(Path(settings.cache_path)) as cache:
        return {row for row in range(N_ROWS) if cache.get(request_key(request(row), settings)) is not None}


def run_until_killed(stub, settings):
    process = subprocess.Popen([sys.executable, str(CHILD), settings.model_dump_json()])
    while stub.stats()["answers"] < KILLED_AFTER:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    while stub.stats()["in_flight"]:
        time.sleep(0.005)


def run_to_end(settings):
    done = subprocess.run([sys.executable, str(CHILD), settings.model_dump_json()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [int(count) for count in done.stdout.split()]


@pytest.fixture(scope="module")
def interrupted(stub, settings):
    """A run that was killed and one that ended: the rows kept at the kill, what the stub counted then and at last."""
    run_until_killed(stub, settings)
    kept_at_kill, at_kill = kept(settings), judged(stub)
    answered, from_cache = run_to_end(settings)
    return kept_at_kill, at_kill, judged(stub), answered, from_cache


def test_a_killed_run_had_kept_all_but_what_was_in_flight(interrupted):
    kept_at_kill, at_kill, *_ = interrupted
    answered = {row for row, each in at_kill.items() if each["answers"]}
    assert 0 < len(kept_at_kill) < N_ROWS
    assert kept_at_kill <= answered
    assert len(at_kill.keys() - kept_at_kill) <= CONCURRENCY


def test_the_next_run_asks_for_each_row_that_was_not_kept_and_for_no_other(interrupted):
    kept_at_kill, at_kill, at_last, answered, from_cache = interrupted
    assert (answered, from_cache) == (N_ROWS, len(kept_at_kill))
    assert at_last.keys() == set(range(N_ROWS))
    for row, each in at_last.items():
        asked_before = at_kill.get(row, {"attempts": 0})["attempts"]
        assert each["attempts"] == asked_before + (row not in kept_at_kill)


def test_no_row_is_lost_and_only_those_in_flight_are_answered_twice(interrupted, settings):
    kept_at_kill, at_kill, at_last, *_ = interrupted
    assert all(each["answers"] >= 1 for each in at_last.values())
    twice = {row for row, each in at_last.items() if each["answers"] > 1}
    assert twice <= at_kill.keys() - kept_at_kill
    assert len(twice) <= CONCURRENCY
    assert max(each["answers"] for each in at_last.values()) <= 2
    assert kept(settings) == set(range(N_ROWS))


def test_a_rubric_changed_for_half_of_the_rows_asks_for_that_half_alone(stub, settings, interrupted):
    stub.reset()
    half = range(0, N_ROWS, 2)
    replies = ChatClient(settings).complete_all(requests(changed=half))
    assert {row for row, reply in enumerate(replies) if not reply.cached} == set(half)
    assert judged(stub) == {row: {"attempts": 1, "answers": 1} for row in half}
    assert all(reply.error is None for reply in replies)
