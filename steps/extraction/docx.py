"""DOCX: mammoth's HTML (headings, lists, tables, footnotes) as Markdown; formulas are written as TeX before."""

from __future__ import annotations

import io

from steps.extraction.archives import open_archive, refuse_entities
from steps.extraction.html import parse
from steps.extraction.html_markdown import to_markdown
from steps.extraction.markdown import first_heading, sections
from steps.extraction.office import core_title, with_formulas
from steps.extraction.parts import assemble
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.text import Extracted

#: Paragraph styles that are headings, besides those that mammoth knows (Heading 1 to 6).
STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh > em
p[style-name='Quote'] => blockquote > p:fresh
p[style-name='Intense Quote'] => blockquote > p:fresh
p[style-name='Code'] => pre:separator('\\n')
p[style-name='Source Code'] => pre:separator('\\n')
p[style-name='HTML Preformatted'] => pre:separator('\\n')
r[style-name='Code'] => code
r[style-name='HTML Code'] => code
r[style-name='Verbatim Char'] => code
"""


def read_docx(content: bytes) -> Extracted:
    """Read a Word document; the title is its first heading, or else that of its properties.

    Raises:
        UnusableError: `broken_office_file`, `no_text_in_file`, `archive_bomb`, `hostile_xml`, `encrypted_file`.
    """
    import mammoth

    archive = open_archive(content, ExtractDrop.BROKEN_OFFICE_FILE)
    refuse_entities(archive, ExtractDrop.BROKEN_OFFICE_FILE)
    try:
        found = mammoth.convert_to_html(
            io.BytesIO(with_formulas(content, archive)),
            style_map=STYLES,
            convert_image=_no_image,
            ignore_empty_paragraphs=True,
        )
    except UnusableError:
        raise
    except RecursionError:
        raise UnusableError(ExtractDrop.TOO_DEEP_MARKUP, "word/document.xml nests too deeply") from None
    except Exception as error:  # mammoth fails in any way on a damaged part: KeyError, ExpatError, …
        raise UnusableError(ExtractDrop.BROKEN_OFFICE_FILE, f"{type(error).__name__}: {error}"[:200]) from None
    root = parse(found.value)
    text = to_markdown(root) if root is not None else ""
    read = assemble([("", text)], None, ExtractDrop.NO_TEXT_IN_FILE, "a Word document without text")
    title = first_heading(read.text) or core_title(archive)
    return read._replace(title=title, offset_map=sections(read.text))


def _no_image(image: object) -> list[object]:
    """Leave pictures out: no text of theirs is in the file."""
    return []
