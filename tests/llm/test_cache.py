import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import zlib

import pytest

from steps.errors import InputError
from steps.llm.cache import VERSION, BatchRow, ReplyCache
from steps.llm.request import ChatRequest, Reply

#: Prints the key of each reply that is stored, for ever.
ENDLESS_WRITER = """
import sys
from pathlib import Path
from steps.llm.cache import ReplyCache
with ReplyCache(Path(sys.argv[1])) as cache:
    for i in range(1_000_000):
        cache.put(str(i), {"text": "x" * 1000, "model": "m", "cost_usd": 0.5})
        print(i, flush=True)
"""
#: Dies inside of a transaction that has written.
INTERRUPTED_WRITER = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
db.execute("INSERT INTO replies (key, reply) VALUES ('half', '{}')")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_reply_survives_reopening(tmp_path):
    with ReplyCache(tmp_path / "deep" / "replies.sqlite") as cache:
        cache.put("k", {"text": "grüße \ud83d", "cost_usd": 0.25})
    with ReplyCache(tmp_path / "deep" / "replies.sqlite") as cache:
        assert cache.get("k") == {"text": "grüße \ud83d", "cost_usd": 0.25}
        assert cache.get("other") is None


def test_the_first_reply_stands(tmp_path):
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        cache.put("k", {"text": "first"})
        cache.put("k", {"text": "second"})
        assert cache.get("k") == {"text": "first"}
        assert len(cache) == 1


def test_several_writers_share_one_file(tmp_path):
    path = tmp_path / "replies.sqlite"

    def write(writer):
        with ReplyCache(path) as cache:
            for i in range(50):
                cache.put(f"{writer}-{i}", {"text": "x"})

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ReplyCache(path) as cache:
        assert len(cache) == 200


def test_a_file_that_is_no_cache_is_refused_with_its_name(tmp_path):
    path = tmp_path / "replies.sqlite"
    path.write_bytes(b"this is no database at all, but long enough to be looked at" * 20)
    with pytest.raises(InputError, match=r"replies\.sqlite is not a usable reply cache"):
        ReplyCache(path)


def test_many_replies_are_read_and_written_at_once_and_become_replies_again(tmp_path):
    reply = Reply(
        "a " * 800, "m", 3, 4, None, 0.5, 1, False, None, "stop", [{"token": "a", "logprob": -0.5, "top": []}]
    )
    fields = {name: value for name, value in reply._asdict().items() if name not in {"cached", "error"}}
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        cache.put_many((str(i), {**fields, "prompt_tokens": i}) for i in range(1200))
        found = cache.get_many([*map(str, range(1100, 1300)), "1100"])
    assert sorted(found, key=int) == [str(i) for i in range(1100, 1200)]
    assert Reply(**found["1150"], cached=False, error=None) == reply._replace(prompt_tokens=1150)


def test_of_replies_that_are_put_together_all_are_kept_or_none(tmp_path):
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        with pytest.raises(InputError):
            cache.put_many([("a", {"text": "fine"}), ("b", {"text": "no price", "cost_usd": ["not a number"]})])
        assert len(cache) == 0
        cache.put("c", {"text": "goes on"})
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        assert len(cache) == 1


def test_kill_9_loses_nothing_that_was_put(tmp_path):
    path = tmp_path / "replies.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", ENDLESS_WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    lines = [writer.stdout.readline() for _ in range(300)]
    writer.send_signal(signal.SIGKILL)
    lines += writer.stdout.readlines()
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    with ReplyCache(path) as cache:
        put = [line.strip() for line in lines if line.endswith("\n")]
        assert len(cache.get_many(put)) == len(put) >= 300


def test_a_writer_that_died_in_a_transaction_leaves_no_trace_and_no_lock(tmp_path):
    path = tmp_path / "replies.sqlite"
    with ReplyCache(path) as cache:
        cache.put("whole", {"text": "x"})
        done = subprocess.run([sys.executable, "-c", INTERRUPTED_WRITER, str(path)], check=False)
        assert done.returncode == -signal.SIGKILL
        cache.put("after", {"text": "x"})
        assert set(cache.get_many(["whole", "half", "after"])) == {"whole", "after"}


