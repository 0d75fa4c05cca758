import pytest
from pydantic import ValidationError

from steps.filtering.keywords import KeywordSettings, excluded_keywords


@pytest.fixture
def found(batch):
    def find(rows, *phrases, **settings):
        settings = KeywordSettings(phrases=phrases, **settings)
        return [failure.detail for failure in excluded_keywords(batch(rows), settings).failures]

    return find


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("ass", "An ass."),
        ("do not distribute", "Internal: DO NOT\n distribute!"),
        ("C++", "in C++, say"),
        ("élan", "with Élan."),
        ("机密", "这是机密文件"),
        (".env", "the .env file"),
    ],
)
def test_a_phrase_is_found_as_whole_words(row, found, phrase, text):
    assert len(found([row(text)], phrase)) == 1


@pytest.mark.parametrize(
    ("phrase", "text"), [("ass", "a class"), ("pass", "password"), ("élan", "élans"), ("a b", "a-b")]
)
def test_a_phrase_inside_other_words_is_not_found(row, found, phrase, text):
    assert found([row(text)], phrase) == []


def test_the_ledger_detail_quotes_the_phrase_with_its_surroundings(row, found):
    assert found([row("This is  SECRET stuff")], "secret") == ["'SECRET' in “This is SECRET stuff”"]


def test_only_the_chosen_side_is_searched(row, found):
    rows = [row("fine", prompt="secret")]
    assert found(rows, "secret", search_in="answer") == []
    assert len(found(rows, "secret", search_in="prompt")) == 1
    assert len(found(rows, "secret")) == 1


def test_a_blank_phrase_is_refused():
    with pytest.raises(ValidationError, match="match every row"):
        KeywordSettings(phrases=("fine", " "))
