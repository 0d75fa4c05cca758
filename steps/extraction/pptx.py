"""PPTX: a heading per slide, bullets by their level, tables, chart data and speaker notes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from steps.extraction.archives import open_archive, refuse_entities
from steps.extraction.office import core_title
from steps.extraction.parts import assemble, markdown_table
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted

#: Groups of shapes nested deeper than this are an attack on recursion.
MAX_DEPTH = 20


def read_pptx(content: bytes) -> Extracted:
    """Read a presentation; its title is that of its properties, or else of the first slide that has one.

    Raises:
        UnusableError: `broken_office_file`, `no_text_in_file`, `archive_bomb`, `hostile_xml`, `encrypted_file`.
    """
    from pptx import Presentation

    archive = open_archive(content, ExtractDrop.BROKEN_OFFICE_FILE)
    refuse_entities(archive, ExtractDrop.BROKEN_OFFICE_FILE)
    try:
        slides = list(Presentation(io.BytesIO(content)).slides)
        parts = [(f"slide {number}", "\n\n".join(_blocks(slide))) for number, slide in enumerate(slides, start=1)]
        titles = [words for slide in slides if (words := _title(slide))]
    except UnusableError:
        raise
    except Exception as error:  # python-pptx fails in any way on a damaged part: KeyError, XMLSyntaxError, …
        raise UnusableError(ExtractDrop.BROKEN_OFFICE_FILE, f"{type(error).__name__}: {error}"[:200]) from None
    own = core_title(archive)
    is_default = own is None or own.casefold() in ("powerpoint presentation", "presentation title")
    title = (titles[0] if titles else None) if is_default else own
    return assemble(parts, title, ExtractDrop.NO_TEXT_IN_FILE, f"{len(parts)} slides without text")


def _title(slide: Any) -> str:
    shape = slide.shapes.title
    return " ".join(shape.text_frame.text.split()) if shape is not None else ""


def _blocks(slide: Any) -> Iterator[str]:
    if title := _title(slide):
        yield f"## {title}"
    title_shape = slide.shapes.title
    shapes = [shape for shape in slide.shapes if title_shape is None or shape.shape_id != title_shape.shape_id]
    for shape in sorted(shapes, key=lambda shape: (shape.top or 0, shape.left or 0)):
        yield from _shape(shape)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        if notes:
            yield f"Notes: {notes}"


def _shape(shape: Any, depth: int = 0) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise UnusableError(ExtractDrop.TOO_DEEP_MARKUP, f"groups of shapes nested deeper than {MAX_DEPTH}")
    if hasattr(shape, "shapes"):
        for inner in sorted(shape.shapes, key=lambda inner: (inner.top or 0, inner.left or 0)):
            yield from _shape(inner, depth + 1)
    elif getattr(shape, "has_table", False):
        yield markdown_table([[cell.text for cell in row.cells] for row in shape.table.rows])
    elif getattr(shape, "has_chart", False):
        yield from _chart(shape.chart)
    elif shape.has_text_frame and shape.text_frame.text.strip() and not _is_furniture(shape):
        yield _text(shape)


def _is_furniture(shape: Any) -> bool:
    """Say whether a shape is the slide's number, date or footer."""
    if not shape.is_placeholder:
        return False
    return str(shape.placeholder_format.type).split(" ")[0] in ("SLIDE_NUMBER", "DATE", "FOOTER")


def _text(shape: Any) -> str:
    """Write the paragraphs of a shape: those of a body placeholder, and indented ones, are bullets."""
    paragraphs = [
        (paragraph.level, " ".join(paragraph.text.replace("\v", " ").split()))
        for paragraph in shape.text_frame.paragraphs
    ]
    paragraphs = [(level, text) for level, text in paragraphs if text]
    is_body = shape.is_placeholder and str(shape.placeholder_format.type).split(" ")[0] in ("BODY", "OBJECT")
    if (is_body and len(paragraphs) > 1) or any(level for level, _ in paragraphs):
        return "\n".join(f"{'  ' * level}- {text}" for level, text in paragraphs)
    return "\n\n".join(text for _, text in paragraphs)


def _chart(chart: Any) -> Iterator[str]:
    """Write a chart's data as a table, below its title."""
    if chart.has_title and chart.chart_title.has_text_frame and (title := chart.chart_title.text_frame.text.strip()):
        yield title
    try:
        plot = chart.plots[0]
        series = list(plot.series)
        rows = [["", *(str(one.name) for one in series)]]
        for number, category in enumerate(plot.categories):
            values = [one.values[number] if number < len(one.values) else None for one in series]
            rows.append([str(category), *("" if value is None else f"{value:g}" for value in values)])
    except (IndexError, ValueError, NotImplementedError):  # charts without categories: scatter, bubble
        return
    if len(rows) > 1:
        yield markdown_table(rows)
