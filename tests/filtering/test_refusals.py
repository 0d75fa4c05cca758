import pytest
from pydantic import ValidationError

from steps.filtering.batch import Batch
from steps.filtering.refusals import RefusalSettings, refused


@pytest.fixture
def reasons(batch):
    def find(rows, **settings):
        return [failure.reason.value for failure in refused(batch(rows), RefusalSettings(**settings)).failures]

    return find


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, but I cannot provide that.",
        "Sorry, I am not able to generate images.",
        "I apologize for any confusion, but I am unable to access the link.",
        "Unfortunately, I cannot browse the internet.",
        "I cannot fulfill this request.",
        "I won't help with that.",
        "I'm sorry, but as a chatbot for cooking, I cannot discuss politics.",
    ],
)
def test_answers_that_begin_by_refusing_fall(row, reasons, answer):
    assert reasons([row(answer)]) == ["refusal"]


@pytest.mark.parametrize(
    "answer",
    [
        "As an AI language model, I have no feelings.",
        "Well. As an AI assistant, I cannot taste food.",
        "I'm just an AI language model.",
        "My knowledge cutoff is September 2021.",
        "Nice question! I don't have personal opinions on that.",
    ],
)
def test_assistants_that_speak_of_themselves_fall(row, reasons, answer):
    assert reasons([row(answer)]) == ["ai_boilerplate"]


@pytest.mark.parametrize(
    "answer",
    [
        "Dear Ann, I'm sorry, but I can't come to your party.",
        "I'm sorry I can't come to your party, Ann. I will write soon.",
        "The server answers: sorry, I cannot provide that file.",
        "I cannot stay, she said, and left.",
        "Raise an error: \"I'm sorry, but I can't assist with that.\"",
        "An AI model is trained on text. A language model predicts words.",
        "Sorry seems to be the hardest word.",
        "The training data contains logs from October.",
    ],
)
def test_letters_stories_and_explanations_stay(row, reasons, answer):
    assert reasons([row(answer)]) == []


def test_words_that_the_user_gave_are_a_quotation(row, reasons):
    prompt = "Count the vowels of: I am an AI language model"
    assert reasons([row('vowels("I am an AI language model") == 10', prompt=prompt)]) == []


def test_each_family_can_be_switched_off_and_patterns_added(row, reasons):
    rows = [row("I can't help with that."), row("As an AI language model, I", position=1)]
    rows.append(row("Das kann ich leider nicht.", position=2))
    assert reasons(rows, drop_refusals=False) == ["ai_boilerplate"]
    assert reasons(rows, drop_boilerplate=False, more_patterns=(r"\Adas kann ich leider nicht",)) == ["refusal"] * 2


def test_a_broken_pattern_is_refused_by_name():
    with pytest.raises(ValidationError, match=r"more_patterns\[0\]"):
        RefusalSettings(more_patterns=("(",))


def test_a_refusal_in_a_later_turn_counts(examples):
    table = examples([("user", "a"), ("assistant", "Sure."), ("user", "b"), ("assistant", "I cannot help with that.")])
    (failure,) = refused(Batch(table), RefusalSettings()).failures
    assert (failure.reason.value, failure.detail) == ("refusal", "I cannot help with that.")
