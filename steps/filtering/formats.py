"""Answers that claim a format must hold to it: JSON and Python blocks parse, code fences close."""

from __future__ import annotations

import ast
import doctest
import json
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Literal, NamedTuple, Self

from markdown_it import MarkdownIt
from pydantic import model_validator

from steps.filtering.row import Failure, FilterReason, Row
from steps.settings import Settings

Language = Literal["json", "python"]
#: First word of a fence's info string -> the language that its content must parse as.
ALIASES: dict[str, Language] = {"json": "json", "python": "python", "py": "python", "python3": "python"}


class FormatSettings(Settings):
    """Which claims are checked."""

    languages: tuple[Language, ...] = ("json", "python")
    """Languages whose fenced blocks must parse; empty for none."""

    check_fences: bool = True
    """Whether every opened code fence must be closed."""

    code_kind_language: Language | None = None
    """Language that an answer of kind `code` without any fence must parse as. None, because the code of documents
    is in many languages and says so only in its fence. It must be among `languages`."""

    @model_validator(mode="after")
    def _is_checked(self) -> Self:
        if self.code_kind_language is not None and self.code_kind_language not in self.languages:
            raise ValueError(f"code_kind_language={self.code_kind_language!r} is not among languages={self.languages}")
        return self


class Block(NamedTuple):
    """One fenced block: its info string's first word, its content, and whether the fence was closed."""

    language: str
    content: str
    closed: bool


def broken_formats(rows: Iterable[Row], settings: FormatSettings) -> Iterator[Failure]:
    """Yield the rows with an assistant turn whose fences are open or whose blocks do not parse."""
    for row in rows:
        for answer in row.answers:
            failure = _first_defect(row, answer, settings)
            if failure:
                yield failure
                break


def _first_defect(row: Row, answer: str, settings: FormatSettings) -> Failure | None:
    blocks = fenced_blocks(answer)
    if settings.check_fences and any(not block.closed for block in blocks):
        return Failure(row.position, FilterReason.UNCLOSED_CODE_FENCE, None, f"block {len(blocks)} never closes")
    if not blocks and row.kind == "code" and settings.code_kind_language is not None:
        blocks = [Block(settings.code_kind_language, answer, closed=True)]
    for number, block in enumerate(blocks, start=1):
        language = ALIASES.get(block.language)
        if language in settings.languages:
            check, reason = CHECKS[language]
            error = check(block.content)
            if error:
                return Failure(row.position, reason, None, f"block {number}: {error}")
    return None


def fenced_blocks(text: str) -> list[Block]:
    """Return the fenced code blocks of a Markdown text, also those in lists and quotations."""
    if "```" not in text and "~~~" not in text:
        return []
    lines = text.splitlines()
    blocks = []
    for token in _markdown().parse(text):
        if token.type == "fence" and token.map:
            start, end = token.map
            last = lines[min(end, len(lines)) - 1].lstrip("> \t").rstrip()
            closed = end - start > 1 and len(last) >= len(token.markup) and set(last) == {token.markup[0]}
            language = (token.info.split() or [""])[0].strip("{}.").lower()
            blocks.append(Block(language, token.content, closed))
    return blocks


@cache
def _markdown() -> MarkdownIt:
    # Block structure is all that is asked for; inline parsing is most of the time.
    return MarkdownIt("commonmark").disable("inline")


def json_error(text: str) -> str | None:
    """Return what is wrong with a JSON text, or JSON Lines; NaN and Infinity are not JSON.

    >>> json_error('{"a": 1}')
    >>> json_error('{"a": NaN}')
    'NaN is not JSON'
    """
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        return "nested too deeply"
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > 1 and all(line.lstrip()[0] in "{[" and json_error(line) is None for line in lines):
            return None
        return str(error)
    return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def python_error(text: str) -> str | None:
    """Return what is wrong with Python source; an interactive session counts by its inputs.

    >>> python_error("return await f()")
    >>> python_error("print 'old'").startswith("line 1: Missing parentheses")
    True
    """
    source = textwrap.dedent(text).strip("\n")
    if source.lstrip().startswith(">>>"):
        source = "".join(example.source for example in _session(source))
    source = "\n".join("pass" if line[:1] in ("%", "!") else line for line in source.split("\n"))  # notebook magics
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape is Python all the same
            compile(source, "<answer>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__
    return None


def _session(source: str) -> list[doctest.Example]:
    try:
        return doctest.DocTestParser().get_examples(source)
    except ValueError:
        return [doctest.Example(source, "")]


CHECKS: dict[Language, tuple[Callable[[str], str | None], FilterReason]] = {
    "json": (json_error, FilterReason.INVALID_JSON),
    "python": (python_error, FilterReason.INVALID_PYTHON),
}
