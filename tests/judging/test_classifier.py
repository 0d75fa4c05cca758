import json
import random
import zlib

import numpy as np
import pytest
from pydantic import ValidationError

from steps.errors import InputError
from steps.judging.classifier import ClassifierJudge, ClassifierSettings, _area, load_classifier, train_classifier
from steps.judging.integrity import score_unchanged
from steps.judging.labelled_answers import Labelled, read_labelled
from steps.judging.verdict import Item, Unscored

GOOD = ("seal", "bolt", "filter", "valve", "gasket")
BAD = ("moon", "poem", "cheese", "dragon", "violin")


def embed(texts):
    """A unit vector per text that counts its words in 64 buckets: what it is about, without a model."""
    vectors = np.zeros((len(texts), 64))
    for i, text in enumerate(texts):
        for word in text.lower().replace(".", "").split():
            vectors[i, zlib.crc32(word.encode()) % 64] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)


def labelled(n=240, seed=1, noise=0.0):
    """Good answers speak of pumps; bad ones of other things. `noise` is the share of labels that are drawn."""
    rng = random.Random(seed)
    rows = []
    for i in range(n):
        is_good = i % 2 == 0
        words = rng.choices(GOOD if is_good else BAD, k=rng.randint(3, 9))
        label = rng.random() < 0.5 if rng.random() < noise else is_good
        rows.append(Labelled(f"What is wrong with pump {i // 4}?", f"Check the {' and the '.join(words)}.", label))
    return rows


def settings(**changes):
    return ClassifierSettings.model_validate({"type": "classifier", "labels_path": "labels.jsonl", **changes})


def test_the_area_is_the_one_of_the_curve():
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(1)
    scores, y = rng.integers(0, 9, 200).astype(float), rng.integers(0, 2, 200)
    assert _area(scores, y) == pytest.approx(roc_auc_score(y, scores))


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.jsonl"
    rows = [{"prompt": row.prompt, "answer": row.answer, "label": int(row.is_good)} for row in labelled()]
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def item(name, answer):
    return Item(name, [{"role": "user", "content": "What is wrong with the pump?"}], answer)


def test_it_tells_apart_what_people_told_apart_and_says_how_well(labels):
    judge = ClassifierJudge(settings(labels_path=str(labels)), 7, embed)
    verdicts = score_unchanged(judge, [item("a", "Valve and seal."), item("b", "Dragon and moon."), item("c", " ")])
    assert verdicts[0].score > 0.55 > 0.45 > verdicts[1].score
    assert verdicts[2].unscored_reason is Unscored.NO_ANSWER
    assert judge.report["auc"] > 0.95
    assert judge.report["auc_low"] <= judge.report["auc"] <= judge.report["auc_high"]
    assert judge.report["n_labels"] == 240
    assert judge.report["warnings"] == []
    assert "240 labels" in verdicts[0].detail


def test_labels_that_mean_nothing_give_an_area_of_a_half_and_a_warning():
    report = train_classifier(labelled(noise=1.0), settings(), 7, embed).report
    assert report["auc"] == pytest.approx(0.5, abs=0.12)
    assert any("chance" in warning for warning in report["warnings"])


def test_labels_that_follow_the_length_are_called_so():
    rng = random.Random(2)
    rows = [Labelled(f"Pump {i}?", "x " * (rng.randint(1, 40) + 60 * (i % 2)), i % 2 == 0) for i in range(240)]
    report = train_classifier(rows, settings(), 7, embed).report
    assert report["auc_of_length"] == pytest.approx(1.0)
    assert any("length alone" in warning for warning in report["warnings"])


def test_answers_to_one_prompt_never_stand_on_both_sides():
    """Each prompt has a label of its own, drawn by lot, and a word that only it has: learnable by heart alone."""
    rng = random.Random(3)
    rows = []
    for i in range(60):
        is_good = rng.random() < 0.5
        rows += [Labelled(f"Prompt {i}?", f"word{i} again and{j}", is_good) for j in range(4)]
    assert train_classifier(rows, settings(), 7, embed).report["auc"] < 0.65


