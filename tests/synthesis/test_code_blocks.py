import pytest

from steps.synthesis.code_blocks import code_pairs
from steps.synthesis.pairs import Document, Pair

LEAD = "Start the cache with the size that the config gives:"


def pairs(text: str) -> list[Pair]:
    return list(code_pairs(Document(text, "Cache guide", "markdown", seed=1)))


def test_code_is_asked_for_by_the_paragraph_before_it() -> None:
    text = f"# Start\n\n{LEAD}\n\n```bash\ncache --config a.yaml\n```\n"
    (pair,) = pairs(text)
    assert pair.prompt.endswith(LEAD)
    assert "shell" in pair.prompt
    assert '"Start" (Cache guide)' in pair.prompt
    assert pair.answer == "```bash\ncache --config a.yaml\n```" == text[pair.start : pair.end]


@pytest.mark.parametrize(
    "text",
    [
        f"# Start\n\n{LEAD}\n\n```\nunnamed\n```",
        f"# Start\n\n{LEAD}\n\n```mermaid\na --> b\n```",
        f"# Start\n\n{LEAD}\n\n```bash\n# only a comment\n```",
        f"# Start\n\n{LEAD}\n\n```bash\nnever closed",
        "# Start\n\nRun:\n\n```bash\ncache\n```",
        "# Start\n\nStart it like this and it gives this output:\n\n```bash\ncache\n```",
        "# Start\n\nNow change the code of the previous section a little:\n\n```bash\ncache\n```",
        f"# Start\n\n{LEAD}\n\n- a list between\n\n```bash\ncache\n```",
    ],
)
def test_output_and_unexplained_code_are_left_out(text: str) -> None:
    assert pairs(text) == []
