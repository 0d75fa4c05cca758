import pytest

from steps.synthesis.lists import list_pairs
from steps.synthesis.pairs import Document, Pair

ITEMS = "- it takes an hour at most\n- it takes no memory at all\n- it takes [care](care.md) of itself"


def pairs(text: str, title: str | None = "Cache") -> list[Pair]:
    return list(list_pairs(Document(text, title, "markdown", seed=1)))


def test_introduced_list_is_asked_for_by_its_lead(guide: str) -> None:
    (pair,) = pairs(guide, "Cache guide")
    assert "leaves the cache for one of several reasons" in pair.prompt
    assert '"Eviction" (Cache guide)' in pair.prompt
    assert pair.answer.splitlines()[-1] == "- somebody purged it by hand, see purging"
    assert guide[pair.start : pair.end].startswith("- its time to live")


def test_list_right_under_its_heading_is_asked_for_by_the_heading() -> None:
    (pair,) = pairs(f"# Costs\n\n{ITEMS}")
    assert '"Costs" (Cache)' in pair.prompt


@pytest.mark.parametrize(
    "text",
    [
        f"# Table of contents\n\n{ITEMS}",
        f"# Links\n\n## More\n\n{ITEMS}",
        f"# A\n\nNo lead-in, but a sentence.\n\n{ITEMS}",
        "# A\n\n- one\n- two\n- three",
        "# A\n\n- [a page about this](a.md)\n- [a page about that](b.md)\n- [one more page](c.md)",
        "# A\n\n- [this](a.md): how it all begins\n- [that](b.md): how it goes on then\n- and how it ends in the end",
        "# A\n\n- see [a page about this](a.md)\n- see [a page about that](b.md)\n- see [one more page](c.md)",
        "# A\n\n- [ ] do the first thing\n- [x] do the second thing\n- [ ] do the third thing",
        "# A\n\n- <Tip>the first point</Tip>\n- this is the second one\n- this is the third one",
        "# A\n\n- only two points here\n- which are no list",
    ],
)
def test_navigation_names_and_loose_lists_are_left_out(text: str) -> None:
    assert pairs(text) == []


def test_list_under_a_heading_that_says_nothing_needs_a_title() -> None:
    assert pairs(f"# Overview\n\n{ITEMS}", None) == []
    assert len(pairs(f"# Overview\n\n{ITEMS}", "Cache")) == 1
