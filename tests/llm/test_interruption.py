import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from steps.errors import InputError
from steps.llm.cache import ReplyCache
from steps.llm.request import ChatRequest
from steps.llm.writer import ReplyWriter

SCRIPT = (
    "import sys; from steps.llm.client import ChatClient; from steps.llm.endpoint import EndpointSettings;"
    "from steps.llm.request import ChatRequest;"
    "ChatClient(EndpointSettings.model_validate_json(sys.argv[1])).complete_all("
    "[ChatRequest([{'role': 'user', 'content': f'q{i}'}]) for i in range(300)])"
)


def ask(text):
    return ChatRequest([{"role": "user", "content": text}])


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -9)]
)
def test_an_interrupted_run_keeps_all_that_came_in(endpoint, make_client, sent, status):
    endpoint.latency_s = 0.02
    answered = Counter()

    def answer(messages):
        answered[messages[-1]["content"]] += 1
        return "fine"

    endpoint.answer = answer
    settings = make_client(max_concurrency=4).settings
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, settings.model_dump_json()], stderr=subprocess.PIPE, text=True
    )
    while len(answered) < 60:
        time.sleep(0.005)
    os.kill(process.pid, sent)
    process.communicate(timeout=20)
    assert process.returncode == status
    endpoint.latency_s = 0.0
    replies = make_client().complete_all([ask(f"q{i}") for i in range(300)])
    assert all(reply.text == "fine" for reply in replies)
    assert sum(reply.cached for reply in replies) >= 56
    assert sum(answered.values()) <= 304, "only what was on its way is asked twice"


@contextmanager
def held(path):
    """Hold the file as a slow disk, or another writer, would."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_waits_for_the_disk(endpoint, make_client, tmp_path, sent):
    make_client().complete_all([ask("warm")])
    settings = make_client(max_concurrency=4).settings
    with held(tmp_path / "replies.sqlite"):
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, settings.model_dump_json()], stderr=subprocess.PIPE, text=True
        )
        while len(endpoint.bodies) < 5:  # the one that warmed up, and a request of each worker
            time.sleep(0.005)
        time.sleep(0.3)
        assert len(endpoint.bodies) == 5, "nothing more is asked for while what was paid for is not stored"
        os.kill(process.pid, sent)
        time.sleep(0.3)
    process.communicate(timeout=20)
    asked = list(endpoint.asked)
    assert all(reply.cached for reply in make_client().complete_all([ask(text) for text in asked]))


def test_no_reply_is_handed_out_before_it_is_stored(make_client, tmp_path):
    make_client().complete_all([ask("warm")])
    with ThreadPoolExecutor() as pool:
        with held(tmp_path / "replies.sqlite"):
            replies = pool.submit(make_client().complete_all, [ask("a")])
            with pytest.raises(TimeoutError):
                replies.result(timeout=0.5)
        assert replies.result(timeout=10)[0].error is None
    assert make_client().complete_all([ask("a")])[0].cached


def test_what_is_handed_over_is_stored_though_nobody_waits_for_it_any_longer(tmp_path):
    async def put_and_leave(cache):
        writer = ReplyWriter(cache)
        puts = [asyncio.ensure_future(writer.put(f"k{i}", {"text": str(i)})) for i in range(3000)]
        await asyncio.sleep(0)
        for put in puts:
            put.cancel()
        await asyncio.to_thread(writer.close)

    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        asyncio.run(put_and_leave(cache))
        assert len(cache) == 3000
        assert cache.get("k2999") == {"text": "2999"}


def test_a_cache_that_cannot_be_written_stops_the_run_before_more_is_paid_for(endpoint, make_client, tmp_path):
    make_client().complete_all([ask("warm")])
    with sqlite3.connect(tmp_path / "replies.sqlite") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON replies BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    db.close()
    endpoint.latency_s = 0.01
    with pytest.raises(InputError, match="disk is full"):
        make_client(max_concurrency=2).complete_all([ask(f"q{i}") for i in range(100)])
    assert len(endpoint.bodies) < 10
