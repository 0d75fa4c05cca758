from steps.synthesis.structure import normalise, parse_blocks, parse_sections

TEXT = """Before.

# One

Two lines of
one paragraph.

- a
  b
- c
  - d

```python
# no heading
```

## Two

| a | b |
|---|---|
| 1 | 2 |

<div>x</div>

# Three

Last."""


def test_blocks_know_their_kind_and_their_exact_source() -> None:
    blocks = parse_blocks(TEXT)
    kinds = ["paragraph", "heading", "paragraph", "list", "code", "heading", "table", "html", "heading", "paragraph"]
    assert [block.kind for block in blocks] == kinds
    sources = [TEXT[block.start : block.end] for block in blocks]
    assert sources[2] == "Two lines of\none paragraph."
    assert sources[4] == "```python\n# no heading\n```"
    assert sources[-1] == "Last."


def test_paragraphs_and_items_are_joined_and_code_keeps_its_language() -> None:
    blocks = parse_blocks(TEXT)
    assert blocks[2].text == "Two lines of one paragraph."
    assert blocks[3].items == ("a b", "c", "d")
    assert (blocks[4].language, blocks[4].text) == ("python", "# no heading\n")


def test_sections_know_their_parents_and_where_their_subtree_ends() -> None:
    sections = parse_sections(TEXT)
    assert [section.name for section in sections] == ["", "One", "Two", "Three"]
    assert [parent.text for parent in sections[2].parents] == ["One"]
    assert sections[3].parents == ()
    assert sections[1].subtree_end == sections[3].start
    assert TEXT[sections[1].start : sections[1].end].endswith("```")


def test_bullets_of_pdfs_and_underlines_of_rst_are_read_and_offsets_stay() -> None:
    text = "Title\n~~~~~\n\nPoints:\n\n• one\n• two\n"
    normal = normalise(text, "text")
    assert len(normal) == len(text)
    heading, _, points = parse_blocks(normal)
    assert (heading.kind, heading.text, points.items) == ("heading", "Title", ("one", "two"))
    assert text[points.start : points.end] == "• one\n• two"


def test_fences_of_markdown_are_not_taken_for_underlines() -> None:
    assert [block.kind for block in parse_blocks(normalise("Run:\n~~~\ncode\n~~~\n"))] == ["paragraph", "code"]


def test_text_without_any_block_has_no_sections() -> None:
    assert parse_sections("") == ()
    assert parse_sections("\n\n") == ()
