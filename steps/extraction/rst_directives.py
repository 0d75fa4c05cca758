"""Directives and roles that docutils does not know, Sphinx's and others: their text must not be lost."""

from __future__ import annotations

import re
from typing import Any

#: Roles whose words are code.
_CODE_ROLES = frozenset(
    "attr class command cls data envvar exc file func kbd makevar meth mod mimetype obj option program regexp samp "
    "token const macro type member var function method module attribute exception variable".split()
)
#: Directives whose content is code; the argument is its language.
_CODE = {
    "code-block": "", "sourcecode": "", "code-cell": "python", "testcode": "python", "testoutput": "text",
    "doctest": "pycon", "ipython": "python", "prompt": "bash", "parsed-literal": "", "jupyter-execute": "python",
    "productionlist": "", "graphviz": "", "mermaid": "", "uml": "", "digraph": "", "plot": "python", "cmake": "cmake",
}  # fmt: skip
#: Directives without text of their own: lists of links, and what is generated from other files.
_SILENT = frozenset(
    "toctree index automodule autoclass autofunction automethod autoattribute autodata autoexception autosummary "
    "literalinclude currentmodule py:currentmodule module py:module highlight only-html tabularcolumns "
    "sectionauthor codeauthor program default-domain default-role cssclass rst-class nosearch meta image-sg".split()
)
_NAMED_ADMONITIONS = frozenset("seealso versionadded versionchanged deprecated versionremoved todo".split())
_DIRECTIVE = re.compile(r"^[ \t]*\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?([A-Za-z][\w:.+-]*?)[ \t]*::(?:[ \t]|$)", re.MULTILINE)
_ROLE = re.compile(r"(?<!\w):([A-Za-z][\w.+-]*(?::[\w.+-]+)*):`")
#: `title <target>` and `!name`, `~package.name` in the text of a role.
_TARGET = re.compile(r"\A(.*?)\s*<[^<>]*>\Z", re.DOTALL)


def register_unknown(source: str) -> None:
    """Register what a source uses and docutils lacks; docutils keeps such names for the whole process."""
    from docutils.parsers.rst import directives, roles
    from docutils.parsers.rst.languages import en

    for name in set(_DIRECTIVE.findall(source)):
        lower = name.lower()
        if lower in _CODE or (lower not in directives._directives and lower not in en.directives):
            directives.register_directive(lower, _directive(lower))
    for name in set(_ROLE.findall(source)):
        if name.lower() not in roles._roles and name.lower() not in en.roles:
            roles.register_local_role(name.lower(), _role)


def _role(name: str, rawtext: str, text: str, *_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
    """Read any role as its words: code for names of code, plain for the rest."""
    from docutils import nodes
    from docutils.utils import unescape

    words = unescape(text)
    titled = _TARGET.match(words)
    words = titled[1] if titled and titled[1] else words
    kind = name.lower().rpartition(":")[2]
    if kind == "math":
        return [nodes.math(words, words)], []
    if kind in _CODE_ROLES:
        words = words.rpartition(".")[2] if words.startswith("~") else words.removeprefix("!")
        return [nodes.literal(rawtext, words)], []
    if kind in ("ref", "numref", "doc") and not (titled and titled[1]):  # a label or a path, whose title is elsewhere
        words = re.sub(r"[_-]+", " ", words.rpartition("/")[2]).removesuffix(" label")
    return [nodes.inline(rawtext, words.lstrip("~!"))], []


def _directive(name: str) -> type[Any]:
    """Return a directive that keeps what can be read of one that docutils does not know."""
    from docutils import nodes
    from docutils.parsers.rst import Directive

    class Tolerant(Directive):  # type: ignore[misc]
        optional_arguments = 1
        final_argument_whitespace = True
        has_content = True
        option_spec = _AnyOption()

        def run(self) -> list[Any]:
            argument = self.arguments[0] if self.arguments else ""
            if name in _SILENT:
                return []
            if name in _CODE:
                code = "\n".join(self.content)
                language = argument.strip() or _CODE[name]
                return [nodes.literal_block(code, code, classes=["code", language])] if code.strip() else []
            if name == "math":
                formula = "\n".join([argument, *self.content]).strip()
                return [nodes.math_block(formula, formula)]
            container = nodes.container()
            if argument.strip():
                words, messages = self.state.inline_text(argument, self.lineno)
                head = nodes.paragraph(argument, "", *words, *messages)
                is_code = ":" in name  # a domain's description: `.. py:function:: f(x)`
                if is_code:
                    head = nodes.paragraph("", "", nodes.literal(argument, argument))
                if name in _NAMED_ADMONITIONS:
                    head.insert(0, nodes.inline("", f"{_spoken(name)} "))
                container += head
            self.state.nested_parse(self.content, self.content_offset, container)
            return list(container.children)

    return Tolerant


def _spoken(name: str) -> str:
    known = {
        "seealso": "See also:", "versionadded": "New in version", "versionchanged": "Changed in version",
        "deprecated": "Deprecated since version", "versionremoved": "Removed in version", "todo": "To do:",
    }  # fmt: skip
    return known[name]


class _AnyOption(dict[str, Any]):
    """Options of any name, with values of any form."""

    def __bool__(self) -> bool:
        return True

    def __contains__(self, key: object) -> bool:
        return True

    def __getitem__(self, key: str) -> Any:
        return lambda value: value
