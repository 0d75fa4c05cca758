"""Documents in chunks: what a generator is shown at once, cut where the structure allows, within a token budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from steps.rows import content_id
from steps.settings import Settings
from steps.synthesis.pieces import CountTokens, Piece, fitting, pieces_of, trimmed
from steps.synthesis.sentences import sentence_spans

#: A chunk that is filled to this share ends before a heading as high as its own first one, so that one chunk speaks
#: of one thing; below it, another request would cost more than the mixture harms.
FULL_ENOUGH = 0.5


class ChunkSettings(Settings):
    """How documents are cut for the generator."""

    max_tokens: int = Field(default=1_000, ge=32)
    """Longest chunk in tokens of the base model's tokenizer. About 700 words: enough to ask about, and little enough
    that a small model keeps to all of it."""
    overlap_tokens: int = Field(default=0, ge=0)
    """Tokens of whole sentences that a chunk repeats from the end of the one before, within `max_tokens`."""
    min_tokens: int = Field(default=40, ge=0)
    """A chunk shorter than this says too little to ask about and is left out; the ledger counts these."""

    @model_validator(mode="after")
    def _overlap_leaves_room(self) -> ChunkSettings:
        if self.overlap_tokens > self.max_tokens // 2:
            raise ValueError(
                f"overlap_tokens={self.overlap_tokens} leaves less than half of max_tokens={self.max_tokens} for what "
                f"is new; set at most {self.max_tokens // 2}"
            )
        return self


class Chunk(NamedTuple):
    """A part of a document: `document["text"][start:end]`."""

    id: str
    document_id: str
    start: int
    end: int
    text: str
    headings: tuple[str, ...]
    """The document's title and the headings above the chunk's first word, outermost first."""
    n_tokens: int
    has_code: bool


class Chunked(NamedTuple):
    """A document's chunks, and what was done to get them."""

    chunks: list[Chunk]
    n_cut_blocks: int
    """Blocks longer than the budget, which were cut at sentence or line borders."""
    n_too_short: int
    """Chunks left out because they hold fewer than `min_tokens`."""


def chunk_document(row: Mapping[str, Any], settings: ChunkSettings, count_tokens: CountTokens) -> Chunked:
    """Cut a document into chunks.

    Sections stay whole where they fit, blocks where a section does not; only a block longer than the budget is cut.
    Sections that lead elsewhere (licence, references, contents) are left out of a document that needs several chunks.

    Args:
        row: A row of schema `DOCUMENTS`.
        settings: Limits.
        count_tokens: Counts tokens; the budget holds by it for every chunk.
    """
    text = row["text"]
    whole = trimmed(text, 0, len(text))
    title: tuple[str, ...] = (row["title"],) if row.get("title") else ()
    if whole[0] == whole[1]:
        return Chunked([], 0, 0)
    n_tokens = count_tokens([text[slice(*whole)]])[0]
    pieces = pieces_of(text, row["format"], title)
    if n_tokens <= settings.max_tokens:
        spans, n_cut = [(whole[0], whole[1], title)], 0
    else:
        budget = settings.max_tokens - settings.overlap_tokens
        fit, n_cut = fitting(text, pieces, budget, count_tokens)
        spans = list(_packed(text, fit, budget, count_tokens))
        spans = _overlapped(text, spans, settings.overlap_tokens, count_tokens)
    sizes = count_tokens([text[start:end] for start, end, _ in spans])
    chunks = [
        Chunk(content_id(row["id"], start, end), row["id"], start, end, text[start:end], headings, size, has_code)
        for (start, end, headings), size in zip(spans, sizes, strict=True)
        for has_code in [any(piece.is_code and start < piece.end and piece.start < end for piece in pieces)]
    ]
    long_enough = [chunk for chunk in chunks if chunk.n_tokens >= settings.min_tokens]
    return Chunked(long_enough, n_cut, len(chunks) - len(long_enough))


def _packed(
    text: str, pieces: Sequence[Piece], budget: int, count_tokens: CountTokens
) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield the spans of chunks: pieces in order, as many as fit, broken at headings rather than within sections."""
    held: list[Piece] = []
    for number, piece in enumerate(pieces):
        if piece.skipped:
            yield from _closed(text, held, budget, count_tokens)
            held = []
            continue
        used = sum(one.n_tokens for one in held)
        if held and _begins_new(held, piece, used, _section_tokens(pieces, number), budget):
            carried = _leading_end(held) if not piece.level else []
            yield from _closed(text, held[: len(held) - len(carried)], budget, count_tokens)
            held = carried
        held.append(piece)
    yield from _closed(text, held, budget, count_tokens)


def _begins_new(held: list[Piece], piece: Piece, used: int, section: int, budget: int) -> bool:
    if used + piece.n_tokens > budget:
        return True
    if not piece.level or all(one.leads for one in held):
        return False
    top = min((one.level for one in held if one.level), default=piece.level)
    is_full = used >= FULL_ENOUGH * budget
    return is_full and (piece.level <= top or used + section > budget)


def _section_tokens(pieces: Sequence[Piece], number: int) -> int:
    """Return the tokens of a heading and the blocks under it."""
    total = pieces[number].n_tokens
    for piece in pieces[number + 1 :]:
        if piece.level:
            break
        total += piece.n_tokens
    return total


def _leading_end(held: list[Piece]) -> list[Piece]:
    """Return the headings and lead-ins at the end, which belong to what comes; none if nothing else is there."""
    stop = len(held)
    while stop and held[stop - 1].leads:
        stop -= 1
    return held[stop:] if stop else []


def _closed(
    text: str, held: list[Piece], budget: int, count_tokens: CountTokens
) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield the chunk of these pieces; in two where the white space between them breaks the budget."""
    if not held or all(piece.level for piece in held):
        return
    start, end = held[0].start, held[-1].end
    if len(held) > 1 and count_tokens([text[start:end]])[0] > budget:
        middle = len(held) // 2
        yield from _closed(text, held[:middle], budget, count_tokens)
        yield from _closed(text, held[middle:], budget, count_tokens)
        return
    yield start, end, held[0].headings


def _overlapped(
    text: str, spans: list[tuple[int, int, tuple[str, ...]]], overlap: int, count_tokens: CountTokens
) -> list[tuple[int, int, tuple[str, ...]]]:
    """Begin each chunk with the last sentences of the one before, as many as `overlap` tokens allow."""
    if not overlap:
        return spans
    found = spans[:1]
    for before, (start, end, headings) in pairwise(spans):
        body = before[1] - before[0]
        borders = [before[0] + low for low, _ in sentence_spans(text[before[0] : before[1]])] if body else []
        added = count_tokens([text[border:start] for border in borders])
        first = next((border for border, size in zip(borders, added, strict=True) if size <= overlap), start)
        found.append((first, end, headings))
    return found
