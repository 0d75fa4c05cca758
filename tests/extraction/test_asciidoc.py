import pytest

from steps.extraction.asciidoc import read_asciidoc
from steps.extraction.reasons import ExtractDrop, UnusableError

PAGE = """\
:toc:
// a comment
= Guide
Text with *bold*, _italic_, `code` and https://example.org[a link], see <<part,the part>>.

[[part]]
== Part
* one
** nested
. first

.Caption
|===
|a |b
|1 |2
|===

[source,python]
----
x = [1]  # == no heading
----

term:: its meaning

____
quoted
____
image::x.png[X]
"""


def test_structure_becomes_markdown() -> None:
    found = read_asciidoc(PAGE.encode())
    assert found.title == "Guide"
    assert found.text == (
        "# Guide\n\nText with **bold**, *italic*, `code` and a link, see the part.\n\n## Part\n\n"
        "- one\n   - nested\n1. first\n\n**Caption**\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n"
        "```python\nx = [1]  # == no heading\n```\n\n- **term**\n  - its meaning\n\n> quoted"
    )
    assert [place.label for place in found.offset_map] == ["Guide", "Part"]


def test_nothing_but_attributes_has_a_reason() -> None:
    with pytest.raises(UnusableError) as caught:
        read_asciidoc(b":toc:\n// comment\n")
    assert caught.value.reason == ExtractDrop.NO_TEXT_IN_FILE
