"""What is wrong with the syntax of a piece of code: JSON, Python, and the languages that tree-sitter parses.

JSON and Python have parsers of their own in the standard library, which say yes or no. tree-sitter parses the others
and marks what does not fit; the grammars are for whole files, so a fragment is also tried inside of a function or a
class.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import textwrap
import warnings
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from steps.filtering.fragments import shell_inputs, whole_code, whole_json, whole_python

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

Language = Literal["json", "python", "javascript", "typescript", "java", "go", "rust", "c", "cpp", "bash"]
#: First word of a fence's info string -> the language that its content must parse as.
ALIASES: dict[str, Language] = {
    "json": "json",
    "python": "python",
    "py": "python",
    "python3": "python",
    "javascript": "javascript",
    "js": "javascript",
    "jsx": "javascript",
    "mjs": "javascript",
    "typescript": "typescript",
    "ts": "typescript",
    "tsx": "typescript",
    "java": "java",
    "go": "go",
    "golang": "go",
    "rust": "rust",
    "rs": "rust",
    "c": "c",
    "cpp": "cpp",
    "c++": "cpp",
    "cc": "cpp",
    "bash": "bash",
    "sh": "bash",
    "shell": "bash",
}


class Grammar(NamedTuple):
    """How a language is parsed.

    Attributes:
        sources: (module of the wheel, function that returns the grammar), tried in turn.
        wrappers: What may stand around a fragment that is no file of its own, with `%s` for the fragment.
    """

    sources: tuple[tuple[str, str], ...]
    wrappers: tuple[str, ...] = ()


GRAMMARS: dict[Language, Grammar] = {
    "javascript": Grammar((("tree_sitter_javascript", "language"),), ("({%s\n})", "(%s\n)", "class X {%s\n}")),
    "typescript": Grammar(
        (("tree_sitter_typescript", "language_typescript"), ("tree_sitter_typescript", "language_tsx")),
        ("({%s\n})", "(%s\n)", "class X {%s\n}"),
    ),
    "java": Grammar((("tree_sitter_java", "language"),), ("class X {%s\n}", "class X { void x() {%s\n} }", "%s\n;")),
    "go": Grammar((("tree_sitter_go", "language"),), ("func x() {%s\n}", "package x\nvar x = %s")),
    "rust": Grammar((("tree_sitter_rust", "language"),), ("fn x() {%s\n}", "impl X {%s\n}")),
    "c": Grammar((("tree_sitter_c", "language"),), ("void x() {%s\n}", "%s\n;")),
    "cpp": Grammar((("tree_sitter_cpp", "language"),), ("void x() {%s\n}", "class X {%s\n};", "%s\n;")),
    "bash": Grammar((("tree_sitter_bash", "language"),)),
    "python": Grammar((("tree_sitter_python", "language"),)),  # only for what is newer than this interpreter
}
#: Python 3.12: type aliases, and type parameters.
_NEWER_PYTHON = re.compile(r"(?m)^\s*(?:type \w+(?:\[[^\n]*\])? =|(?:async )?(?:def|class) \w+\[)")
#: Longer blocks are not parsed. Characters.
MAX_CHARACTERS = 200_000


def syntax_error(
    language: Language, text: str, *, fragments: bool = True, max_error_fraction: float = 0.0
) -> str | None:
    """Return what is wrong with a piece of code, or None.

    Args:
        language: Language that it claims to be.
        text: The code.
        fragments: Whether a fragment (elisions, placeholders, comments in JSON, a shell session) is well formed.
        max_error_fraction: Share of the bytes that tree-sitter may fail to fit into the grammar; it does not apply
            to JSON and Python, whose own parsers say yes or no.
    """
    if language == "json":
        return json_error(text, fragments=fragments)
    if language == "python":
        return python_error(text, fragments=fragments)
    return tree_error(language, text, fragments=fragments, max_error_fraction=max_error_fraction)


def strict_json_error(text: str) -> str | None:
    """Return what is wrong with a JSON text by RFC 8259; NaN and Infinity are not JSON.

    >>> strict_json_error('{"a": NaN}')
    'NaN is not JSON'
    """
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        return "nested too deeply"
    except ValueError as error:
        return str(error)
    return None


def json_error(text: str, *, fragments: bool = True) -> str | None:
    r"""Return what is wrong with a JSON text, or JSON Lines.

    >>> json_error('{"a": 1}\n{"a": 2}')
    >>> json_error('"a": [1, ...], // and so on')
    >>> json_error('"a": [1, ...]', fragments=False)
    'Extra data: line 1 column 4 (char 3)'
    """
    error = strict_json_error(text)
    if error is None or _are_json_lines(text):
        return None
    if fragments:
        whole = whole_json(text)
        listed = whole.strip().rstrip(",")
        if strict_json_error(whole) is None or not listed:
            return None
        if any(strict_json_error(wrapped) is None for wrapped in ("{" + listed + "}", "[" + listed + "]")):
            return None
        if _are_json_values(whole):
            return None
    return error


def _are_json_lines(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return bool(lines) and all(line.lstrip()[0] in "{[" and strict_json_error(line) is None for line in lines)


def _are_json_values(text: str) -> bool:
    """Return whether the text is one JSON value after another."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    text = text.strip()
    try:
        while text:
            text = text[decoder.raw_decode(text)[1] :].strip()
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def python_error(text: str, *, fragments: bool = True) -> str | None:
    """Return what is wrong with Python source; an interactive session counts by its inputs.

    >>> python_error("return await f(a=1, ...)")
    >>> python_error("print 'old'").startswith("line 1: Missing parentheses")
    True
    """
    source = textwrap.dedent(text).strip("\n")
    if source.lstrip().startswith(">>>"):
        source = "".join(example.source for example in _session(source))
    source = "\n".join("pass" if line[:1] in ("%", "!") else line for line in source.split("\n"))  # notebook magics
    error = _compile_error(source)
    if error is None or (fragments and any(_compile_error(whole) is None for whole in whole_python(source))):
        return None
    if _NEWER_PYTHON.search(source) or "f-string" in error:
        return tree_error("python", source)
    return error


