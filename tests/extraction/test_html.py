import pytest

from steps.extraction.html import read_html
from steps.extraction.reasons import ExtractDrop, UnusableError

PAGE = """<html><head><title>Plan | Wiki</title></head><body>
<nav><ul><li><a href="/home">Home page</a></li><li><a href="/login">Log in here</a></li></ul></nav>
<main><article>{heading}<p>The cache cuts latency by a third on long inputs. It was measured twice.</p>
<h2>Findings</h2><ul><li>it is fast</li><li>it is small</li></ul>
<pre><code>run --all</code></pre></article></main><footer><p>Privacy policy and cookies</p></footer></body></html>"""


def test_main_content_becomes_markdown_without_navigation() -> None:
    text, title = read_html(PAGE.format(heading="<h1>Cache plan</h1>").encode())
    assert title == "Cache plan"
    assert "## Findings\n\n- it is fast\n- it is small" in text
    assert "Log in" not in text
    assert "Privacy" not in text


def test_page_without_a_heading_takes_its_title_element() -> None:
    page = "<html><head><title>Cache plan</title></head><body><p>The cache cuts latency by a third.</p></body></html>"
    assert read_html(page.encode()).title == "Cache plan"


def test_small_page_is_read_whole() -> None:
    text = read_html(b"<html><body><h1>Intro</h1><p>First paragraph.</p><p>Second one.</p></body></html>").text
    assert [line.lstrip("# ") for line in text.splitlines() if line] == ["Intro", "First paragraph.", "Second one."]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"  \n", ExtractDrop.EMPTY_FILE),
        (b"<html>\x00\x01", ExtractDrop.BINARY_FILE),
        (b"<html><body><script>render()</script></body></html>", ExtractDrop.NO_MAIN_CONTENT),
    ],
)
def test_page_without_content_has_a_reason(content: bytes, reason: ExtractDrop) -> None:
    with pytest.raises(UnusableError) as caught:
        read_html(content)
    assert caught.value.reason == reason