@pytest.mark.parametrize(
    ("n", "changes", "message"),
    [(199, {}, "199 labels.*min_labels=200"), (240, {"min_labels_per_class": 121}, "120 good and 120 bad")],
)
def test_too_few_labels_train_nothing(n, changes, message):
    with pytest.raises(InputError, match=message):
        train_classifier(labelled(n), settings(**changes), 7, embed)


def test_the_order_of_the_labels_decides_nothing():
    rows = labelled()
    first, second = (train_classifier(some, settings(), 7, embed) for some in (rows, rows[::-1]))
    assert np.array_equal(first.weights, second.weights)
    assert first.report == second.report


def test_weights_are_kept_in_plain_arrays_and_trained_anew_only_when_labels_changed(labels, tmp_path):
    path = tmp_path / "weights" / "mine.npz"
    made = settings(labels_path=str(labels), weights_path=str(path))
    first = ClassifierJudge(made, 7, embed)
    with np.load(path, allow_pickle=False) as found:
        assert set(found.files) == {"weights", "bias", "report"}
    stamp = path.stat().st_mtime_ns

    def never(texts):
        raise AssertionError("embedded again")

    again = ClassifierJudge(made, 7, never)
    assert again.fingerprint == first.fingerprint
    alone = ClassifierJudge(settings(labels_path=None, weights_path=str(path)), 7, embed)
    assert alone.fingerprint == first.fingerprint
    assert (
        alone.score([item("a", "Check the valve.")])[0].score == first.score([item("a", "Check the valve.")])[0].score
    )
    assert path.stat().st_mtime_ns == stamp
    labels.write_text(labels.read_text().replace("moon", "sun"))
    assert ClassifierJudge(made, 7, embed).fingerprint != first.fingerprint


def test_a_file_that_is_no_classifier_or_of_another_embedder_is_refused(labels, tmp_path):
    path = tmp_path / "mine.npz"
    with pytest.raises(InputError, match="is no file"):
        ClassifierJudge(settings(labels_path=None, weights_path=str(path)), 7, embed)
    path.write_bytes(b"not a zip file")
    with pytest.raises(InputError, match="no trained classifier"):
        ClassifierJudge(settings(labels_path=None, weights_path=str(path)), 7, embed)
    np.savez(path, weights=np.array([object()], dtype=object), bias=np.zeros(1), report=np.zeros(1, np.uint8))
    with pytest.raises(InputError, match="no trained classifier"):
        load_classifier(path, settings())
    path.unlink()
    ClassifierJudge(settings(labels_path=str(labels), weights_path=str(path)), 7, embed)
    with pytest.raises(InputError, match="trained on embeddings of"):
        ClassifierJudge(settings(labels_path=None, weights_path=str(path), embedder="other"), 7, embed)


def test_a_classifier_needs_labels_or_weights():
    with pytest.raises(ValidationError, match="labels_path"):
        settings(labels_path=None)
    with pytest.raises(ValidationError, match="npz"):
        settings(weights_path="weights.pkl")


def test_labels_are_read_from_jsonl_and_csv_in_many_words_and_blank_ones_passed_over(tmp_path):
    jsonl, table = tmp_path / "a.jsonl", tmp_path / "a.csv"
    turns = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    rows = [{"prompt": "Q", "answer": "A", "label": label} for label in (1, 0, True, False, "good", "Bad", None, "")]
    jsonl.write_text("\n".join(map(json.dumps, [*rows, {"messages": turns, "label": "yes"}])) + "\n\n")
    expected = [True, False, True, False, True, False, True]
    assert read_labelled(jsonl) == [Labelled("Q", "A", is_good) for is_good in expected]
    table.write_text('\ufeffprompt,answer,label,note\n"Q, with\nlines",A,1,x\nQ,A,,\nQ,A,no,\n')
    assert read_labelled(table) == [Labelled("Q, with\nlines", "A", True), Labelled("Q", "A", False)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"prompt": "Q", "answer": "A", "label": 3}', "label 3 of row 1"),
        ('{"prompt": "Q", "answer": "A", "label": 1}\n{"answer": "A", "label": 1}', "row 2 has no texts"),
        ('{"prompt": "Q", "answer": " ", "label": 1}', "row 1 has no texts"),
        ("{", "line 1 is not JSON"),
        ("[]", "line 1 holds no object"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path, text, message):
    path = tmp_path / "labels.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_labelled(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_labelled(tmp_path / "none.jsonl")
