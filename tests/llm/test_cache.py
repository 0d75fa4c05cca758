import threading

import pytest

from steps.errors import InputError
from steps.llm.cache import ReplyCache


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
