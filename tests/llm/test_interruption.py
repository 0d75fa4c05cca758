import os
import signal
import subprocess
import sys
import time
from collections import Counter

import pytest

from steps.llm.cache import ReplyCache
from steps.llm.request import ChatRequest
from steps.llm.writer import ReplyWriter

SCRIPT = (
    "import sys; from steps.llm.client import ChatClient; from steps.llm.endpoint import EndpointSettings;"
    "from steps.llm.request import ChatRequest;"
    "ChatClient(EndpointSettings.model_validate_json(sys.argv[1])).complete_all("
    "[ChatRequest([{'role': 'user', 'content': f'q{i}'}]) for i in range(300)])"
)


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
    replies = make_client().complete_all([ChatRequest([{"role": "user", "content": f"q{i}"}]) for i in range(300)])
    assert all(reply.text == "fine" for reply in replies)
    assert sum(reply.cached for reply in replies) >= 56
    assert sum(answered.values()) <= 304, "only what was on its way is asked twice"


def test_what_is_handed_over_is_stored_when_the_writer_is_closed(tmp_path):
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        writer = ReplyWriter(cache)
        for i in range(3000):
            writer.put(f"k{i}", {"text": str(i)})
        writer.close()
        assert len(cache) == 3000
        assert cache.get("k2999") == {"text": "2999"}


def test_a_cache_that_cannot_be_written_stops_the_run_before_more_is_paid_for(endpoint, make_client, tmp_path):
    import sqlite3

    from steps.errors import InputError

    make_client().complete_all([ChatRequest([{"role": "user", "content": "warm"}])])
    with sqlite3.connect(tmp_path / "replies.sqlite") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON replies BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    db.close()
    endpoint.latency_s = 0.01
    with pytest.raises(InputError, match="disk is full"):
        make_client(max_concurrency=2).complete_all(
            [ChatRequest([{"role": "user", "content": f"q{i}"}]) for i in range(100)]
        )
    assert len(endpoint.bodies) < 10
