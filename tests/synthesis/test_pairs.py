import pytest

from steps.synthesis.pairs import Document, clean, has_machine_markup, is_navigation, leans_on_links, strip_number


def topics(text: str, title: str | None) -> list[str | None]:
    document = Document(text, title, "markdown", seed=1)
    return [document.topic(section) for section in document.sections]


def test_topic_names_the_heading_the_title_and_the_nearest_parent() -> None:
    text = "# Guide\n\n## 2. Cache\n\n### Setup\n\n#### Ports\n"
    assert topics(text, "Guide") == ['"Guide"', '"Cache" (Guide)', '"Setup" (Guide, Cache)', '"Ports" (Guide, Setup)']


def test_generic_heading_alone_is_no_topic() -> None:
    assert topics("# Overview\n\n# Eviction\n", None) == [None, '"Eviction"']
    assert topics("# Overview\n", "README") == [None]


def test_clean_takes_links_of_the_documentation_and_leaves_the_web_and_code() -> None:
    source = (
        "See [here](a.md#b), [there](https://example.org), `x[0](1)`, ![l](l.png) [![b](b.svg)](https://b) [ref][1]."
    )
    assert clean(source) == "See here, [there](https://example.org), `x[0](1)`, ref."
    assert clean("```py\nrows[0][1]\n```") == "```py\nrows[0][1]\n```"


@pytest.mark.parametrize(
    "source", ["<Tip>x", "a {{ b }}", ":::note\nx", "import X from 'y'", "- .. note:: x", "<!-- x -->"]
)
def test_machine_markup_is_recognised_outside_of_code(source: str) -> None:
    assert has_machine_markup(source)
    assert not has_machine_markup(f"text `{source}` text" if "\n" not in source else f"```\n{source}\n```")


@pytest.mark.parametrize("source", ["see :ref:`x`", "the {py:class}`a.B` class", "the `guide <a.html>`_ says"])
def test_roles_and_links_of_sphinx_are_machine_markup(source: str) -> None:
    assert has_machine_markup(source)


def test_comparisons_and_addresses_are_no_machine_markup() -> None:
    assert not has_machine_markup("if a < b and c > d, see <https://example.org> :: done")


def test_passage_that_is_mostly_links_is_navigation() -> None:
    assert is_navigation("- [The first page](a.md)\n- [The second page](b.md)")
    assert is_navigation("Home: https://example.org/x")
    assert not is_navigation("The [cache](a.md) keeps the answers of slow requests.")


def test_passage_that_sends_the_reader_on_is_recognised() -> None:
    assert leans_on_links("For all options refer to the [config page](config.md).")
    assert not leans_on_links("Read more on [the web](https://example.org).")


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("1. Setup:", "Setup"),
        ("🚀 Go", "Go"),
        ("3.2 Data", "Data"),
        ("401 Unauthorized", "401 Unauthorized"),
        ("`x`", "`x`"),
    ],
)
def test_numbers_and_emoji_are_taken_off_headings(heading: str, words: str) -> None:
    assert strip_number(heading) == words


def test_two_copies_of_a_passage_are_asked_about_in_the_same_words():
    phrasings = tuple(f"phrasing {n}" for n in range(50))
    note = "Some note.\n\n## TL;DR\n\n- the cache cuts latency by 35 percent on long inputs, and that is all there is\n"
    copy = "A longer beginning of the note.\n\n" + note
    chosen = {
        Document(text, None, "markdown", seed=1).choose(phrasings, "summary", text.index("- the"))
        for text in (note, copy)
    }
    assert len(chosen) == 1
    others = {Document(f"- item {n}", None, "markdown", seed=1).choose(phrasings, "summary", 0) for n in range(20)}
    assert len(others) > 5
