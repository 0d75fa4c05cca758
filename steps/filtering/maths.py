r"""Formulas of answers must be whole: LaTeX delimiters, braces and environments balance, calculator annotations close.

A single dollar is a price as often as it opens a formula, so only what stands between dollars and looks like LaTeX is
read. Code is left out: `\(` and `$` mean other things there.
"""

from __future__ import annotations

import re

from steps.filtering.batch import Batch, Outcome
from steps.filtering.candidates import Candidate, first_failures, matching_turns
from steps.filtering.markdown_blocks import without_fences
from steps.filtering.row import Failure, FilterReason, excerpt
from steps.settings import Settings

#: Turns without this hold no formula; RE2.
CANDIDATE = r"\\[()\[\]]|\\(?:begin|end|left|right|frac|boxed)\b|\$\$|\$[^$\n]*\\[a-zA-Z]{2}|<<"

_DELIMITER = re.compile(r"(?<!\\)(?:\\\\)*\\([()\[\]])")
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([^{}\n]{1,40})\}")
_SIZED = re.compile(r"\\(left|right)(?![a-zA-Z])")
_DISPLAY = re.compile(r"(?<!\\)\$\$")
_FORMULA = re.compile(
    r"\\\((.*?)\\\)|\\\[(.*?)\\\]|(?<!\\)\$\$(.*?)\$\$|(?<![\\$])\$([^$\n]*?\\[a-zA-Z]{2}[^$\n]*?)(?<!\\)\$", re.DOTALL
)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_ARGUMENT = re.compile(r"\\(?:d?frac|sqrt|boxed)\s*(?:\[[^\]]*\])?\s*\{")
#: Characters within which the argument of a command has to end.
ARGUMENT = 600
#: What tells a formula from an escaped bracket, a price or a string of a programming language.
_LATEX = re.compile(r"\\[a-zA-Z]{2,}|[_^=]")
#: Characters after an opening mark in which that is looked for.
NEAR = 200
_ANNOTATION = re.compile(r"<<[\d(.$-][^<>\n]*=[^<>\n]*(>>?)?([$€£]?\s?[\d.,]*\d)?")


class MathsSettings(Settings):
    """Which marks of formulas are checked."""

    check_delimiters: bool = True
    r"""`\(` closes with `\)`, `\[` with `\]`, `$$` comes in pairs."""

    check_environments: bool = True
    r"""Every `\begin{x}` ends with `\end{x}`, and every `\left` has its `\right`."""

    check_braces: bool = True
    r"""Braces balance inside of a formula."""

    check_annotations: bool = True
    """GSM8K's calculator annotations (arXiv:2110.14168) close, and the number after one is its result."""


def broken_maths(batch: Batch, settings: MathsSettings) -> Outcome:
    """Fail the rows with an assistant turn whose formulas are not whole; `detail` shows where."""

    def defect(candidate: Candidate) -> Failure | None:
        found = _first_defect(candidate.text, settings)
        return Failure(candidate.row, found[0], None, found[1]) if found else None

    return Outcome(first_failures(matching_turns(batch, CANDIDATE, answers_only=True), defect))


def _first_defect(answer: str, settings: MathsSettings) -> tuple[FilterReason, str] | None:
    if settings.check_annotations and "<<" in answer:
        found = _annotation_defect(answer)
        if found:
            return FilterReason.BROKEN_CALCULATION, found
    if "\\" not in answer and "$$" not in answer:
        return None
    text = without_fences(answer)
    for is_on, check in (
        (settings.check_environments, _environment_defect),
        (settings.check_delimiters, _delimiter_defect),
        (settings.check_braces, _brace_defect),
    ):
        found = check(text) if is_on else None
        if found:
            return FilterReason.UNBALANCED_MATHS, found
    return None


def _annotation_defect(text: str) -> str | None:
    for match in _ANNOTATION.finditer(text):
        if match[1] != ">>":
            return f"{excerpt(match[0], 60)} never closes"
    return None


def _environment_defect(text: str) -> str | None:
    opened: list[str] = []
    for match in _ENVIRONMENT.finditer(text):
        if match[1] == "begin":
            opened.append(match[2])
        elif not opened or opened.pop() != match[2]:
            return rf"\end{{{match[2]}}} without its \begin"
    if opened:
        return rf"\begin{{{opened[-1]}}} never ends"
    sizes = [match[1] for match in _SIZED.finditer(text)]
    if sizes.count("left") != sizes.count("right"):
        return rf"{sizes.count('left')} \left and {sizes.count('right')} \right"
    return None


def _delimiter_defect(text: str) -> str | None:
    opened: tuple[str, int] | None = None
    for match in _DELIMITER.finditer(text):
        mark = match[1]
        if opened is not None and opened[0] + mark in ("()", "[]"):
            opened = None
            continue
        start = match.start() if opened is None else opened[1]
        if mark in ")]" or opened is not None:
            near = text[max(0, start - NEAR) : start + NEAR]
            if _LATEX.search(near):
                return rf"\{mark} does not fit: {excerpt(text[max(0, start - 30) : start + NEAR], 80)}"
        opened = (mark, match.start()) if mark in "([" else None
    if opened is not None and _LATEX.search(text[opened[1] : opened[1] + NEAR]):
        return rf"\{opened[0]} never closes: {excerpt(text[opened[1] :], 60)}"
    displays = list(_DISPLAY.finditer(text))
    if len(displays) % 2 and re.search(r"\\[a-zA-Z]{2}", text[displays[-1].end() : displays[-1].end() + NEAR]):
        return f"$$ never closes: {excerpt(text[displays[-1].start() :], 60)}"
    return None


def _brace_defect(text: str) -> str | None:
    for match in _FORMULA.finditer(text):
        formula = next(part for part in match.groups() if part is not None)
        if _depth(formula) != 0:
            return f"unbalanced braces in {excerpt(match[0], 60)}"
    for match in _ARGUMENT.finditer(text):
        if _depth("{" + text[match.end() : match.end() + ARGUMENT], until_closed=True) > 0:
            return f"{excerpt(text[match.start() :], 60)} never closes"
    return None


def _depth(formula: str, *, until_closed: bool = False) -> int:
    """Return how many braces are open at the end, or at the first that closes nothing, or nothing more."""
    depth = 0
    for brace in _BRACE.finditer(formula):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth < 0 or (until_closed and depth == 0):
            break
    return depth
