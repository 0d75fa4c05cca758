import pytest

from steps.filtering.engine import failures_of
from steps.filtering.quality import QualitySettings, unlike_prose

PROSE = (
    "The router forwards each request to the worker with the shortest queue. When a worker stops answering, its "
    "requests go back to the router, which tries the next one and remembers the failure for a minute. That is how "
    "the service stays up while machines fail, and it has been so for years of use."
)
OFF = dict.fromkeys(QualitySettings.model_fields)


@pytest.fixture
def reason(batch, row):
    """The first reason of an answer that falls; None where it passes."""

    def find(answer, settings):
        found = failures_of(unlike_prose(batch([row(answer)]), QualitySettings(**settings)))
        return found[0].reason.value if found else None

    return find


def test_prose_passes_under_the_thresholds_of_the_papers(reason):
    assert reason(PROSE, {}) is None


@pytest.mark.parametrize(
    ("answer", "setting", "expected"),
    [
        ("Paris.", "min_words", "too_few_document_words"),
        ("a b c d e f", "min_mean_word_length", "words_too_short"),
        ("incomprehensibilities internationalisation", "max_mean_word_length", "words_too_long"),
        ("# one # two", "max_hash_fraction", "too_many_hashes"),
        ("well... perhaps…", "max_ellipsis_fraction", "too_many_ellipses"),
        ("- a\n• b\n- c", "max_bullet_line_fraction", "too_many_bullet_lines"),
        ("one...\ntwo…\nthree", "max_ellipsis_line_fraction", "too_many_ellipsis_lines"),
        ("1 + 1 = 2", "min_alphabetic_fraction", "too_few_alphabetic_words"),
        ("Der Hund schläft", "min_stop_words", "too_few_stop_words"),
        ("no end\nno end", "min_terminal_line_fraction", "too_few_lines_end_sentences"),
        ("short\nlines", "max_short_line_fraction", "too_many_short_lines"),
        ("same line\nsame line", "max_repeated_line_character_fraction", "repeated_full_line_characters"),
        ("a\nb\nc\nd", "max_line_break_fraction", "too_many_line_breaks"),
    ],
)
def test_each_rule_drops_what_it_is_for_alone_and_only_when_it_is_on(reason, answer, setting, expected):
    default = QualitySettings.model_fields[setting].default
    assert reason(answer, OFF | {setting: default}) == expected
    assert reason(PROSE, OFF | {setting: default}) is None
    assert reason(answer, OFF) is None


def test_an_answer_without_any_word_is_judged_by_what_can_be_told(reason):
    assert reason("…!", OFF | {"min_mean_word_length": 3}) is None
    assert reason("…!", OFF | {"min_words": 1}) == "too_few_document_words"
