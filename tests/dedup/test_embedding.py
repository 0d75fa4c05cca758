import numpy as np
import pytest

from steps.dedup.embedding import BUNDLED_MODEL, EncoderSettings, _native_precision, embed, load_encoder
from steps.dedup.embedding_cache import EmbeddingCache, text_key
from steps.errors import InputError

#: Texts of several lengths, some of them equal in tokens.
TEXTS = ["a cat", "a much longer text about dogs and their masters", "two dogs", "a cat", "three blue fish", "one dog"]


def test_embeddings_follow_the_order_of_the_texts():
    vectors = embed(TEXTS, EncoderSettings())
    assert vectors.shape == (6, 384)
    assert vectors.dtype == np.float32
    assert (vectors[0] == vectors[3]).all()
    cosines = vectors @ vectors.T
    assert cosines[2, 5] > cosines[2, 0] > cosines[2, 4]


def test_the_vector_of_a_text_depends_on_the_text_alone():
    settings = EncoderSettings(precision="float32")
    together = embed(TEXTS, settings)
    alone = np.concatenate([embed([text], settings) for text in TEXTS])
    backwards = embed(TEXTS[::-1], settings)[::-1]
    one_by_one = embed(TEXTS, EncoderSettings(precision="float32", batch_size=1))
    assert (together == alone).all()
    assert (together == backwards).all()
    assert (together == one_by_one).all()


def test_a_text_is_cut_at_the_configured_length():
    head = "cat " * 16
    short = EncoderSettings(max_length_tokens=16)
    assert (embed([head + "dog"], short) == embed([head + "planet"], short)).all()
    assert not (embed([head + "dog"], EncoderSettings()) == embed([head + "planet"], EncoderSettings())).all()


def test_bfloat16_moves_a_similarity_little():
    exact = embed(TEXTS, EncoderSettings(precision="float32"))
    rounded = embed(TEXTS, EncoderSettings(precision="bfloat16"))
    rounded = rounded / np.linalg.norm(rounded, axis=1, keepdims=True)
    errors = np.abs(exact @ exact.T - rounded @ rounded.T)
    assert 0 < errors.max() < 0.01


def test_auto_takes_bfloat16_only_where_the_device_has_it(monkeypatch):
    import torch

    for flags, expected in (({}, "float32"), ({"avx512_bf16": True}, "bfloat16"), ({"amx_bf16": True}, "bfloat16")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda flags=flags: flags)
        assert _native_precision("cpu") == expected
    assert _native_precision("mps") == "float32"


def test_only_what_is_new_is_embedded(tmp_path, monkeypatch):
    cache, settings = EmbeddingCache(tmp_path), EncoderSettings()
    first = embed(TEXTS[:3], settings, cache)
    seen = []
    model = load_encoder(BUNDLED_MODEL, "auto").model
    encode = model.encode
    monkeypatch.setattr(model, "encode", lambda texts, **rest: seen.extend(texts) or encode(texts, **rest))
    again = embed(TEXTS, settings, cache)
    assert sorted(seen) == ["one dog", "three blue fish"]
    assert (again[:3] == first).all()
    assert (again == embed(TEXTS, settings)).all()
    seen.clear()
    assert (embed(TEXTS, settings, cache) == again).all()
    assert seen == []


def test_another_length_or_precision_is_another_space(tmp_path):
    cache = EmbeddingCache(tmp_path)
    for settings in (
        EncoderSettings(precision="float32"),
        EncoderSettings(precision="bfloat16"),
        EncoderSettings(precision="float32", max_length_tokens=32),
    ):
        embed(["a cat"], settings, cache)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert sorted(name.split("-", 2)[2] for name in names) == ["bfloat16-256", "float32-256", "float32-32"]
    assert len({name.split("-")[0] for name in names}) == 1


def test_models_with_other_weights_have_other_fingerprints():
    from steps.dedup.embedding import _fingerprint

    encoder = load_encoder(BUNDLED_MODEL, "float32")
    encoder.model.max_seq_length = 256
    before = _fingerprint(encoder.model)
    assert before == _fingerprint(encoder.model)
    weights = next(encoder.model.parameters())
    kept = weights.data[0, 0].item()
    try:
        weights.data[0, 0] = kept + 1e-3
        assert _fingerprint(encoder.model) != before
    finally:
        weights.data[0, 0] = kept


def test_a_model_that_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        embed(["a"], EncoderSettings(model=str(tmp_path / "nowhere")))


def test_no_text_is_refused():
    with pytest.raises(InputError, match="no text"):
        embed([], EncoderSettings())


def test_keys_tell_texts_apart_to_the_letter():
    keys = [text_key(text) for text in ("a", "A", "a ", "", "\ud800")]
    assert len(set(keys)) == 5
    assert {len(key) for key in keys} == {16}
