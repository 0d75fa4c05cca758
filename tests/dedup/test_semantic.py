from random import Random

import numpy as np
import pyarrow as pa
import pytest

from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.documents import Document
from steps.dedup.guards import negation_differs, numbers_differ
from steps.dedup.semantic import SemanticSettings, embed, join
from steps.errors import InputError

PARAPHRASE = [
    ("Explain how personalization works in LLMs.", "It tailors the generated text to the preferences of a user."),
    ("Explain how LLMs can be personalized.", "The generated text is tailored to the preferences of a user."),
]


def unit_vectors(n, seed=0, dimensions=24):
    """Vectors in families, so that cosines of all sizes occur near the threshold."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((n // 5, dimensions))
    vectors = centres[random.integers(0, len(centres), n)] + 0.25 * random.standard_normal((n, dimensions))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_selection_over_blocks_equals_brute_force():
    vectors = unit_vectors(700)
    documents = [Document(f"text {i}", "", "") for i in range(700)]
    settings = SemanticSettings(threshold=0.93, protect_numbers=False)
    found = join(vectors, list(range(700)), documents, settings)
    cosines = vectors @ vectors.T
    expected = []
    for row in range(700):
        if not expected or cosines[row, expected].max() < 0.93:
            expected.append(row)
    dropped = {match.row for match in found.duplicates}
    assert [row for row in range(700) if row not in dropped] == expected
    assert 50 < len(dropped) < 650
    for match in found.duplicates:
        earlier = [row for row in expected if row < match.row]
        assert match.similarity == pytest.approx(cosines[match.row, earlier].max(), abs=1e-5)


def document(instruction, answer=""):
    return Document(instruction, answer, "")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (document("pay 5 euros"), document("pay 7 euros")),
        (document("add 2 and 2"), document("add 2")),
        (document("total", "1,000.50"), document("total", "1,000.5")),
        (document("page 3", "4"), document("page 4", "3")),
    ],
)
def test_other_numbers_keep_rows_apart(left, right):
    assert "numbers differ" in numbers_differ(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (document("is it open?"), document("is it not open?")),
        (document("say so", "it works"), document("say so", "it doesn't work")),
        (document("reverse it"), document("reverse it without slicing")),
        (document("never do it", "so"), document("do it", "never so")),
    ],
)
def test_a_negation_on_one_side_keeps_rows_apart(left, right):
    assert "only one" in negation_differs(left, right)


def test_equal_numbers_and_negations_are_no_reason_to_keep_rows_apart():
    left, right = document("do not pay 5 or 6", "not only that"), document("6 or 5, never pay", "that")
    assert numbers_differ(left, right) is None
    assert negation_differs(left, right) is None


def test_a_paraphrase_is_dropped_and_another_topic_stays(examples):
    table = examples([*PARAPHRASE, ("Name the capital of Peru.", "Lima.")])
    result = deduplicate("semantic", table, DedupSettings(semantic=SemanticSettings(threshold=0.9)))
    assert result.kept.num_rows == 2
    (dropped,) = [row for row in result.ledger.to_pylist() if row["reason"]]
    assert dropped["reason"] == "semantic_duplicate"
    assert 0.9 <= dropped["score"] < 1


def test_templated_notes_that_differ_in_a_number_or_a_negation_all_stay(examples):
    template = "Summarise this note. We found that the cache {} latency by {} percent under heavy load."
    pairs = [(template.format("cuts", n), "The cache cuts latency.") for n in (35, 36, 53)]
    pairs.append((template.format("does not cut", 35), "The cache does not cut latency."))
    result = deduplicate("semantic", examples(pairs), DedupSettings())
    assert result.kept.num_rows == 4
    assert result.report["n_vetoed"] == 6
    off = SemanticSettings(protect_numbers=False, protect_negations=False, threshold=0.85)
    assert deduplicate("semantic", examples(pairs), DedupSettings(semantic=off)).kept.num_rows < 4


def test_the_order_of_the_table_changes_nothing(examples):
    subjects = ["cache", "queue", "parser", "router"]
    pairs = [(f"What does the {s} do?", f"The {s} holds work.") for s in subjects]
    pairs += [(f"Please tell me what the {s} does.", f"The {s} keeps work.") for s in subjects]
    table = examples(pairs)
    order = list(range(table.num_rows))
    Random(2).shuffle(order)
    settings = DedupSettings(semantic=SemanticSettings(threshold=0.8))
    one, other = (deduplicate("semantic", t, settings) for t in (table, table.take(pa.array(order))))
    assert sorted(one.ledger.to_pylist(), key=str) == sorted(other.ledger.to_pylist(), key=str)
    assert one.report["n_dropped"] > 0


def test_rows_without_text_match_nothing(examples):
    result = deduplicate("semantic", examples([("", ""), ("", ""), ("a cat", "b")]), DedupSettings())
    assert result.kept.num_rows == 3


def test_embeddings_are_of_unit_length_and_follow_the_order_of_the_texts():
    settings = SemanticSettings()
    vectors = embed(["a cat", "a much longer text about dogs", "a cat"], settings)
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert (vectors[0] == vectors[2]).all()
    assert vectors[0] @ vectors[1] < 0.9


def test_a_text_is_cut_at_the_configured_length():
    head = "cat " * 16
    short = SemanticSettings(max_length_tokens=16)
    assert (embed([head + "dog"], short) == embed([head + "planet"], short)).all()
    assert not (embed([head + "dog"], SemanticSettings()) == embed([head + "planet"], SemanticSettings())).all()


def test_a_model_that_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        embed(["a"], SemanticSettings(model=str(tmp_path / "nowhere")))
