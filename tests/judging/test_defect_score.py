import random

import numpy as np
import pytest

from steps.judging.defect_classifier import explain
from steps.judging.defect_context import CONTEXT_SIGNALS, background, cosine_signals, measure_context
from steps.judging.defect_corruptions import Corruption, corrupt
from steps.judging.defect_score import DefectSettings, Row, _folds, defect_scores, transfer
from steps.judging.defect_signals import SIGNALS, Signal, measure
from steps.judging.verdict import Unscored
from tests.judging.conftest import conversations

SETTINGS = DefectSettings(embedder=None)


@pytest.fixture(scope="module")
def rows():
    return [Row(f"id{i}", f"g{i}", prompt, answer) for i, (prompt, answer) in enumerate(conversations(200))]


@pytest.fixture(scope="module")
def found(rows):
    return defect_scores(rows, SETTINGS, 7, None)


def test_whole_rows_score_high_and_every_corruption_is_found_on_held_out_rows(found):
    scores = [judgement.score for judgement in found.judgements]
    assert np.median(scores) > 0.9
    kinds = found.report["kinds"]
    assert set(kinds) == {"all", *Corruption}
    assert kinds["all"]["auc"] > 0.95
    assert min(kinds[kind]["auc"] for kind in Corruption) > 0.85


def test_damaged_rows_among_the_data_score_low_though_they_were_labelled_whole(rows):
    damaged = list(rows)
    rng = random.Random(1)
    kinds = (Corruption.TRUNCATED, Corruption.GIBBERISH, Corruption.LOOPED, Corruption.REFUSED, Corruption.ECHOED)
    for i, kind in enumerate(kinds):
        answer = corrupt(kind, rows[i].prompt, rows[i].answer, "", rng)
        assert answer is not None
        damaged[i] = rows[i]._replace(answer=answer)
    scores = [judgement.score for judgement in defect_scores(damaged, SETTINGS, 7, None).judgements]
    assert max(scores[: len(kinds)]) < np.quantile(scores[len(kinds) :], 0.1)


def test_the_rationale_names_the_signals_that_cost_most_in_the_right_direction():
    signals = (Signal("a", "low a", "high a"), Signal("b", "low b", "high b"), Signal("c", "low c", "high c"))
    x = np.array([[-5.0, 1.0, 0.0], [0.0, 0.0, 0.01], [0.0, 9.0, 2.0]])
    rationales = explain(lambda x: x[:, 0] - x[:, 1] - x[:, 2], x, np.zeros(3), signals)
    assert rationales == ["low a; high b", "no sign of a defect", "high b; high c"]


def test_the_order_of_the_rows_decides_nothing(rows, found):
    mixed = list(rows)
    random.Random(5).shuffle(mixed)
    again = dict(zip([row.row_id for row in mixed], defect_scores(mixed, SETTINGS, 7, None).judgements, strict=True))
    assert [again[row.row_id] for row in rows] == found.judgements


def test_a_group_is_never_on_both_sides_and_folds_are_even():
    groups = [f"g{i // 3}" for i in range(90)]
    folds = _folds(groups, 3, seed=1)
    assert all(len({fold for fold, group in zip(folds, groups, strict=True) if group == one}) == 1 for one in groups)
    assert sorted(folds.count(k) for k in range(3)) == [30, 30, 30]
    assert folds != _folds(groups, 3, seed=2)


def test_a_row_is_scored_by_models_that_never_saw_its_group(rows):
    # The same odd answer fifty times: a model that saw it as whole would take it for whole.
    odd = [Row(f"odd{i}", "one-group", "What is the time?", "zx qv wkl pfft brr") for i in range(50)]
    scores = [judgement.score for judgement in defect_scores([*rows, *odd], SETTINGS, 7, None).judgements]
    assert max(scores[len(rows) :]) < 0.5


def test_with_too_few_rows_nothing_is_scored(rows):
    result = defect_scores(rows[:30], SETTINGS, 7, None)
    assert {judgement.unscored_reason for judgement in result.judgements} == {Unscored.TOO_FEW_ROWS_TO_TRAIN}
    assert {judgement.score for judgement in result.judgements} == {None}


