from random import Random

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from steps.dedup.clusters import DedupSettings, deduplicate
from steps.dedup.documents import Document
from steps.dedup.embedding_cache import EmbeddingCache
from steps.dedup.semantic import SemanticSettings, join, semantic_duplicates

PARAPHRASE = [
    ("Explain how personalization works in LLMs.", "It tailors the generated text to the preferences of a user."),
    ("Explain how LLMs can be personalized.", "The generated text is tailored to the preferences of a user."),
]


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


def test_the_cache_changes_no_result(examples, tmp_path):
    table = examples([*PARAPHRASE, ("Name the capital of Peru.", "Lima.")])
    settings = DedupSettings(semantic=SemanticSettings(threshold=0.9))
    without = deduplicate("semantic", table, settings)
    cache = EmbeddingCache(tmp_path)
    filled = deduplicate("semantic", table.slice(1), settings, embeddings=cache)
    assert list(tmp_path.rglob("*.arrow"))
    assert filled.kept.num_rows == 2
    cached = deduplicate("semantic", table, settings, embeddings=cache)
    assert cached.report == without.report
    assert cached.ledger.equals(without.ledger)


def test_rows_without_text_match_nothing(examples):
    result = deduplicate("semantic", examples([("", ""), ("", ""), ("a cat", "b")]), DedupSettings())
    assert result.kept.num_rows == 3
    assert semantic_duplicates([Document("", "", "")], SemanticSettings()).duplicates == []


def test_two_answers_to_one_question_are_two_examples_even_when_only_the_question_is_embedded(examples):
    table = examples([("Write a story.", "Once a fox ran off."), ("Write a  story.", "Queens met by moonlight.")])
    asked = SemanticSettings(key="instruction", threshold=0.9)
    assert deduplicate("semantic", table, DedupSettings(semantic=asked)).kept.num_rows == 2
    alone = asked.model_copy(update={"min_answer_overlap": None})
    assert deduplicate("semantic", table, DedupSettings(semantic=alone)).kept.num_rows == 1


def arcs():
    """Vectors whose nearest other rows have cosines of 1, .98, .94 and nearly 0."""
    vectors = np.zeros((8, 8))
    for pair, cosine in enumerate((1.0, 0.98, 0.94, 0.01)):
        vectors[2 * pair, 2 * pair] = 1
        vectors[2 * pair + 1, 2 * pair : 2 * pair + 2] = cosine, np.sqrt(1 - cosine**2)
    return vectors.astype(np.float32)


def of_arcs(**options):
    return join(arcs(), range(8), [Document(str("abcdefgh"[i]), "", "") for i in range(8)], SemanticSettings(**options))


def test_the_report_shows_how_alike_rows_are_and_the_pairs_at_the_border():
    found = of_arcs()
    assert [(match.row, match.other) for match in found.duplicates] == [(1, 0), (3, 2)]
    assert [match.similarity for match in found.borderline] == pytest.approx([0.94, 0.98, 1.0], abs=1e-6)
    calibration = found.detail["calibration"]
    assert calibration["n_sampled"] == 8
    assert calibration["share_above"]["0.99"] == 0.25
    assert calibration["share_above"]["0.97"] == 0.5
    assert calibration["share_above"]["0.92"] == 0.75
    assert calibration["quantiles"]["0.99"] == 1.0


def test_a_row_alone_has_no_neighbour():
    found = join(arcs()[:1], range(1), [Document("a", "", "")], SemanticSettings())
    assert found.duplicates == []
    assert found.detail["calibration"]["quantiles"] == {}


def test_the_report_is_plain_json_with_the_detail_of_the_method(examples):
    import json

    report = deduplicate("semantic", examples(PARAPHRASE), DedupSettings(max_cluster_fraction=None)).report
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["detail"]["join"] == "exact"
    assert report["detail"]["precision"] in ("float32", "bfloat16")
    assert report["alarms"] == []


def test_another_model_with_the_bundled_models_threshold_raises_an_alarm():
    (warning,) = of_arcs(model="another/model").detail["warnings"]
    assert "another/model" in warning
    assert "threshold" in warning
    assert of_arcs(model="another/model", threshold=0.9).detail["warnings"] == []
    assert of_arcs().detail["warnings"] == []


def test_a_euclidean_threshold_is_a_distance():
    vectors = np.array([[3, 0], [3, 0.5], [6, 0]], np.float32)
    documents = [Document("a", "", ""), Document("b", "", ""), Document("c", "", "")]
    near = SemanticSettings(metric="euclidean", threshold=1 - 0.5**2 / 2)
    found = join(vectors, range(3), documents, near)
    assert [(match.row, match.other) for match in found.duplicates] == [(1, 0)]
    wider = join(vectors, range(3), documents, SemanticSettings(metric="euclidean", threshold=1 - 3**2 / 2))
    assert [(match.row, match.other) for match in wider.duplicates] == [(1, 0), (2, 0)]
    by_angle = join(vectors, range(3), documents, SemanticSettings())
    assert [(match.row, match.other) for match in by_angle.duplicates] == [(1, 0), (2, 0)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -0.1}, "no cosine to ask for"),
        ({"representative": "central"}, "needs a centre"),
        ({"join": {"kind": "cells", "rows_per_cell": 1}}, "greater than or equal to 2"),
        ({"join": {"kind": "ward"}}, "hierarchical"),
        ({"precision": "int8"}, "bfloat16"),
        ({"recheck": {"threshold": 0.5}}, "model"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        SemanticSettings(**options)


def test_the_step_keeps_embeddings_where_it_is_told(tmp_path, monkeypatch):
    from steps.dedup.step import _embedding_cache

    table_of = {
        "explicit": (SemanticSettings(cache_dir=str(tmp_path / "mine")), tmp_path / "mine"),
        "environment": (SemanticSettings(), tmp_path / "tunesmith" / "embeddings"),
    }
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "tunesmith"))
    for settings, folder in table_of.values():
        cache = _embedding_cache(settings)
        cache.write("space", [b"0" * 16], np.ones((1, 2), np.float32))
        assert list(folder.rglob("*.arrow"))
    assert _embedding_cache(SemanticSettings(cache=False)) is None
    assert _embedding_cache(None) is None
