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


def test_only_rows_of_the_chosen_languages_are_searched(row, found):
    german = row("Die Katze liegt auf dem Sofa und schläft den ganzen Tag, weil die Sonne scheint.")
    english = row("Many plants die in the winter because the ground is frozen and there is no water.")
    assert len(found([german, english], "die")) == 2
    assert [detail.startswith("'Die'") for detail in found([german, english], "die", languages=("de",))] == [True]


def test_phrases_of_a_file_join_those_of_the_config(tmp_path):
    listed = tmp_path / "phrases.txt"
    listed.write_text("\ufeff# our list\nfrom the file\n\n  secret  \nsecret\n", encoding="utf-8")
    settings = KeywordSettings(phrases=("config", "secret"), phrases_path=str(listed))
    assert settings.phrases == ("config", "secret", "from the file")
    # What was read is the config, so that a changed file is another config.
    assert settings == KeywordSettings(phrases=("config", "secret", "from the file"))


def test_a_file_of_phrases_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    for name in ("absent.txt", "latin.txt"):
        with pytest.raises(ValidationError, match=f"phrases_path=.*{name} is no readable UTF-8 file"):
            KeywordSettings(phrases_path=str(tmp_path / name))
    (tmp_path / "empty.txt").write_text("# nothing\n")
    with pytest.raises(ValidationError, match="no phrase to look for"):
        KeywordSettings(phrases_path=str(tmp_path / "empty.txt"))
