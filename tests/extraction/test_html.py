import pytest

from steps.extraction.html import read_html
from steps.extraction.reasons import ExtractDrop, UnusableError

PAGE = """<html><head><title>Plan | Wiki</title></head><body>
<nav><ul><li><a href="/home">Home page</a></li><li><a href="/login">Log in here</a></li></ul></nav>
<main><article>{heading}<p>The cache cuts latency by a third on long inputs. It was measured twice.</p>
<h2>Findings</h2><ul><li>it is fast</li><li>it is small</li></ul>
<pre><code>run --all</code></pre></article></main><footer><p>Privacy policy and cookies</p></footer></body></html>"""


def test_main_content_becomes_markdown_without_navigation() -> None:
    found = read_html(PAGE.format(heading="<h1>Cache plan</h1>").encode())
    text = found.text
    assert found.title == "Cache plan"
    assert "## Findings\n\n- it is fast\n- it is small" in text
    assert "```\nrun --all\n```" in text
    assert [place.label for place in found.offset_map] == ["Cache plan", "Findings"]
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


def markdown(body: str) -> str:
    return read_html(f"<html><body>{body}</body></html>".encode()).text


def test_lists_nest_and_keep_their_blocks() -> None:
    body = "<ol start=3><li>a<ul><li>b</li></ul></li><li><p>c</p><pre>d</pre></li></ol>"
    body += "<ul><li>e</li><ul><li>f</li></ul></ul>"
    assert markdown(body) == "3. a\n   - b\n4. c\n\n   ```\n   d\n   ```\n\n- e\n  - f"


def test_table_cells_that_span_stand_in_every_row_they_cover() -> None:
    rows = "<tr><th>a<th>b<th>c<tr><td rowspan=2>1<td>2<td>3|4<tr><td colspan=2><b>5</b><br>6"
    assert markdown(f"<table><caption>Sums</caption>{rows}</table>") == (
        "Sums\n\n| a | b | c |\n| --- | --- | --- |\n| 1 | 2 | 3\\|4 |\n| 1 | **5** 6 | **5** 6 |"
    )


def test_table_that_only_lays_out_a_page_is_read_as_its_blocks() -> None:
    assert markdown("<table><tr><td><p>a</p><p>b</p></td><td><table><tr><td>c<td>d</table></td></tr></table>") == (
        "a\n\nb\n\n| c | d |\n| --- | --- |"
    )


def test_marks_code_formulas_and_exponents_are_kept() -> None:
    body = "<p>A <b> bold </b>word, <code>x = 1</code>, 10<sup>6</sup> H<sub>2</sub>O <sup>[2]</sup></p>"
    assert markdown(body) == "A **bold** word, `x = 1`, 10^6 H2O"
    assert markdown('<p><math alttext="{\\displaystyle a^2}"><mi>a</mi></math></p>') == "$a^2$"
    assert markdown('<pre class="x"><code class="language-python">a<br>b</code></pre>') == "```python\na\nb\n```"
    assert markdown("<dl><dt>Duck<dd>a bird<dd>a fabric</dl>") == "- **Duck**\n  - a bird\n  - a fabric"
    assert markdown("<blockquote><p>a</p><p>b</p></blockquote>") == "> a\n>\n> b"


def test_hidden_and_permanent_links_are_left_out() -> None:
    body = (
        '<h2>Use<a class="headerlink" href="#use">¶</a></h2><p style="display: none">no</p><p hidden>no</p><p>yes</p>'
    )
    assert markdown(body) == "## Use\n\nyes"


def test_links_in_a_cell_of_data_are_no_navigation() -> None:
    links = "".join(f"<li><a href='/{name}'>{name}</a></li>" for name in ("Ann Miller", "Bob Smith", "Cem Kaya"))
    text = read_html(
        (
            "<html><body><nav><a href='/'>Home page</a></nav><main><h1>Team</h1><p>All the people who work on the "
            f"cache since its first release in the spring.</p><table><tr><th>who<td><ul>{links}</ul></td></tr>"
            "</table></main></body></html>"
        ).encode()
    ).text
    assert "Bob Smith" in text
    assert "Home page" not in text


def test_page_is_decoded_by_the_charset_that_it_states() -> None:
    page = '<html><head><meta charset="cp1251"></head><body><p>Привет, мир</p></body></html>'
    assert read_html(page.encode("cp1251")).text == "Привет, мир"


def test_licence_is_what_the_page_links() -> None:
    page = '<p>Text of a page.</p><a rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/">CC</a>'
    assert read_html(page.encode()).licence == "CC-BY-SA-4.0"


@pytest.mark.parametrize("element", ["<div>", "<b>", "<ul><li>"])
def test_elements_nested_without_end_are_refused(element: str) -> None:
    with pytest.raises(UnusableError) as caught:
        read_html(f"<html><body>{element * 50_000}text".encode())
    assert caught.value.reason == ExtractDrop.TOO_DEEP_MARKUP


def test_table_that_spans_without_end_is_refused() -> None:
    cells = "<td colspan=99999>x" * 200
    with pytest.raises(UnusableError) as caught:
        read_html(f"<table>{'<tr>' + cells}{('<tr>' + cells) * 5}</table>".encode())
    assert caught.value.reason == ExtractDrop.TOO_LARGE_TEXT