def test_the_cosine_signal_finds_answers_to_another_question(rows, found):
    def subjects(texts):
        """A unit vector per text that counts its words: what the texts are about, without a model."""
        vocabulary = {word: i for i, word in enumerate(sorted({w for text in texts for w in text.lower().split()}))}
        vectors = np.zeros((len(texts), len(vocabulary)))
        for i, text in enumerate(texts):
            for word in set(text.lower().split()):
                vectors[i, vocabulary[word]] = 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-9)

    stranger = [row._replace(answer=rows[(i + 57) % 200].answer) if i < 10 else row for i, row in enumerate(rows)]
    result = defect_scores(stranger, SETTINGS, 7, subjects)
    scores = [judgement.score for judgement in result.judgements]
    assert np.median(scores[:10]) < np.quantile(scores[10:], 0.2)
    assert result.report["kinds"]["mismatched"]["auc"] >= found.report["kinds"]["mismatched"]["auc"] - 0.03


def test_the_bundled_model_embeds_texts_as_unit_vectors():
    from steps.judging.embedder import load_embedder

    embed = load_embedder(DefectSettings().embedder, 64)
    pump, engine, poem = embed(["The pump leaks oil.", "Oil drips from the engine's pump.", "A poem about the moon."])
    assert pump @ pump == pytest.approx(1.0, abs=1e-5)
    assert pump @ engine > pump @ poem + 0.2


@pytest.mark.parametrize("kind", list(Corruption))
def test_a_corruption_changes_the_answer_and_spares_what_it_cannot_damage(kind):
    prompt, answer = (
        "Why does the pump leak oil?",
        "The seal is worn. Replace it before the next trip. Check for drops.",
    )
    broken = [corrupt(kind, prompt, answer, "Because of the moon.", random.Random(i)) for i in range(50)]
    made = [text for text in broken if text is not None]
    assert made
    assert answer not in made
    if kind in {Corruption.SHUFFLED, Corruption.TRUNCATED, Corruption.TINY, Corruption.GIBBERISH}:
        assert corrupt(kind, prompt, "Yes", "No", random.Random(0)) is None


def test_a_truncation_never_ends_with_a_sentence():
    answer = "One two three. Four five six. Seven eight nine. Ten eleven twelve."
    cuts = [corrupt(Corruption.TRUNCATED, "", answer, "", random.Random(i)) for i in range(200)]
    assert not any(cut.endswith(".") for cut in cuts if cut)


@pytest.mark.parametrize(
    ("answer", "signal", "high"),
    [
        ("It stops in the mid", "ends_properly", False),
        ("Whole sentence.", "ends_properly", True),
        ("It stops after a comma,", "ends_properly", False),
        ("again and again and again and again and again", "repeated_trigrams", True),
        ("It runs. Then it stops. Then it stops. Then it stops.", "repeated_tail", True),
        ("It stops. It starts. It stops.", "repeated_tail", False),
        ("This one ends.\nSo does this.\nBut this one do", "ends_unlike_its_lines", True),
        ("- oil\n- water\n- a filter", "ends_unlike_its_lines", False),
        ("Pumps leak. because the seal is worn. so replace it.", "lower_after_end", True),
        ("Pumps leak. The seal is worn.", "lower_after_end", False),
        ("why does the pump leak oil", "copied_4grams", True),
        ("def f(x): return [x", "open_brackets", True),
        ("I'm sorry, but I can't help.", "refuses", True),
        ("As I said, sorry for the noise of the pump.", "refuses", False),
        ("xkcd bvmt prrs", "vowelless_words", True),
    ],
)
def test_a_signal_says_what_its_name_says(answer, signal, high):
    values = dict(zip([one.name for one in SIGNALS], measure("Why does the pump leak oil?", answer), strict=True))
    assert (values[signal] > 0.5) is high


@pytest.mark.parametrize(
    ("prompt", "answer"), [("", ""), ("?", "   "), ("\ud83d", "\ud83d"), ("水", "水は冷たい。"), ("a", "\n\n\n")]
)
def test_signals_of_odd_texts_are_finite_numbers(prompt, answer):
    values = measure(prompt, answer)
    assert len(values) == len(SIGNALS)
    assert np.isfinite(values).all()