def test_processes_that_open_a_new_file_at_once_all_get_it(tmp_path):
    path = tmp_path / "replies.sqlite"
    start = threading.Barrier(8)
    failed = []

    def open_and_put(i):
        start.wait()
        try:
            with ReplyCache(path) as cache:
                cache.put(str(i), {"text": "x"})
        except InputError as error:
            failed.append(error)

    threads = [threading.Thread(target=open_and_put, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    with ReplyCache(path) as cache:
        assert len(cache) == 8


def test_threads_that_share_a_cache_do_not_share_a_transaction(tmp_path):
    with ReplyCache(tmp_path / "replies.sqlite") as cache:

        def write(writer):
            for i in range(40):
                cache.put_many([(f"{writer}-{i}-{j}", {"text": "x"}) for j in range(3)])
                cache.get_many([f"{writer}-{i}-0"])

        threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(cache) == 480


def old_file(path):
    """A file as the first Tunesmith wrote it."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE replies (key TEXT PRIMARY KEY, reply BLOB NOT NULL)")
    reply = json.dumps({"text": "old", "model": "m", "cost_usd": 0.25}).encode()
    db.execute("INSERT INTO replies VALUES ('k', ?)", (zlib.compress(reply),))
    db.commit()
    db.close()


def test_an_old_file_is_read_on_and_counted(tmp_path):
    old_file(tmp_path / "replies.sqlite")
    for _ in range(2):
        with ReplyCache(tmp_path / "replies.sqlite") as cache:
            assert cache.get("k")["text"] == "old"
            assert cache.summary()["models"] == {"m": {"replies": 1, "cost_usd": 0.25}}


def test_a_file_of_a_newer_tunesmith_is_refused(tmp_path):
    path = tmp_path / "replies.sqlite"
    ReplyCache(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={VERSION + 1}")
    db.close()
    with pytest.raises(InputError, match="newer Tunesmith"):
        ReplyCache(path)


def test_a_database_of_another_program_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "replies.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE customers (name TEXT)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"another program .* customers"):
        ReplyCache(path)
    assert path.read_bytes() == before


def test_damage_is_an_error_that_names_the_file_and_not_a_reply_to_be_paid_again(tmp_path):
    path = tmp_path / "replies.sqlite"
    with ReplyCache(path) as cache:
        cache.put_many((str(i), {"text": os.urandom(600).hex()}) for i in range(200))
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with ReplyCache(path) as cache, pytest.raises(InputError, match=r"replies\.sqlite is not a usable reply cache"):
        cache.get_many(map(str, range(200)))


def test_a_damaged_entry_is_named(tmp_path):
    path = tmp_path / "replies.sqlite"
    with ReplyCache(path) as cache:
        cache.put("k", {"text": "x"})
        db = sqlite3.connect(path)
        db.execute("UPDATE replies SET reply = x'789c00'")
        db.commit()
        db.close()
        with pytest.raises(InputError, match="entry k is damaged"):
            cache.get("k")


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot be opened .* name a file in a writable folder"):
        ReplyCache(tmp_path / "file" / "replies.sqlite")


def test_what_the_file_holds_is_told_per_model_also_to_plain_sqlite(tmp_path):
    path = tmp_path / "replies.sqlite"
    with ReplyCache(path) as cache:
        assert cache.summary()["replies"] == 0
        cache.put_many((f"a{i}", {"text": "x", "model": "large", "cost_usd": 0.5}) for i in range(3))
        cache.put("b", {"text": "x", "model": "local", "cost_usd": None})
        found = cache.summary()
        assert found["models"] == {
            "large": {"replies": 3, "cost_usd": 1.5},
            "local": {"replies": 1, "cost_usd": None},
        }
        assert found["replies"] == 4
        assert found["bytes"] >= path.stat().st_size > 0
    db = sqlite3.connect(path)
    assert db.execute("SELECT * FROM spending ORDER BY model").fetchall() == [("large", 3, 1.5), ("local", 1, None)]
    db.close()


def test_the_last_probe_stands(tmp_path):
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        assert cache.get_probe("endpoint") is None
        cache.put_probe("endpoint", {"logprobs": False})
        cache.put_probe("endpoint", {"logprobs": True})
        assert cache.get_probe("endpoint") == {"logprobs": True}


def test_batches_are_found_by_endpoint_until_they_are_closed_oldest_first(tmp_path):
    path = tmp_path / "replies.sqlite"
    first, second = BatchRow("t1", "here", ["a", "b"]), BatchRow("t2", "here", ["c"], "file-2", "batch-2")
    with ReplyCache(path) as cache:
        for row in (first, second, BatchRow("t3", "there", ["d"])):
            cache.put_batch(row)
        cache.put_batch(first._replace(input_file="file-1"))
    with ReplyCache(path) as cache:
        assert cache.open_batches("here") == [first._replace(input_file="file-1"), second]
        cache.put_batch(first._replace(state="completed"))
        assert cache.open_batches("here") == [second]


def test_a_changed_rubric_for_half_of_the_rows_asks_only_for_those(endpoint, make_client):
    def graded(row, rubric):
        messages = [{"role": "system", "content": rubric}, {"role": "user", "content": f"row {row}"}]
        return ChatRequest(messages)

    before = make_client().complete_all([graded(row, "one to five") for row in range(20)])
    rubrics = ["one to five", "one to ten"]
    after = make_client().complete_all([graded(row, rubrics[row % 2]) for row in range(20)])
    assert [reply.cached for reply in after] == [True, False] * 10
    assert endpoint.asked == {f"row {row}": 1 + row % 2 for row in range(20)}
    assert [reply._replace(cached=False) for reply in after[::2]] == before[::2]


def test_failures_are_never_kept(endpoint, make_client, tmp_path):
    endpoint.faults.extend([(500, {}, "oops"), (400, {}, "no"), "null", "null"])
    make_client(max_retries=0, max_concurrency=1).complete_all([ChatRequest([{"role": "user", "content": "a"}])])
    with ReplyCache(tmp_path / "replies.sqlite") as cache:
        assert len(cache) == 0
