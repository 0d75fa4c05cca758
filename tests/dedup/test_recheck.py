import numpy as np
import pytest

from steps.dedup.documents import Document
from steps.dedup.greedy import Pair
from steps.dedup.recheck import CrossEncoder, RecheckSettings
from steps.dedup.semantic import SemanticSettings, join
from steps.dedup.survivors import near_in_cluster, resolve
from steps.errors import InputError

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghij"]


def build(folder, n_labels=1):
    """A cross-encoder of random weights that knows ten words."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    torch.manual_seed(0)
    (folder / "vocab.txt").parent.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=n_labels,
        initializer_range=1.0,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return build(tmp_path_factory.mktemp("cross-encoder"))


def scored(model, texts, pairs):
    encoder = CrossEncoder(RecheckSettings(model=model), texts)
    encoder.score(pairs)
    return {pair: encoder.known(*pair) for pair in pairs}


def test_scores_are_those_of_the_library_whatever_the_batch(model):
    from sentence_transformers import CrossEncoder as Library

    texts = ["a b c", "a b", "c d e f g", "j"]
    pairs = [(row, other) for row in range(4) for other in range(row)]
    scores = scored(model, texts, pairs)
    library = Library(model)
    for row, other in pairs:
        expected = library.predict([(texts[row], texts[other])], show_progress_bar=False)
        assert scores[row, other] == pytest.approx(float(expected[0]), abs=1e-5)
    assert len({round(score, 4) for score in scores.values()}) > 3


def test_a_pair_below_the_cross_encoders_threshold_is_kept_apart_with_its_score(model):
    texts = list("abcdefgh")
    vectors = np.tile(np.ones(8, np.float32), (8, 1))
    pairs = [(row, other) for row in range(8) for other in range(row)]
    scores = scored(model, texts, pairs)
    middle = float(np.median(list(scores.values())))
    settings = SemanticSettings(recheck=RecheckSettings(model=model, threshold=middle))
    documents = [Document(text, "", "") for text in texts]
    found = join(vectors, range(8), documents, settings)
    kept, survivor, n_refused = [], {}, 0
    for row in range(8):
        for other in kept:
            if scores[row, other] >= middle:
                survivor[row] = other
                break
            n_refused += 1
        else:
            kept.append(row)
    assert {match.row: match.other for match in found.duplicates} == survivor
    assert 0 < len(survivor) < 7
    assert found.n_vetoed == n_refused > 0
    for match in found.vetoed:
        assert match.veto == f"the cross-encoder scores {scores[match.row, match.other]:.3f}"
    assert found.detail["n_rechecked"] >= n_refused + len(survivor)


def test_each_pair_is_scored_once(model):
    encoder = CrossEncoder(RecheckSettings(model=model, threshold=1.0), list("abcdef"))
    asked = []
    score = encoder.score
    encoder.score = lambda pairs: asked.extend(pairs) or score(pairs)

    def near(row, kept):
        return iter([Pair(1.0, row, other) for other in kept])

    resolved = resolve([range(6)], near, encoder)
    assert resolved.duplicates == []
    assert len(asked) == len(set(asked)) == encoder.n_scored == 15


@pytest.mark.parametrize("kind", ["cells", "dbscan", "hierarchical"])
def test_every_join_asks_the_cross_encoder(model, kind):
    texts = list("abcdefgh")
    vectors = np.tile(np.ones(8, np.float32), (8, 1))
    documents = [Document(text, "", "") for text in texts]
    never = SemanticSettings(join={"kind": kind}, recheck=RecheckSettings(model=model, threshold=1.0))
    assert join(vectors, range(8), documents, never).duplicates == []
    always = SemanticSettings(join={"kind": kind}, recheck=RecheckSettings(model=model, threshold=0.0))
    assert len(join(vectors, range(8), documents, always).duplicates) == 7


def test_a_model_with_several_outputs_is_refused(tmp_path):
    encoder = CrossEncoder(RecheckSettings(model=build(tmp_path / "wide", n_labels=3)), ["a", "b"])
    with pytest.raises(InputError, match="3 outputs"):
        encoder.score([(1, 0)])


def test_a_missing_model_is_named(tmp_path):
    encoder = CrossEncoder(RecheckSettings(model=str(tmp_path / "nowhere")), ["a", "b"])
    with pytest.raises(InputError, match=r"recheck.model.*nowhere"):
        encoder.score([(1, 0)])


def test_in_a_cluster_the_most_similar_kept_row_comes_first():
    from steps.dedup.marks import Marks
    from steps.dedup.nearest import space_of

    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    near = near_in_cluster(space_of(vectors, "cosine", 0.9), Marks.none(3))
    assert [pair.other for pair in near(2, {0: 0, 1: 1})] == [1, 0]