def _compile_error(source: str) -> str | None:
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


_DIFF_LINE = re.compile(r"(?m)^(?:@@ |[+-](?![+-]))")


def tree_error(language: Language, text: str, *, fragments: bool = True, max_error_fraction: float = 0.0) -> str | None:
    """Return where tree-sitter could not fit a piece of code into the grammar of its language.

    A diff, and a block beyond `MAX_CHARACTERS`, is not judged.

    >>> tree_error("javascript", "function f() { ... }")
    >>> tree_error("java", "int f() { return 1;")
    'line 1: missing }'
    """
    if len(text) > MAX_CHARACTERS or len(_DIFF_LINE.findall(text)) * 2 > text.count("\n") + 1:
        return None
    source = text
    wrappers: tuple[str, ...] = ("%s",)
    if fragments:
        source = shell_inputs(whole_code(text)) if language == "bash" else whole_code(text)
        wrappers = ("%s", *GRAMMARS[language].wrappers)
    first: str | None = None
    for parser in _parsers(language):
        for wrapper in wrappers:
            error = _tree_defect(parser, source, wrapper, max_error_fraction)
            if error is None:
                return None
            first = first or error
    return first


def _tree_defect(parser: Parser, source: str, wrapper: str, max_error_fraction: float) -> str | None:
    data = wrapper.replace("%s", source, 1).encode()
    root = parser.parse(data).root_node
    if not root.has_error:
        return None
    defects = list(_defects(root))
    missing = next((node for node in defects if node.is_missing), None)
    wrong = sum(max(1, node.end_byte - node.start_byte) for node in defects)
    if missing is None and defects and wrong <= max_error_fraction * len(data):
        return None
    where = missing or (defects[0] if defects else root)
    what = f"missing {where.type}" if where.is_missing else "not " + repr(_line_at(data, where))
    return f"line {where.start_point[0] + 1}: {what}"


def _line_at(data: bytes, node: Node) -> str:
    return data[node.start_byte : node.start_byte + 40].decode(errors="replace").strip().split("\n")[0]


def _defects(root: Node) -> Iterator[Node]:
    """Yield the outermost ERROR and MISSING nodes, in order."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            yield node
        elif node.has_error:
            waiting.extend(reversed(node.children))


@cache
def _parsers(language: Language) -> tuple[Parser, ...]:
    import tree_sitter

    def parser(module: str, function: str) -> Any:
        return tree_sitter.Parser(tree_sitter.Language(getattr(importlib.import_module(module), function)()))

    return tuple(parser(*source) for source in GRAMMARS[language].sources)
