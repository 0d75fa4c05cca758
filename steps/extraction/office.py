"""What Office containers share: the title of their properties, and formulas (OMML) written as TeX."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from steps.extraction.reasons import ExtractDrop, UnusableError

_MATHS = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_TITLE = "{http://purl.org/dc/elements/1.1/}title"
#: Formulas nested deeper than this are an attack.
MAX_DEPTH = 60
#: TeX of the operators and accents that Word writes as single characters.
_OPERATORS = {
    "∑": r"\sum", "∏": r"\prod", "∫": r"\int", "∬": r"\iint", "∮": r"\oint", "⋃": r"\bigcup", "⋂": r"\bigcap",
}  # fmt: skip
_ACCENTS = {
    "\u0302": r"\hat",
    "\u0303": r"\tilde",
    "\u0304": r"\bar",
    "\u0305": r"\bar",
    "\u20d7": r"\vec",
    "\u0307": r"\dot",
}
_FUNCTIONS = frozenset(
    "sin cos tan cot sec csc log ln exp lim max min sup inf det arcsin arccos arctan sinh cosh tanh".split()
)
#: Word's marks for "function of" and "times", which are never drawn.
_INVISIBLE = "\u2061\u2062\u2063\u2064"
_SYMBOLS = {
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\epsilon", "θ": r"\theta", "λ": r"\lambda",
    "μ": r"\mu", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma", "τ": r"\tau", "φ": r"\phi", "χ": r"\chi", "ω": r"\omega",
    "Δ": r"\Delta", "Σ": r"\Sigma", "Ω": r"\Omega", "∞": r"\infty", "±": r"\pm", "×": r"\times", "÷": r"\div",
    "≤": r"\leq", "≥": r"\geq", "≠": r"\neq", "≈": r"\approx", "→": r"\to", "∂": r"\partial", "∈": r"\in",
    "⋅": r"\cdot", "∘": r"\circ", "−": "-", **_OPERATORS,
}  # fmt: skip


def xml(content: bytes) -> Any:
    """Parse XML without entities, network or huge trees; return the lxml root.

    Raises:
        UnusableError: `broken_office_file`.
    """
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnusableError(ExtractDrop.BROKEN_OFFICE_FILE, f"XML: {error}"[:200]) from None


def core_title(archive: zipfile.ZipFile) -> str | None:
    """Return the title in the properties of an Office file."""
    try:
        root = xml(archive.read("docProps/core.xml"))
    except (KeyError, UnusableError, zipfile.BadZipFile):
        return None
    title = root.find(_TITLE)
    return " ".join((title.text or "").split()) or None if title is not None else None


def with_formulas(content: bytes, archive: zipfile.ZipFile) -> bytes:
    """Return a Word file in which each formula is a run of TeX between `$` (mammoth leaves formulas out).

    Raises:
        UnusableError: `broken_office_file`, `too_deep_markup`.
    """
    if "word/document.xml" not in archive.namelist():
        return content
    part = archive.read("word/document.xml")
    if b"<m:oMath" not in part:
        return content
    from lxml import etree

    root = xml(part)
    for formula in list(root.iter(f"{_MATHS}oMath")):
        parent = formula.getparent()
        is_display = parent.tag == f"{_MATHS}oMathPara"
        mark = "$$" if is_display else "$"
        run = etree.Element(f"{_WORD}r")
        etree.SubElement(run, f"{_WORD}t").text = f"{mark}{tex(formula).strip()}{mark}"
        (parent if is_display else formula).addprevious(run)
        parent.remove(formula)
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w", zipfile.ZIP_STORED) as written:
        for entry in archive.infolist():
            if not entry.filename.startswith("word/media/"):
                same = entry.filename != "word/document.xml"
                written.writestr(entry.filename, archive.read(entry) if same else etree.tostring(root))
    return changed.getvalue()


def tex(element: Any, depth: int = 0) -> str:
    """Write an OMML element as TeX; what has no rule is written as its parts in order.

    Raises:
        UnusableError: `too_deep_markup`.
    """
    if depth > MAX_DEPTH:
        raise UnusableError(ExtractDrop.TOO_DEEP_MARKUP, f"a formula nested deeper than {MAX_DEPTH}")
    name = str(element.tag).removeprefix(_MATHS)
    if name == "t":
        return "".join(_symbol(character) for character in element.text or "" if character not in _INVISIBLE)

    def part(of: str) -> str:
        found = element.find(f"{_MATHS}{of}")
        return tex(found, depth + 1).strip() if found is not None else ""

    if name == "f":
        return rf"\frac{{{part('num')}}}{{{part('den')}}}"
    if name == "rad":
        return rf"\sqrt[{part('deg')}]{{{part('e')}}}" if part("deg") else rf"\sqrt{{{part('e')}}}"
    if name in ("sSup", "sSub", "sSubSup", "nary"):
        base = part("e")
        below = f"_{{{part('sub')}}}" if part("sub") else ""
        above = f"^{{{part('sup')}}}" if part("sup") else ""
        sign = _OPERATORS.get(_value(element, "naryPr", "chr", "∫"), r"\int") if name == "nary" else ""
        return f"{sign}{below}{above} {base}" if name == "nary" else f"{base}{below}{above}"
    if name == "func":
        function = part("fName")
        return f"{chr(92)}{function} {part('e')}" if function in _FUNCTIONS else f"{function} {part('e')}"
    if name == "acc":
        return rf"{_ACCENTS.get(_value(element, 'accPr', 'chr', chr(0x302)), chr(92) + 'hat')}{{{part('e')}}}"
    if name in ("d", "m"):
        return _group(element, name, depth)
    return "".join(tex(child, depth + 1) for child in element if not str(child.tag).endswith("Pr"))


def _group(element: Any, name: str, depth: int) -> str:
    """Write what stands between delimiters, or a matrix."""
    if name == "d":
        begin, end = _value(element, "dPr", "begChr", "("), _value(element, "dPr", "endChr", ")")
        return begin + ", ".join(tex(inner, depth + 1) for inner in element.iterchildren(f"{_MATHS}e")) + end
    rows = (
        " & ".join(tex(cell, depth + 1).strip() for cell in row.iterchildren(f"{_MATHS}e"))
        for row in element.iterchildren(f"{_MATHS}mr")
    )
    return r"\begin{matrix} " + r" \\ ".join(rows) + r" \end{matrix}"


def _value(element: Any, properties: str, name: str, default: str) -> str:
    found = element.find(f"{_MATHS}{properties}/{_MATHS}{name}")
    return default if found is None else str(found.get(f"{_MATHS}val") or "")


def _symbol(character: str) -> str:
    plain = character
    if "\U0001d400" <= character <= "\U0001d7ff":  # mathematical alphanumeric symbols: 𝑎 is a
        import unicodedata

        plain = unicodedata.normalize("NFKC", character)
    return (
        f"{_SYMBOLS[plain]} " if plain in _SYMBOLS and _SYMBOLS[plain].startswith("\\") else _SYMBOLS.get(plain, plain)
    )
