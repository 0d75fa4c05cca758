from functools import cache
from random import Random

import pyarrow as pa
import pytest

from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.documents import Document
from steps.dedup.minhash import MinHashSettings, bands_for, near_duplicates


@cache
def shingle_set(text, n=5):
    tokens = text.split()
    return {" ".join(tokens[i : i + n]) for i in range(len(tokens) - n + 1)}


def similarity(left, right):
    a, b = shingle_set(left), shingle_set(right)
    return len(a & b) / len(a | b)


def graded_texts(n_families=60, seed=5):
    """Texts of 60 to 120 words, each with variants of which 1 to 12 words are changed."""
    random = Random(seed)
    texts = []
    for family in range(n_families):
        original = [f"w{family}x{random.randrange(10_000)}" for _ in range(random.randrange(60, 120))]
        texts.append(" ".join(original))
        for _ in range(4):
            changed = list(original)
            for position in random.sample(range(len(changed)), random.randrange(1, 12)):
                changed[position] = f"new{random.randrange(10_000)}"
            texts.append(" ".join(changed))
    random.shuffle(texts)
    return texts


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9])
def test_every_dropped_row_has_a_survivor_and_no_two_survivors_are_near(threshold):
    texts = graded_texts()
    documents = [Document(text, "", "") for text in texts]
    settings = MinHashSettings(threshold=threshold, min_answer_overlap=None)
    dropped = {match.row: match for match in near_duplicates(documents, settings).duplicates}
    kept = [row for row in range(len(texts)) if row not in dropped]
    # The oracle: the same greedy rule over all pairs, by brute force.
    expected = []
    for row, text in enumerate(texts):
        if all(similarity(text, texts[other]) < threshold for other in expected):
            expected.append(row)
    assert kept == expected
    assert dropped
    for match in dropped.values():
        assert match.other in expected
        assert match.similarity == pytest.approx(similarity(texts[match.row], texts[match.other]))
        assert match.similarity == pytest.approx(
            max(similarity(texts[match.row], texts[o]) for o in kept if o < match.row)
        )


@pytest.mark.parametrize(("threshold", "bands"), [(0.8, (25, 5)), (0.5, (62, 2)), (1.0, (7, 16))])
def test_bands_propose_nearly_all_pairs_at_the_threshold(threshold, bands):
    assert bands_for(threshold) == bands
    assert 1 - (1 - threshold ** bands[1]) ** bands[0] >= 0.999


def pairs(texts):
    return [(text, "the same answer to all") for text in texts]


def test_the_order_of_the_table_changes_nothing(examples):
    table = examples(pairs(graded_texts(20)))
    order = list(range(table.num_rows))
    Random(1).shuffle(order)
    one = deduplicate("minhash", table, DedupSettings())
    other = deduplicate("minhash", table.take(pa.array(order)), DedupSettings())
    assert one.report == other.report
    assert sorted(one.ledger.to_pylist(), key=str) == sorted(other.ledger.to_pylist(), key=str)
    groups = [dict(zip(r.kept["id"].to_pylist(), r.kept["group_id"].to_pylist(), strict=True)) for r in (one, other)]
    assert groups[0] == groups[1]


def test_likeness_is_not_passed_along_a_chain(examples, kept):
    words = [f"w{i}" for i in range(100)]
    a, b, c = words, [*words[4:], *"abcd"], [*words[8:], *"abcdefgh"]
    # A is like B and B like C at 0.8, but A is not like C.
    table = examples(pairs([" ".join(b), " ".join(a), " ".join(c)]))
    first = DedupSettings(keep="first")
    assert kept(deduplicate("minhash", table, first)) == [0]
    assert kept(deduplicate("minhash", table.take(pa.array([1, 0, 2])), first)) == [1, 2]


@pytest.mark.parametrize("text", ["", "…!?"])
def test_texts_without_words_never_collide(examples, kept, text):
    assert len(kept(deduplicate("minhash", examples([(text, text)] * 3), DedupSettings()))) == 3


def test_chinese_texts_are_compared_by_character(examples, kept):
    base = "我们今天下午在会议室讨论了新的缓存系统的设计方案并决定下周开始测试它的性能和稳定性以及成本"
    table = examples([(base, "好"), (base + "吧", "好"), ("完全不同的一句话讲的是别的事情和别的人", "好")])
    assert len(kept(deduplicate("minhash", table, DedupSettings()))) == 2


def test_two_questions_about_one_passage_are_not_duplicates(examples, kept):
    passage = " ".join(f"word{i}" for i in range(200))
    table = examples([(passage + " Who?", "Ann did it"), (passage + " When?", "Last Tuesday evening")])
    result = deduplicate("minhash", table, DedupSettings())
    assert len(kept(result)) == 2
    assert result.report["n_vetoed"] == 1
    assert "answers share" in result.report["vetoed"][0]["veto"]
    unguarded = DedupSettings(minhash=MinHashSettings(min_answer_overlap=None))
    assert len(kept(deduplicate("minhash", table, unguarded))) == 1


def test_a_shared_system_turn_makes_no_duplicates(examples, kept):
    system = " ".join(f"rule{i}" for i in range(300))
    table = examples([("What is a queue?", "A list."), ("Name a colour.", "A list.")], system=system)
    assert len(kept(deduplicate("minhash", table, DedupSettings()))) == 2


def test_numbers_can_be_protected(examples, kept):
    text = " ".join(f"w{'x' * i}" for i in range(60))
    table = examples([(text + " costs 5 euros", "yes"), (text + " costs 7 euros", "yes")])
    assert len(kept(deduplicate("minhash", table, DedupSettings()))) == 1
    guarded = DedupSettings(minhash=MinHashSettings(protect_numbers=True))
    assert len(kept(deduplicate("minhash", table, guarded))) == 2
