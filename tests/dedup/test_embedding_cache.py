from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from steps.dedup.embedding_cache import EmbeddingCache, text_key
from steps.errors import InputError

KEYS = [text_key(str(number)) for number in range(20)]
VECTORS = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)


def segments(folder):
    return sorted((folder / "space").glob("*.arrow"))


def test_vectors_come_back_bit_for_bit_in_the_order_of_the_keys(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.write("space", KEYS[:7], VECTORS[:7])
    cache.write("space", KEYS[7:], VECTORS[7:])
    order = np.random.default_rng(1).permutation(20)
    found = EmbeddingCache(tmp_path).read("space", [KEYS[i] for i in order])
    assert found.known.all()
    assert found.vectors.tobytes() == VECTORS[order].tobytes()


def test_what_is_not_held_is_said_to_be_unknown(tmp_path):
    cache = EmbeddingCache(tmp_path)
    assert cache.read("space", KEYS).vectors is None
    cache.write("space", KEYS[:3], VECTORS[:3])
    found = cache.read("space", KEYS[2:5])
    assert found.known.tolist() == [True, False, False]
    assert (found.vectors[0] == VECTORS[2]).all()
    assert not cache.read("elsewhere", KEYS).known.any()


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "text"])
def test_a_damaged_segment_is_left_out_and_the_others_still_count(tmp_path, damage):
    cache = EmbeddingCache(tmp_path)
    cache.write("space", KEYS[:10], VECTORS[:10])
    (broken,) = segments(tmp_path)
    cache.write("space", KEYS[10:], VECTORS[10:])
    data = bytearray(broken.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    broken.write_bytes({"truncate": data[:-9], "empty": b"", "text": b"not arrow"}.get(damage, bytes(data)))
    found = cache.read("space", KEYS)
    assert found.known.tolist() == [False] * 10 + [True] * 10
    cache.write("space", KEYS[:10], VECTORS[:10])
    assert cache.read("space", KEYS).known.all()


def test_a_write_that_was_cut_short_is_not_seen(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.write("space", KEYS[:3], VECTORS[:3])
    (segment,) = segments(tmp_path)
    (segment.parent / "tmpabc.part").write_bytes(segment.read_bytes()[:50])
    assert cache.read("space", KEYS).known.sum() == 3


def test_nothing_is_left_behind_when_a_write_fails(tmp_path, monkeypatch):
    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match=r"No space left.*cache_dir"):
        EmbeddingCache(tmp_path).write("space", KEYS, VECTORS)
    assert list((tmp_path / "space").iterdir()) == []


def test_many_readers_and_writers_at_once_lose_nothing(tmp_path):
    def work(start):
        cache = EmbeddingCache(tmp_path)
        for i in range(start, 20, 4):
            cache.write("space", KEYS[i : i + 1], VECTORS[i : i + 1])
            found = cache.read("space", KEYS)
            assert (found.vectors[found.known] == VECTORS[found.known]).all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [0, 1, 2, 3] * 2))
    assert cache_holds_all(tmp_path)
    assert len(segments(tmp_path)) == 20  # equal segments share a name


def cache_holds_all(folder):
    found = EmbeddingCache(folder).read("space", KEYS)
    return bool(found.known.all()) and found.vectors.tobytes() == VECTORS.tobytes()


def test_a_segment_of_another_width_is_left_out(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.write("space", KEYS[:2], VECTORS[:2])
    cache.write("space", KEYS[2:4], VECTORS[2:4, :5])
    found = cache.read("space", KEYS[:4])
    assert found.known.sum() == 2
