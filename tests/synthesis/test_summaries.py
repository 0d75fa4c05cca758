import pytest

from steps.synthesis.pairs import Document, Pair
from steps.synthesis.summaries import INSTRUCTIONS, summary_pairs


def pairs(text: str, format_name: str = "markdown") -> list[Pair]:
    return list(summary_pairs(Document(text, None, format_name, seed=1)))


def test_prompt_holds_the_text_without_its_summary_and_the_answer_only_the_points(guide: str) -> None:
    (pair,) = pairs(guide)
    instruction, _, context = pair.prompt.partition("\n\n")
    assert instruction in INSTRUCTIONS
    before, behind = guide.split("## TL;DR")
    assert context == before + behind[behind.index("## See also") :].rstrip("\n")
    assert (
        pair.answer == "## TL;DR\n- the cache keeps answers of slow requests for an hour\n- it lies beside the gateway"
    )
    assert guide[pair.start : pair.end] == pair.answer.removeprefix("## TL;DR\n")


@pytest.mark.parametrize(
    "summary",
    [
        "## Key takeaways\n\nIt is fast. It is small, e.g. 3 MB.",
        "TL;DR:\n- It is fast.\n- It is small, e.g. 3 MB.",
        "**TL;DR:** It is fast. It is small, e.g. 3 MB.",
        "In short: It is fast. It is small, e.g. 3 MB.",
        "### Abstract\n\nIt is as follows:\n\n* It is fast.\n* It is small,\n  e.g. 3 MB.",
    ],
)
def test_summaries_in_any_dress_give_the_same_answer(summary: str) -> None:
    (pair,) = pairs(f"Cache plan\n\nThe cache is fast and it is small.\n\n{summary}\n", "text")
    assert pair.answer == "## TL;DR\n- It is fast.\n- It is small, e.g. 3 MB."
    assert pair.prompt.endswith("\n\nCache plan\n\nThe cache is fast and it is small.")


def test_summary_of_a_chapter_is_about_that_chapter_alone() -> None:
    text = "# Book\n\n## One\n\nThe first chapter is long.\n\n### Summary\n\n- first\n\n## Two\n\nSecond chapter.\n"
    (pair,) = pairs(text)
    assert pair.prompt.partition("\n\n")[2] == "## One\n\nThe first chapter is long."


@pytest.mark.parametrize(
    "text",
    [
        "# T\n\nNothing here is a summary, it is only a paragraph.",
        "# T\n\n## Summary\n\n- all that there is",
        "# T\n\nA text about the cache and what it holds.\n\n## Summary\n\n- Home page: https://example.org/a",
        "# T\n\nA text about the cache and what it holds.\n\n## Summary\n\n| a | b |\n|---|---|\n| 1 | 2 |",
        "# T\n\nA text about the cache.\n\n## Abstract\n\nQuarterly profits exceeded analyst forecasts as European "
        "subsidiaries restructured their outstanding long-term obligations.",
    ],
)
def test_no_pair_without_text_points_or_grounding(text: str) -> None:
    assert pairs(text) == []
