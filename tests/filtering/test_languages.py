import socket

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from steps.filtering.languages import LanguageSettings, detect_languages, unwanted_languages

ENGLISH = "The quick brown fox jumps over the lazy dog, and nobody in the village has ever been able to say why."
GERMAN = "Der schnelle braune Fuchs springt über den faulen Hund, und niemand im Dorf hat je sagen können, warum."
CHINESE = "敏捷的棕色狐狸跳过了懒狗，村里没有人能说出这是为什么，也没有人想知道它从哪里来，要到哪里去，什么时候回来。"


@pytest.fixture
def reasons(row, batch):
    def run(answer, prompt="Please go on.", **settings):
        outcome = unwanted_languages(batch([row(answer, prompt)]), LanguageSettings(**settings))
        return [failure.reason.value for failure in outcome.failures]

    return run


def test_texts_are_told_apart_and_what_has_no_letter_is_unknown():
    codes, confidences = detect_languages(pa.chunked_array([[ENGLISH, GERMAN], [CHINESE, "", None, "42 + 1 …", "\0"]]))
    assert codes.to_pylist() == ["en", "de", "zh", "und", "und", "und", "und"]
    assert (confidences[:3] > 0.7).all()
    assert (confidences[3:] == 0).all()
    assert confidences.dtype == np.float64


def test_capitals_are_read_like_small_letters():
    assert detect_languages(pa.array([ENGLISH.upper()]))[0].to_pylist() == ["en"]


def test_code_does_not_say_the_language():
    code = "```python\n" + "for wert in liste: print(wert)\n" * 20 + "```\n"
    assert detect_languages(pa.array([code + ENGLISH, code]))[0].to_pylist() == ["en", "und"]


def test_nothing_is_fetched(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert detect_languages(pa.array([ENGLISH]))[0].to_pylist() == ["en"]


@pytest.mark.parametrize(
    ("answer", "settings", "expected"),
    [
        (GERMAN, {}, []),
        (GERMAN, {"allowed": ("en",)}, ["language_not_allowed"]),
        (GERMAN, {"allowed": ("en", "de")}, []),
        (CHINESE, {"excluded": ("zh",)}, ["language_excluded"]),
        (GERMAN, {"allowed": ("en",), "min_letters": 500}, []),
        ("Guten Tag", {"allowed": ("en",)}, []),
        (GERMAN, {"allowed": ("en",), "min_confidence": 1.0}, []),
        (GERMAN, {"allowed": ("en",), "min_confidence": 1.0, "drop_unclear": True}, ["language_unclear"]),
        ("```c\n" + "int wert = funktion(liste);\n" * 9 + "```", {"allowed": ("en",)}, []),
    ],
)
def test_answers_are_held_to_the_languages_that_are_wanted(reasons, answer, settings, expected):
    assert reasons(answer, **settings) == expected


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (ENGLISH, ["answer_in_another_language"]),
        (GERMAN, []),
        (f"Translate: {ENGLISH}", []),
        ("Why?", []),
        (f"Say it in German. {ENGLISH}", []),
    ],
)
def test_an_answer_is_in_the_language_of_the_question_unless_another_is_asked_for(reasons, prompt, expected):
    assert reasons(GERMAN, prompt, prompt_answer_mismatch=True) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"allowed": ("xx",)}, "no language"),
        ({"allowed": ("en",), "excluded": ("en",)}, "both allowed and excluded"),
        ({"allowed": ("English",)}, "pattern"),
    ],
)
def test_languages_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        LanguageSettings(**settings)
