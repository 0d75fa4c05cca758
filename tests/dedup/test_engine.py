"""The engine against brute force, the exact join and datasketch, and against itself in other circumstances."""

from itertools import pairwise
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.documents import Document, Documents
from steps.dedup.minhash import MinHashSettings, near_duplicates
from steps.dedup.oracle import VERIFIED, select, similar_pairs
from tests.dedup.test_minhash import graded_texts, pairs, similarity

THRESHOLDS = [0.5, 0.7, 0.8, 0.9]


def settings(threshold=0.8, **others):
    return MinHashSettings(threshold=threshold, min_answer_overlap=None, key="answer", **others)


def documents(texts, chunks=1):
    cuts = np.linspace(0, len(texts), chunks + 1).astype(int)
    parts = [texts[a:b] for a, b in pairwise(cuts)]
    return Documents(pa.chunked_array(parts, pa.string()))


def boilerplate_texts(n=60):
    """Texts of which two thirds are one template."""
    template = [f"rule{i}" for i in range(100)]
    return [" ".join([*template, *(f"own{row}x{i}" for i in range(50))]) for row in range(n)]


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_oracle_finds_every_pair_that_brute_force_finds(threshold):
    texts = [*graded_texts(40), *boilerplate_texts(20), "", "one", "one"]
    expected = {
        (i, j): similarity(texts[i], texts[j])
        for i in range(len(texts) - 3)
        for j in range(i)
        if similarity(texts[i], texts[j]) >= threshold
    }
    expected[len(texts) - 1, len(texts) - 2] = 1.0
    found = similar_pairs(documents(texts), threshold).to_pylist()
    assert {(pair["row"], pair["other"]): pair["similarity"] for pair in found} == pytest.approx(expected)


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("method", ["minhash", "exact_join"])
def test_survivors_are_those_of_the_greedy_rule_over_the_oracles_pairs(threshold, method):
    texts = [*graded_texts(150, seed=8), *boilerplate_texts()]
    neighbours: dict[int, dict[int, float]] = {}
    for pair in similar_pairs(documents(texts), threshold).to_pylist():
        neighbours.setdefault(pair["row"], {})[pair["other"]] = pair["similarity"]
    expected: dict[int, tuple[int, float]] = {}
    for row in range(len(texts)):
        alike = {other: value for other, value in neighbours.get(row, {}).items() if other not in expected}
        if alike:
            best = min(alike, key=lambda other: (-alike[other], other))
            expected[row] = (best, alike[best])
    found = near_duplicates(documents(texts), settings(threshold, method=method)).duplicates
    assert {match.row: (match.other, match.similarity) for match in found} == expected
    assert expected


def test_datasketch_drops_the_same_rows():
    texts = graded_texts(60, seed=4)
    plain = [Document("", text, "") for text in texts]
    ours = near_duplicates(plain, settings())
    reference = near_duplicates(plain, settings(method="datasketch"))
    assert list(ours.duplicates) == list(reference.duplicates)
    assert len(ours.duplicates) > 20


@pytest.mark.parametrize("method", ["minhash", "exact_join"])
def test_neither_threads_nor_chunks_change_the_result(method):
    texts = [*graded_texts(60), *boilerplate_texts()]
    one = near_duplicates(documents(texts), settings(0.6, method=method, threads=1))
    other = near_duplicates(documents(texts, chunks=5), settings(0.6, method=method, threads=3))
    assert one == other
    assert one.duplicates


def test_the_greedy_rule_over_all_pairs_drops_what_the_engine_drops():
    texts = graded_texts(60)
    pairs_alike = similar_pairs(documents(texts), 0.8).rename_columns(VERIFIED.names)
    found = select(pairs_alike.take(Random(3).sample(range(pairs_alike.num_rows), pairs_alike.num_rows)))
    expected = near_duplicates(documents(texts), settings()).duplicates
    assert expected
    assert [tuple(row.values()) for row in found.to_pylist()] == [match[:3] for match in expected]


def test_a_row_that_is_like_a_dropped_row_only_stays():
    words = [f"w{i}" for i in range(100)]
    chain = [" ".join([*words[4 * i :], *(f"n{j}" for j in range(4 * i))]) for i in range(12)]
    found = near_duplicates(documents(chain), settings()).duplicates
    gone = {match.row for match in found}
    kept = [row for row in range(len(chain)) if row not in gone]
    assert len(kept) > 3  # a closure over the chain would keep one
    assert all(similarity(chain[match.row], chain[match.other]) >= 0.8 for match in found)
    assert all(similarity(chain[a], chain[b]) < 0.8 for a in kept for b in kept if a < b)


def test_boilerplate_alone_makes_no_duplicates_and_is_shown_at_the_border():
    found = near_duplicates(documents(boilerplate_texts()), settings(0.51))
    assert not found.duplicates
    assert len(found.borderline) == 20
    assert found.borderline[0].similarity == pytest.approx(96 / 196, abs=0.01)


def test_a_cluster_of_copies_costs_one_comparison_a_row():
    texts = [" ".join(f"w{i}" for i in range(50)) + f" end{row % 3}" for row in range(3_000)]
    found = near_duplicates(documents(texts), settings()).duplicates
    assert len(found) == 2_999
    assert {match.other for match in found} == {0}


def test_the_conversation_is_the_users_turns_then_the_assistants(examples):
    text = " ".join(f"w{i}" for i in range(40))
    table = examples([(text, "yes it is"), (text, "yes it is ")], system="Be brief.")
    segments = Documents(table["messages"]).segments("conversation")[0]
    read = [bytes(segments.data[a:b]).decode() for a, b in zip(segments.starts, segments.ends, strict=True)]
    assert read == [text, "yes it is", text, "yes it is "]
    turns = [
        [("user", "u1"), ("assistant", "a1"), ("tool", "t"), ("user", "u2"), ("assistant", "a2")],
        [("assistant", "b")],
    ]
    messages = pa.chunked_array(
        [[[{"role": role, "content": content} for role, content in row] for row in turns]], table["messages"].type
    )
    segments = Documents(messages.slice(0)).segments("conversation")[0]
    read = [bytes(segments.data[a:b]).decode() for a, b in zip(segments.starts, segments.ends, strict=True)]
    assert read == ["u1", "t", "u2", "a1", "a2", "b"]
    assert segments.bounds.tolist() == [0, 5, 6]


def test_slices_of_a_table_are_read_as_what_they_are(examples, kept):
    table = examples(pairs(graded_texts(10)))
    part = deduplicate("minhash", table.slice(7, 30), DedupSettings())
    copied = deduplicate("minhash", pa.Table.from_pylist(table.to_pylist()[7:37], table.schema), DedupSettings())
    assert kept(part) == kept(copied)
    assert part.report == copied.report
