import pytest

from steps.extraction.markdown import first_heading, read_markdown
from steps.extraction.reasons import ExtractDrop, UnusableError


def test_front_matter_is_split_off_and_names_the_title() -> None:
    found = read_markdown(b"---\ntitle: The guide\ntags: [a]\n---\n\n# Start\n\nText.")
    assert (found.text, found.title) == ("# Start\n\nText.", "The guide")


def test_toml_front_matter_and_leading_comments_are_split_off() -> None:
    found = read_markdown(b'+++\ntitle = "Guide"\n+++\n<!-- Copyright\n us -->\nText.')
    assert (found.text, found.title) == ("Text.", "Guide")


def test_front_matter_that_is_no_valid_yaml_is_still_split_off() -> None:
    found = read_markdown(b"---\ntitle: a: b\n---\n# Head\n")
    assert (found.text, found.title) == ("# Head", "Head")


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


def test_front_matter_and_header_name_the_licence() -> None:
    assert read_markdown(b"---\nlicense: apache-2.0\n---\nText").licence == "Apache-2.0"
    assert read_markdown(b"<!-- SPDX-License-Identifier: CC-BY-4.0 -->\n# A\n").licence == "CC-BY-4.0"
    assert read_markdown(b"---\nlicense: ask us\n---\nText").licence is None


def test_sections_are_where_the_headings_are() -> None:
    found = read_markdown("intro\n\n# Eins ä\n\n```\n# no\n```\n\nTwo\n---\ntext")
    assert [(place.label, found.text[place.start :][:3]) for place in found.offset_map] == [
        ("Eins ä", "# E"),
        ("Two", "Two"),
    ]


def test_alias_bomb_in_front_matter_is_never_written_out() -> None:
    levels = [f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefghij", "bcdefghijk", strict=True)]
    bomb = "\n".join(["---", "a: &a [x, x]", *levels, "title: *k", "---", "Text"])
    found = read_markdown(bomb)
    assert (found.text, found.title) == ("Text", None)
