import pytest

from steps.synthesis.pairs import Document, Pair
from steps.synthesis.passages import section_pairs

PROSE = (
    "The cache keeps the answers of slow requests near the caller, so that a second request does not wait. It holds "
    "them for an hour and then asks again. Its size is set in the config, and when it is full the oldest entry goes."
)


def pairs(text: str, title: str | None = "Cache guide") -> list[Pair]:
    return list(section_pairs(Document(text, title, "markdown", seed=1)))


def test_section_is_the_answer_to_a_question_about_its_heading() -> None:
    code = "```python\nx = answers[0][1]\n```"
    text = f"# Cache guide\n\n## Storage\n\n{PROSE}\n\nRead it with [the client](client.md):\n\n{code}\n\nDone."
    (pair,) = pairs(text)
    assert '"Storage" (Cache guide)' in pair.prompt
    assert pair.answer == text[pair.start : pair.end].replace("[the client](client.md)", "the client")
    assert "answers[0][1]" in pair.answer


@pytest.mark.parametrize(
    ("heading", "prompt"),
    [
        ("Why is it fast?", "Why is it fast? (Cache guide)"),
        ("2. How to Use the cache guide", "How do I use the cache guide?"),
        ("How to SSH into it", "How do I SSH into it? (Cache guide)"),
    ],
)
def test_heading_that_asks_is_the_question(heading: str, prompt: str) -> None:
    assert [pair.prompt for pair in pairs(f"# {heading}\n\n{PROSE}")] == [prompt]


@pytest.mark.parametrize(
    "text",
    [
        "# A\n\nToo short to say much.",
        f"# Contributing\n\n{PROSE}",
        f"# A\n\n{PROSE} As shown above, it works.",
        f"# A\n\n{PROSE} See [the other page](other.md).",
        f"# A\n\n{PROSE}\n\nThen run:",
        f"# A\n\n<Tip>\n\n{PROSE}\n\n</Tip>",
        f"# A\n\n- a list first\n\n{PROSE}",
        f"# A\n\n{PROSE}\n\n```\nunnamed output\n```\n\nDone.",
        f"# Summary\n\n{PROSE}",
        PROSE,
    ],
)
def test_section_that_cannot_stand_alone_is_left_out(text: str) -> None:
    assert pairs(text) == []
