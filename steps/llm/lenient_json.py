r"""JSON as models write it: read what can mean one thing only, refuse the rest, complete nothing.

Beyond RFC 8259 it takes: single quotes, keys without quotes, `True`, `False` and `None`, comments (`//`, `#`, `/* */`),
a comma behind the last member, line ends inside of a string, and backslashes that escape nothing (`\(`, as in LaTeX).
Repair libraries go on from there: they close what was cut off, and merge or pick among what does not belong together.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

#: Deeper nesting is an attack or a loop, not a reply.
_DEEPEST = 64
_SPACE = re.compile(r"(?:\s+|//[^\n]*|#[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])", re.ASCII)
_NAME = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_ESCAPE = re.compile(r"(?:\\u[0-9a-fA-F]{4})+|\\.", re.DOTALL)
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_ESCAPED = {"'": "'", '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class NotAnObjectError(ValueError):
    """The brace opens no object: no key and colon follow it."""


def read_at(text: str, at: int) -> tuple[dict[str, Any], int]:
    """Read the object whose opening brace stands at `at`.

    Returns:
        The object, and the position behind its closing brace.

    Raises:
        NotAnObjectError: if no object begins here.
        ValueError: if one begins, and is cut off, malformed, or repeats a key.
    """
    reader = _Reader(text, at)
    found = reader.object(0)
    return found, reader.at


def finite(number: str) -> float:
    """Read a number with a fraction or exponent; one beyond the range of floats would become infinite."""
    found = float(number)
    if math.isinf(found):
        raise ValueError(f"the number {number[:40]} is out of range")
    return found


class _Reader:
    """Recursive descent over the text; `at` is where it stands."""

    def __init__(self, text: str, at: int) -> None:
        self.text, self.at = text, at

    def object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.at += 1
        while (mark := self._next()) != "}":
            try:
                key = self._key(mark)
                self._expect(":", f"behind the key {key[:40]!r}")
            except ValueError as error:
                if found or depth or self._next() == "":
                    raise
                raise NotAnObjectError(str(error)) from None
            if key in found:
                raise ValueError(f"the key {key[:40]!r} is repeated")
            found[key] = self._value(depth + 1)
            if self._next() != "}":
                self._expect(",", f"behind the value of {key[:40]!r}")
        self.at += 1
        return found

    def _array(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self.at += 1
        while self._next() != "]":
            found.append(self._value(depth + 1))
            if self._next() != "]":
                self._expect(",", f"behind item {len(found)} of an array")
        self.at += 1
        return found

    def _value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("the JSON is nested too deeply")
        mark = self._next()
        if mark == "{":
            return self.object(depth)
        if mark == "[":
            return self._array(depth)
        if mark and mark in "\"'":
            return self._string()
        if number := _NUMBER.match(self.text, self.at):
            self.at = number.end()
            return finite(number[0]) if set(number[0]) & set(".eE") else int(number[0])
        word = _NAME.match(self.text, self.at)
        if word is not None and word[0] in _WORDS:
            self.at = word.end()
            return _WORDS[word[0]]
        raise ValueError(self._what("a value"))

    def _key(self, mark: str) -> str:
        if mark and mark in "\"'":
            return self._string()
        name = _NAME.match(self.text, self.at)
        if name is None:
            raise ValueError(self._what("a key"))
        self.at = name.end()
        return name[0]

    def _string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            self.at = len(self.text)
            raise ValueError("a string is cut off")
        self.at = match.end()
        body = match[1] if match[1] is not None else match[2]
        return _ESCAPE.sub(_unescaped, body) if "\\" in body else body

    def _next(self) -> str:
        """Skip spaces and comments, and return the character that follows; "" is the end of the text."""
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at
        if self.text.startswith("/*", self.at):
            raise ValueError("a comment is cut off")
        return self.text[self.at : self.at + 1]

    def _expect(self, mark: str, where: str) -> None:
        if self._next() != mark:
            raise ValueError(self._what(f"{mark!r} {where}"))
        self.at += 1

    def _what(self, expected: str) -> str:
        rest = self.text[self.at : self.at + 20]
        return f"expected {expected}, found {rest!r}" if rest else f"cut off where {expected} was expected"


def _unescaped(match: re.Match[str]) -> str:
    if match[0].startswith("\\u") and len(match[0]) > 2:
        decoded: str = json.loads(f'"{match[0]}"')  # pairs of surrogates become one character
        return decoded
    return _ESCAPED.get(match[0][1], match[0])
