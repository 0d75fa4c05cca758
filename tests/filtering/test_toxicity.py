import pytest
from pydantic import ValidationError

import steps.filtering.toxicity as module
from steps.filtering.toxicity import ToxicitySettings, toxic


@pytest.fixture
def failures(batch):
    def run(rows, **settings):
        return [tuple(failure) for failure in toxic(batch(rows), ToxicitySettings(**settings)).failures]

    return run


def test_words_are_matched_whole_and_in_any_case(row, failures):
    rows = [row("You BAD  Word, you"), row("badword, badge", position=1), row("他是笨蛋吗", position=2)]
    found = failures(rows, words=("bad word", "笨蛋", "bad"), max_probability=None)
    assert [(position, reason) for position, reason, *_ in found] == [(0, "toxic_words"), (2, "toxic_words")]
    assert found[0][3] == "'BAD  Word' in “You BAD Word, you”"


def test_a_word_that_the_user_wrote_is_quoted(row, failures):
    rows = [row("“Nitwit” means fool.", prompt="What does nitwit mean?"), row("nitwit", position=1)]
    assert [found[0] for found in failures(rows, words=("nitwit",), max_probability=None)] == [1]


def test_one_toxic_sentence_is_found_in_a_long_answer(row, failures):
    calm = "The river runs through the valley and the mill stands beside it. " * 30
    rows = [row(calm), row(calm + "You are a fucking idiot. " + calm, position=1)]
    ((position, reason, score, detail),) = failures(rows)
    assert (position, reason) == (1, "toxic_language")
    assert score > 0.97
    assert "fucking idiot" in detail


def test_a_quotation_of_the_user_is_not_the_answers_fault(row, failures):
    insult = "You are a fucking idiot"
    assert failures([row(f"It says: {insult}.", prompt=f"Translate: {insult}")]) == []


def test_the_probability_is_a_setting_and_can_be_off(row, failures):
    rows = [row("what a shame, the beautiful and damned")]
    assert failures(rows) == []
    assert len(failures(rows, max_probability=0.01)) == 1
    assert failures([row("You are a fucking idiot")], max_probability=None) == []


def test_a_batch_without_rows_has_no_failures(failures):
    assert failures([]) == []


def test_without_the_extra_the_settings_say_what_to_install(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"pip install 'tunesmith\[toxicity\]'"):
        ToxicitySettings()
    assert ToxicitySettings(max_probability=None, words=("a",)).words == ("a",)


def test_a_blank_word_is_refused():
    with pytest.raises(ValidationError, match="blank"):
        ToxicitySettings(words=("a", " "), max_probability=None)
