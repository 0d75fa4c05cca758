import pytest

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.rst import read_rst

PAGE = """
.. _guide:

=====
Guide
=====

Use :py:class:`~pkg.Thing` and *see* :ref:`the rest <rest>`, ``code`` or |name|. [1]_

.. |name| replace:: a name

Values
------

1. one

   - nested

2. two

term
   its meaning

=====  =====
a      b
=====  =====
1      2
=====  =====

.. code-block:: python
   :linenos:

   x = 1

.. unknown-thing:: An argument
   :option: 1

   Content is kept.

.. note:: Mind it.

.. toctree::

   other

.. py:function:: f(x)

   Does it.

.. math:: a^2

.. [1] A note.
"""


def test_structure_becomes_markdown() -> None:
    found = read_rst(PAGE.encode())
    assert found.title == "Guide"
    assert [place.label for place in found.offset_map] == ["Guide", "Values"]
    blocks = found.text.split("\n\n")
    assert blocks == [
        "# Guide",
        "Use `Thing` and *see* the rest, `code` or a name. [1]",
        "## Values",
        "1. one\n   - nested\n2. two",
        "- **term**\n  - its meaning",
        "| a | b |\n| --- | --- |\n| 1 | 2 |",
        "```python\nx = 1\n```",
        "An argument",
        "Content is kept.",
        "Note: Mind it.",
        "`f(x)`",
        "Does it.",
        "$$\na^2\n$$",
        "[1] A note.",
    ]


def test_no_other_file_is_read_and_broken_markup_stays_text(tmp_path: object) -> None:
    text = read_rst(b".. include:: /etc/passwd\n\nText with *an open mark.\n\nTitle\n===\n").text
    assert "root:" not in text
    assert "an open mark" in text
    assert "Title" in text


def test_nothing_but_directives_has_a_reason() -> None:
    with pytest.raises(UnusableError) as caught:
        read_rst(b".. toctree::\n\n   a\n\n.. a comment\n")
    assert caught.value.reason == ExtractDrop.NO_TEXT_IN_FILE
