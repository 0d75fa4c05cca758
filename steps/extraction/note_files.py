"""Notes as files: Markdown, HTML, plain text and PDF, each the same bytes for the same note."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape

from steps.extraction.notes import Note, bullets

#: Stamped into every PDF, so that its bytes depend on the note alone.
PDF_DATE = datetime(2024, 1, 1, tzinfo=UTC)

_PAGE = """<!doctype html>
<html lang="en">
<head><title>{title} | Engineering wiki</title></head>
<body>
<header><a href="/">Engineering wiki</a> <a href="/login">Log in</a></header>
<nav><ul><li><a href="/home">Home</a></li><li><a href="/notes">All notes</a></li><li><a href="/people">People</a></li>
<li><a href="/search">Advanced search</a></li></ul></nav>
<main><article>
<h1>{title}</h1>
<p>{body}</p>
{summary}</article></main>
<aside><h3>Related pages</h3><ul><li><a href="/a">Onboarding</a></li><li><a href="/b">On-call rota</a></li></ul></aside>
<footer><p>Cookie settings. Privacy policy. All rights reserved.</p></footer>
</body>
</html>
"""


def as_markdown(note: Note, points: Sequence[str]) -> bytes:
    """Return the note as Markdown; without `points` it has no TL;DR section."""
    summary = f"\n## TL;DR\n\n{bullets(points)}\n" if points else ""
    return f"# {note.title}\n\n{note.body}\n{summary}".encode()


def as_html(note: Note, points: Sequence[str]) -> bytes:
    """Return the note as a page of a wiki, with the navigation and the footer that such pages have."""
    items = "".join(f"<li>{escape(point)}</li>\n" for point in points)
    summary = f"<h2>TL;DR</h2>\n<ul>\n{items}</ul>\n" if points else ""
    return _PAGE.format(title=escape(note.title), body=escape(note.body), summary=summary).encode()


def as_text(note: Note, points: Sequence[str]) -> bytes:
    """Return the note as plain text."""
    summary = f"\nTL;DR:\n{bullets(points)}\n" if points else ""
    return f"{note.title}\n\n{note.body}\n{summary}".encode()


def as_pdf(note: Note, points: Sequence[str], password: str | None = None) -> bytes:
    """Return the note as a PDF of one page; with a password, as one that cannot be read without it."""
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_creation_date(PDF_DATE)
    pdf.set_title(note.title)
    if password is not None:
        pdf.set_encryption(owner_password=password, user_password=password)
    pdf.add_page()
    pdf.set_font("Helvetica", size=16)
    pdf.multi_cell(0, 10, note.title, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Helvetica", size=11)
    pdf.ln(4)
    pdf.multi_cell(0, 6, note.body, align="L", new_x="LMARGIN", new_y="NEXT")
    if points:
        pdf.ln(4)
        pdf.multi_cell(0, 6, "TL;DR:", new_x="LMARGIN", new_y="NEXT")
        for point in points:
            pdf.multi_cell(0, 6, f"- {point}", align="L", new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())


#: By the suffix of the file.
WRITERS: Mapping[str, Callable[[Note, Sequence[str]], bytes]] = {
    "md": as_markdown,
    "html": as_html,
    "txt": as_text,
    "pdf": as_pdf,
}
