from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from steps.synthesis.chunks import Chunk, ChunkSettings, chunk_document
from tests.synthesis.generators import count_words


def cut(text: str, format_name: str = "markdown", title: str | None = None, **settings: Any) -> list[Chunk]:
    row = {"id": "d", "text": text, "title": title, "format": format_name}
    chunks = chunk_document(row, ChunkSettings(**{"min_tokens": 0, "max_tokens": 60, **settings}), count_words).chunks
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end]
        assert chunk.n_tokens == count_words([chunk.text])[0] <= settings.get("max_tokens", 60)
    return chunks


def test_small_document_is_one_chunk_whatever_its_structure(guide: str) -> None:
    (chunk,) = cut(guide, max_tokens=1_000, title="Cache guide")
    assert (chunk.start, chunk.end) == (0, len(guide.rstrip()))
    assert chunk.headings == ("Cache guide",)
    assert chunk.has_code


def test_chunks_follow_the_sections_and_know_their_headings(guide: str) -> None:
    chunks = cut(guide)
    assert len(chunks) > 2
    assert all(before.end <= after.start for before, after in pairwise(chunks))
    eviction = next(chunk for chunk in chunks if "memory of the cache is full" in chunk.text)
    assert eviction.headings[:1] == ("Cache guide",)
    assert not eviction.text.rstrip().endswith((":", "## Eviction"))


def test_navigation_is_left_out_of_a_document_of_several_chunks(guide: str) -> None:
    assert not any("gateway.md" in chunk.text for chunk in cut(guide))


def test_code_lists_and_tables_stay_whole_where_they_fit() -> None:
    filler = "A sentence of eight words is written here. " * 5
    code = "```python\nfirst = 1\n\nsecond = 2\n```"
    items = "- one thing\n- another thing\n- a third thing"
    rows = "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |"
    chunks = cut(f"{filler}\n\n{code}\n\n{filler}\n\n{items}\n\n{filler}\n\n{rows}")
    for whole in (code, items, rows):
        assert sum(whole in chunk.text for chunk in chunks) == 1


def test_lead_in_stays_with_what_it_leads_to() -> None:
    filler = "A sentence of eight words is written here. " * 5
    chunks = cut(
        f"{filler}\n\nThe options are these:\n\n- the first\n- the second\n- the third\n- the fourth\n- the fifth"
    )
    assert any(chunk.text.startswith("The options are these:") for chunk in chunks)


def test_block_above_the_budget_is_cut_at_sentences_and_noted() -> None:
    text = " ".join(f"Sentence number {n} stands in one long paragraph." for n in range(30))
    row = {"id": "d", "text": text, "title": None, "format": "markdown"}
    found = chunk_document(row, ChunkSettings(max_tokens=50), count_words)
    assert found.n_cut_blocks == 1
    assert len(found.chunks) > 4
    assert all(chunk.text.startswith("Sentence") and chunk.text.endswith(".") for chunk in found.chunks)


def test_text_without_sentences_is_cut_too() -> None:
    assert len(cut("word " * 200)) >= 4
    row = {"id": "d", "text": "x" * 500, "title": None, "format": "text"}
    found = chunk_document(row, ChunkSettings(max_tokens=64), lambda texts: [len(text) for text in texts])
    assert "".join(chunk.text for chunk in found.chunks) == "x" * 500


def test_overlap_repeats_whole_sentences_within_the_budget() -> None:
    text = "\n\n".join(f"Paragraph {n} says a thing. Then it says another thing of the same kind." for n in range(12))
    plain, overlapping = cut(text), cut(text, overlap_tokens=15)
    assert all(before.end <= after.start for before, after in pairwise(plain))
    for before, after in pairwise(overlapping):
        repeated = text[after.start : before.end]
        assert repeated.endswith(".")
        assert repeated[0].isupper()
        assert 0 < count_words([repeated])[0] <= 15


def test_code_is_cut_between_definitions() -> None:
    source = "\n\n".join(f"def function_{n}(value):\n    other = value + {n}\n\n    return other" for n in range(12))
    chunks = cut(source, "code")
    assert len(chunks) > 1
    assert all(chunk.text.startswith("def ") and chunk.has_code for chunk in chunks)


def test_chunks_that_say_too_little_are_counted() -> None:
    row = {"id": "d", "text": "Two words.", "title": None, "format": "markdown"}
    found = chunk_document(row, ChunkSettings(min_tokens=10), count_words)
    assert (found.chunks, found.n_too_short) == ([], 1)
    assert chunk_document({**row, "text": " \n "}, ChunkSettings(), count_words).chunks == []


def test_id_names_document_and_span(guide: str) -> None:
    assert len({chunk.id for chunk in cut(guide)}) == len(cut(guide))
    assert [chunk.id for chunk in cut(guide)] == [chunk.id for chunk in cut(guide)]


def test_overlap_must_leave_room() -> None:
    with pytest.raises(ValidationError, match="set at most 50"):
        ChunkSettings(max_tokens=100, overlap_tokens=51)
