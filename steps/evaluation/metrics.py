"""The verifiable checks of an answer against its reference, each a number from 0 to 1 where 1 is best.

Evaluation reports them, the gate decides by one of them, preference sampling ranks answers with them.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, NamedTuple

from steps.filtering.markdown_blocks import fenced_blocks


class Metric(NamedTuple):
    """One check.

    `applies` says whether a reference can be judged by it at all: a reference without a number says nothing about
    numeric answers. Where it does not apply a row has no value, which is not the same as 0.
    """

    name: str
    description: str
    unit: str
    higher_is_better: bool
    score: Callable[[str, str], float]
    applies: Callable[[str], bool]


TLDR_HEADER = "## TL;DR"

_BULLET = re.compile(r"^\s*[-*•][ \t]+(?P<text>\S.*?)\s*$", re.MULTILINE)

#: A number: grouped or plain digits, or a bare fraction. A minus that follows a word or digit is a subtraction.
_NUMBER = re.compile(r"(?<![\w.])(?:(?<!\d)-)?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)?(?:\.[0-9]+|(?<=[0-9]))")
#: Where a solution states its answer: behind `####` as in GSM8K, in `\boxed{…}` as in MATH.
_FINAL_ANSWER = re.compile(r"####[ \t]*(?P<line>[^\n]*)|\\boxed\{(?P<box>[^{}]*)\}")


def final_number(text: str) -> Decimal | None:
    r"""Return a solution's number: the last marked one (`####`, Cobbe et al. 2021; `\boxed{}`), else the last one.

    >>> final_number("6 x 180 = 1,080\n#### 1,080")
    Decimal('1080')
    >>> final_number("\\boxed{42} because 6 x 7")
    Decimal('42')
    >>> final_number("so he is left with $3.50.")
    Decimal('3.50')
    >>> final_number("ten") is None
    True
    """
    marked = [match["line"] or match["box"] or "" for match in _FINAL_ANSWER.finditer(text)]
    for part in (marked[-1], text) if marked else (text,):
        found = _NUMBER.findall(part.replace("\N{MINUS SIGN}", "-"))
        if found:
            return Decimal(found[-1].replace(",", ""))
    return None


def bullets(text: str) -> list[str]:
    r"""Return the list items of a text, wherever they stand, without their marks and with single spaces.

    >>> bullets("Sure!\n- one  thing\n* another\nBye")
    ['one thing', 'another']
    """
    return [" ".join(match["text"].split()) for match in _BULLET.finditer(text)]


def _exact_match(answer: str, reference: str) -> float:
    return float(_normal(answer) == _normal(reference))


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _numeric_match(answer: str, reference: str) -> float:
    expected = final_number(reference)
    return float(expected is not None and final_number(answer) == expected)


def _chrf(answer: str, reference: str) -> float:
    from sacrebleu.metrics.chrf import CHRF

    return min(1.0, float(CHRF().sentence_score(answer, [reference]).score) / 100)


def _tldr_format(answer: str, _reference: str = "") -> float:
    lines = answer.strip("\n").split("\n")
    points = lines[1:]
    return float(lines[0] == TLDR_HEADER and bool(points) and all(re.match(r"- \S", line) for line in points))


def _tldr_facts(answer: str, reference: str) -> float:
    said, expected = Counter(bullets(answer)), Counter(bullets(reference))
    if not expected:
        return 0.0
    return 2 * (said & expected).total() / (said.total() + expected.total())


def _tldr_exact(answer: str, reference: str) -> float:
    return float(_tldr_format(answer) == 1 and _tldr_facts(answer, reference) == 1)


def _is_tldr(reference: str) -> bool:
    return TLDR_HEADER in reference.splitlines() and bool(bullets(reference))


def _json_valid(answer: str, _reference: str = "") -> float:
    parts = [block.content for block in fenced_blocks(answer) if block.language == "json"] or [answer]
    try:
        for part in parts:
            json.loads(part)
    except (ValueError, RecursionError):
        return 0.0
    return 1.0


def _python_valid(answer: str, _reference: str = "") -> float:
    languages = {"python", "py", "python3"}
    parts = [block.content for block in fenced_blocks(answer) if block.language in languages] or [answer]
    return float(all(_is_program(part) for part in parts))


def _is_program(source: str) -> bool:
    """Return whether the text parses and does something: the single word `Blue` parses as Python as well."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a doubtful escape sequence in the model's code is not our warning
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    idle = (ast.Name, ast.Constant, ast.Tuple, ast.Attribute)
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, idle)) for node in tree.body)


def _markdown_fences(answer: str, _reference: str = "") -> float:
    blocks = fenced_blocks(answer)
    return float(bool(blocks) and all(block.closed for block in blocks))


def _any_text(reference: str) -> bool:
    return bool(reference.strip())


_RATE: Literal["share of answers"] = "share of answers"

_ALL = (
    Metric("exact_match", "equal to the reference, outer whitespace aside", _RATE, True, _exact_match, _any_text),
    Metric(
        "numeric_match",
        "ends in the reference's number: behind the last `####` (GSM8K, arXiv 2110.14168) or in the last `\\boxed{}`, "
        "else the last one",
        _RATE,
        True,
        _numeric_match,
        lambda reference: final_number(reference) is not None,
    ),
    Metric("chrf", "character n-gram F-score, chrF2 / 100 (Popović 2015)", "mean F-score", True, _chrf, _any_text),
    Metric(
        "tldr_format",
        "first line exactly `## TL;DR`, every other line a `- ` bullet, at least one, nothing else",
        _RATE,
        True,
        _tldr_format,
        _is_tldr,
    ),
    Metric(
        "tldr_facts",
        "F1 of the answer's bullets against the reference's, whatever stands around them; a bullet counts only when "
        "word for word right, and an invented or repeated one lowers it",
        "mean F1",
        True,
        _tldr_facts,
        _is_tldr,
    ),
    Metric("tldr_exact", "strict format and exactly the reference's bullets", _RATE, True, _tldr_exact, _is_tldr),
    Metric(
        "json_valid",
        "the fenced JSON blocks, or without any the whole answer, parse as JSON",
        _RATE,
        True,
        _json_valid,
        lambda reference: _json_valid(reference) == 1,
    ),
    Metric(
        "python_valid",
        "the fenced Python blocks, or without any the whole answer, parse as Python and are more than a bare name",
        _RATE,
        True,
        _python_valid,
        lambda reference: _python_valid(reference) == 1,
    ),
    Metric(
        "markdown_fences",
        "has a fenced block, and every fence is closed",
        _RATE,
        True,
        _markdown_fences,
        lambda reference: _markdown_fences(reference) == 1,
    ),
)

#: Every metric by the name that `evaluation.metrics`, `gate.metric` and `check:<name>` rankers use.
METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})


def score(name: str, answer: str, reference: str) -> float:
    r"""Score one answer, from 0 to 1, higher is better.

    It takes the reference as fitting the metric; ask `applies` first where that is not certain.

    >>> score("tldr_exact", "## TL;DR\n- 3 pumps failed", "## TL;DR\n- 3 pumps failed")
    1.0

    Raises:
        ValueError: if there is no such metric.
    """
    return _metric(name).score(answer, reference)


def applies(name: str, reference: str) -> bool:
    """Return whether answers can be judged against the reference by this metric.

    Raises:
        ValueError: if there is no such metric.
    """
    return _metric(name).applies(reference)


def _metric(name: str) -> Metric:
    if name not in METRICS:
        raise ValueError(f"there is no metric {name!r}; known: {', '.join(METRICS)}")
    return METRICS[name]
