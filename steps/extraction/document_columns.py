"""What is found out about documents when all of them are read: their languages, and the repairs of all."""

from __future__ import annotations

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from steps.extraction.repairs import KINDS
from steps.rows import DOCUMENTS

#: Characters from which the language is told, code left out.
LANGUAGE_CHARACTERS = 4_000
#: Confidence below which no language is told: lists of names and numbers score 0.1 to 0.4, prose 0.6 and more.
MIN_CONFIDENCE = 0.5
#: Fenced code, indented code, code within a line, addresses and HTML tags are of no language.
_CODE = (
    r"(?ms)^[ ]{0,3}```.*?^[ ]{0,3}```[ ]*$",
    r"(?m)^(?: {4}|\t)\S.*$",
    r"`[^`\n]*`",
    r"https?://\S+",
    r"</?[A-Za-z][^>\n]{0,200}>",
)


def with_languages(documents: pa.Table) -> pa.Table:
    """Fill the column `language` (ISO 639-1) of documents (schema `DOCUMENTS`); null where it is not clear.

    Source code and data (formats `code` and `csv`) have none.
    """
    from steps.filtering.languages import detect_languages

    if not documents.num_rows:
        return documents
    codes, confidences = detect_languages(without_code(documents["text"].combine_chunks()))
    has_none = pc.is_in(documents["format"].combine_chunks(), pa.array(["code", "csv"]))
    is_clear = pc.and_not(pc.greater_equal(pa.array(confidences), MIN_CONFIDENCE), has_none)
    languages = pc.if_else(is_clear, codes.cast(pa.string()), pa.scalar(None, pa.string()))
    position = documents.schema.get_field_index("language")
    return documents.set_column(position, DOCUMENTS.field("language"), languages)


def without_code(texts: pa.Array) -> pa.Array:
    """Return the beginnings of Markdown texts without code, addresses and tags."""
    texts = pc.utf8_slice_codeunits(texts, 0, 4 * LANGUAGE_CHARACTERS)
    for pattern in _CODE:
        texts = pc.replace_substring_regex(texts, pattern, " ")
    return pc.utf8_slice_codeunits(texts, 0, LANGUAGE_CHARACTERS)


def repairs_of(documents: pa.Table) -> dict[str, int]:
    """Return how often each repair was made in all documents (schema `DOCUMENTS`), and in how many documents any was.

    The key `documents` counts documents; kinds that never occurred are left out, all is empty without a repair.
    """
    columns = {kind: pc.fill_null(pc.struct_field(documents["repairs"], kind), 0) for kind in KINDS}
    totals = {kind: pc.sum(column).as_py() or 0 for kind, column in columns.items()}
    is_repaired = reduce(pc.or_, (pc.greater(column, 0) for column in columns.values()))
    n_documents = pc.sum(is_repaired).as_py() or 0
    return {"documents": n_documents, **{kind: n for kind, n in totals.items() if n}} if n_documents else {}
