import pytest

from steps.filtering.engine import failures_of
from steps.filtering.web_page import WebPageSettings, web_page_remains

FIVE = "One is here. Two is here. Three is here. Four is here. Five is here."


@pytest.fixture
def reasons(batch, row):
    def find(answer, **settings):
        found = failures_of(web_page_remains(batch([row(answer)]), WebPageSettings(**settings)))
        return [failure.reason.value for failure in found.values()]

    return find


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (FIVE, []),
        ("Home\nAbout us\nOne sentence is not enough.", ["too_few_sentences"]),
        (FIVE.replace("here.", "here").replace("Five is here", "Five is here."), ["too_few_sentences"]),
        (FIVE.replace(". ", ".\n"), []),
        (FIVE.replace("Five", "JavaScript"), ["too_few_sentences"]),
        (FIVE + "\nWe use cookies on this page.", []),
        (FIVE + "\nThis is Lorem ipsum dolor.", ["lorem_ipsum"]),
        (FIVE + "\nLorem ipsum without an end", []),
        (FIVE + "\nThe function f() { returns }.", ["curly_bracket"]),
        (FIVE + "\nfunction f() {\n}", []),
        ("One is here.[1]\nTwo is here.[2]\nThree is here.[edit]\nFour is here.\nFive is here.", []),
    ],
)
def test_lines_that_read_like_sentences_are_what_counts(reasons, answer, expected):
    assert reasons(answer) == expected


def test_each_rule_can_be_switched_off(reasons):
    assert reasons("Short.", min_sentences=None) == []
    assert reasons(FIVE + "\nThe set {a} is here.", drop_curly_brackets=False) == []
    assert reasons(FIVE + "\nThis is lorem ipsum now.", drop_lorem_ipsum=False) == []