def test_the_detector_carries_over_to_rows_of_another_source(rows):
    others = [
        Row(f"o{i}", f"o{i}", f"Please: {prompt}", answer) for i, (prompt, answer) in enumerate(conversations(80, 11))
    ]
    report = transfer(rows, others, SETTINGS, 7, None)
    assert report["n_whole"] == 80
    assert report["within"] == {}
    assert report["kinds"]["all"]["auc"] > 0.9
    assert report == transfer(rows[::-1], others[::-1], SETTINGS, 7, None)


def test_a_part_of_the_rows_is_measured_with_broken_copies_of_its_own_rows_only(rows):
    report = transfer(rows[:100], rows[100:], SETTINGS, 7, None, {"some": {row.row_id for row in rows[150:]}})
    part = report["within"]["some"]
    assert part["n_whole"] == 50
    assert part["kinds"]["all"]["n"] < report["kinds"]["all"]["n"] == 300


def test_a_truncation_never_ends_with_a_line():
    answer = "Oil and water\nSoap and sand\nRope and tar\nSails and masts\nPaint and rust"
    cuts = [corrupt(Corruption.TRUNCATED, "", answer, "", random.Random(i)) for i in range(200)]
    whole_lines = {"\n".join(answer.splitlines()[:n]) for n in range(1, 6)}
    assert not whole_lines & set(cuts)


@pytest.mark.parametrize(
    ("answer", "own", "signal", "expected"),
    [
        ("If the pump leaks oil, switch it off first.", None, "unknown_words", "low"),
        ("Qwrt zzpl vvkd.", None, "unknown_words", "high"),
        ("If the pump leaks oil, switch it off", None, "last_word_cut", "low"),
        ("If the pump leaks oil, switch it off first. Replace the sea", None, "last_word_cut", "high"),
        ("switch it off first. Note the result in the log", None, "word_order", "high"),
        ("result it log first the in switch Note off the", None, "word_order", "low"),
        ("If the pump leaks oil, switch it off first.", None, "letter_pairs", "high"),
        ("Xg qzp wvvk bnnx zqj, kkwx vb gqq pzzf.", None, "letter_pairs", "low"),
        ("The pump leaks oil, so the crew should look at the pump.", None, "fits_prompt_words", "high"),
        ("The galley is bent, so call the yard.", None, "fits_prompt_words", "low"),
    ],
)
def test_a_signal_of_the_set_says_what_its_name_says(answer, own, signal, expected):
    pairs = conversations(120)
    usual = background([prompt for prompt, _ in pairs], [answer for _, answer in pairs], 7)
    prompt = "Our pump leaks oil since last night. What should the crew do?"
    names = [one.name for one in CONTEXT_SIGNALS]
    value = measure_context(prompt, answer, own, usual)[names.index(signal)]
    middle = {"letter_pairs": -3.0, "word_order": 0.6}.get(signal, 0.5)
    assert (value > middle) is (expected == "high")


def test_a_text_is_no_evidence_for_itself():
    prompts, answers = ["Why?", "How?"], ["The zygote divides slowly.", "Turn the key."]
    usual = background(prompts, answers, 7)
    names = [one.name for one in CONTEXT_SIGNALS]
    own = measure_context(prompts[0], answers[0], answers[0], usual)
    assert own[names.index("unknown_words")] == 0.75  # "the" is in the other row
    assert own[names.index("word_order")] == pytest.approx(0.5)
    assert measure_context(prompts[0], answers[0], None, usual)[names.index("unknown_words")] == 0.0


def test_an_answer_fits_its_prompt_when_no_other_prompt_is_nearer():
    one, two, three = np.eye(3)
    strangers = np.array([one, two])
    near, far = cosine_signals(np.array([one, one]), np.array([one, two]), strangers)
    assert near[:2].tolist() == [1.0, 1.0]
    assert far[:2].tolist() == [0.0, 0.0]
    assert near[2] > 0 > far[2]
    alone = cosine_signals(np.array([three]), np.array([three]), np.array([three]))
    assert np.isfinite(alone).all()
