import pytest

from steps.synthesis.definitions import definition_pairs
from steps.synthesis.pairs import Document, Pair


def pairs(text: str, title: str | None = None) -> list[Pair]:
    return list(definition_pairs(Document(text, title, "markdown", seed=1)))


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("# Gateway\n\nA gateway is the part that takes all requests first.", "gateway"),
        ("# Parts\n\nThe **request broker** is a part that takes all requests first.", "request broker"),
        ("# Parts\n\n`gateway_url` is the address at which all the requests arrive.", "`gateway_url`"),
        (
            "# Varnish\n\n[Varnish](https://example.org) is a cache that very many of us use.",
            "Varnish",
        ),
    ],
)
def test_definition_asks_for_the_term_that_it_defines(text: str, term: str) -> None:
    (pair,) = pairs(text)
    assert term in pair.prompt
    assert text[pair.start : pair.end] == pair.answer


def test_answer_ends_with_a_whole_sentence() -> None:
    text = "# Broker\n\nThe broker is the part that takes requests. It is\nfast and small. Configure it with:\n"
    (pair,) = pairs(text)
    assert pair.answer == "The broker is the part that takes requests. It is fast and small."
    assert " ".join(text[pair.start : pair.end].split()) == pair.answer


def test_plural_is_asked_for_in_the_plural() -> None:
    prompts = {
        pair.prompt
        for seed in range(20)
        for pair in definition_pairs(
            Document("# Brokers\n\nBrokers are the parts that take all requests first.", None, "markdown", seed)
        )
    }
    assert any("are Brokers" in prompt or "Brokers are" in prompt for prompt in prompts)
    assert not any("What is Brokers" in prompt for prompt in prompts)


@pytest.mark.parametrize(
    "text",
    [
        "# This\n\nThis is a paragraph that defines nothing at all for anybody.",
        "# Parts\n\nThe gateway is the part that takes all requests first.",
        "# Gateway\n\nThe gateway is a part.",
        "# References\n\n**Gateway** is the part that takes all requests first.",
        "# Gateway\n\nThe gateway is a part that consists of the following things:",
    ],
)
def test_what_defines_no_term_of_its_own_is_left_out(text: str) -> None:
    assert pairs(text) == []
