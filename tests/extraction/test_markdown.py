import pytest

from steps.extraction.markdown import first_heading, read_markdown
from steps.extraction.reasons import ExtractDrop, UnusableError


def test_front_matter_is_split_off_and_names_the_title() -> None:
    found = read_markdown(b"---\ntitle: The guide\ntags: [a]\n---\n\n# Start\n\nText.")
    assert found == ("# Start\n\nText.", "The guide")


def test_toml_front_matter_and_leading_comments_are_split_off() -> None:
    found = read_markdown(b'+++\ntitle = "Guide"\n+++\n<!-- Copyright\n us -->\nText.')
    assert found == ("Text.", "Guide")


def test_front_matter_that_is_no_valid_yaml_is_still_split_off() -> None:
    assert read_markdown(b"---\ntitle: a: b\n---\n# Head\n") == ("# Head", "Head")


def test_text_between_two_rules_is_no_front_matter() -> None:
    text = "---\nJust a sentence.\n---\n\nMore."
    assert read_markdown(text).text == text


def test_title_is_the_first_heading_in_either_notation() -> None:
    assert first_heading("intro\n\n## Two ##\n") == "Two"
    assert first_heading("Title\n=====\n\n# Later") == "Title"
    assert first_heading("no heading\n\n- item\n---\n") is None


def test_comments_in_code_are_no_headings() -> None:
    assert first_heading("~~~sh\n# not this\n```\n# nor this\n~~~\n# This") == "This"


def test_nothing_but_front_matter_is_an_empty_file() -> None:
    with pytest.raises(UnusableError) as caught:
        read_markdown(b"---\ntitle: x\n---\n")
    assert caught.value.reason == ExtractDrop.EMPTY_FILE
