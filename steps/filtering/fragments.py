"""Code that is a fragment on purpose, made whole before it is parsed.

Answers and documentation write `...` for what is left out, `<your-name>` for what the reader fills in, comments into
JSON, a shell's prompt before a command. None of it is a mistake. What a writer did get wrong stays wrong: a trailing
comma, a quote that never closes, a bracket too many.
"""

from __future__ import annotations

import re

_JSON_PART = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\\n])*")"""
    r"""|(?P<comment>//[^\n]*|/\*.*?\*/|(?:^|(?<=[\s,{\[]))\#[^\n]*)"""
    r"""|(?P<gap>\.{3,}|…)"""
    r"""|(?P<blank><[A-Za-z][^<>\n]*>|\{\{[^{}\n]*\}\})""",
    re.DOTALL,
)
#: Stands for an elision until the commas around it are settled; no JSON holds it outside of a string.
_GAP = "\x00"
_GAP_AND_COMMAS = re.compile(rf"(?P<before>,?)\s*{_GAP}[\s{_GAP}]*(?P<after>,?)")
_GAP_AS_VALUE = re.compile(rf":\s*{_GAP}")

_ELISION_LINE = re.compile(r"(?m)^[ \t]*(?:\.{3,}|…)[^\n]*$")
#: `...` that is no spread, rest or variadic parameter: neither a name nor a parameter list goes on after it.
_ELISION = re.compile(r"…|(?<![\w.])\.{3}(?=\s*(?:[;}\]]|$))", re.MULTILINE)
_PYTHON_GAP = re.compile(r"(?<=,)\s*(?:\.{3}|…)\s*(?:,|(?=\)))|(?<=\()\s*(?:\.{3}|…)\s*,|(?m:^[ \t]*…)")
_GAP_LINE = re.compile(r"(?m)^[ \t]*(?:\.{3,}|…)[ \t]*,?[ \t]*(?:#[^\n]*)?$")
_BLANK = re.compile(r"<[A-Za-z][\w ./-]*>|\{\{[^{}\n]*\}\}")
_OPENS_A_BLOCK = re.compile(
    r"^(?P<indent>[ \t]*)(?:async |class |def |elif |else|except|finally|for |if |try|while |with ).*:"
)

_PROMPT = re.compile(r"^[ \t]*(?:\([\w.-]+\)[ \t]*)?(?:[\w.-]+@[\w.-]+[^\n$#]*)?[$%][ \t]+")
_SHELL_BLANK = re.compile(r"<[A-Za-z][\w .,/|'-]*>|\{\{[^{}\n]*\}\}|\[[A-Z][A-Z_ -]+\]")


def whole_json(text: str) -> str:
    r"""Return JSON without comments, placeholders and elisions, which take one of the commas around them along.

    >>> whole_json('{"a": 1, // one\n "b": [1, ...], "c": <id>}')
    '{"a": 1, \n "b": [1], "c": null}'
    """

    def settle(match: re.Match[str]) -> str:
        if match["text"]:
            return match["text"]
        if match["blank"]:
            return "null"
        left_out = match["gap"] or "..." in match["comment"] or "more" in match["comment"].lower()
        return _GAP if left_out else ""

    if _GAP in text:
        return text
    parts = _GAP_AS_VALUE.sub(": null", _JSON_PART.sub(settle, text))
    return _GAP_AND_COMMAS.sub(lambda gap: "," if gap["before"] and gap["after"] else "", parts)


def whole_python(text: str) -> tuple[str, ...]:
    r"""Return what Python may have been meant: without elisions and placeholders, and then with a body at the end.

    Bodies that hold nothing but comments get a `pass`; a decorator or a function's head alone gets what it needs.

    >>> whole_python("f(a=1, ...)")[0]
    'f(a=1,)'
    >>> whole_python("def f():\n    # as above")[0]
    'def f():\n    pass\n    # as above'
    """
    source = _BLANK.sub("_", _PYTHON_GAP.sub("", _GAP_LINE.sub("", text)))
    lines = source.split("\n")
    whole = []
    for number, line in enumerate(lines):
        whole.append(line)
        header = _OPENS_A_BLOCK.match(line)
        if header and line.split("#")[0].rstrip().endswith(":"):
            following = (rest for rest in lines[number + 1 :] if rest.strip() and not rest.lstrip().startswith("#"))
            body = next(following, "")
            if len(body) - len(body.lstrip()) <= len(header["indent"]):
                whole.append(header["indent"] + "    pass")
    source = "\n".join(whole)
    return source, source + "\n    pass", source + "\ndef _(): pass"


def whole_code(text: str) -> str:
    """Return code of a language with braces without lines and places that only say that something is left out.

    >>> whole_code("f() { ... }")
    'f() {   }'
    """
    return _ELISION.sub(" ", _ELISION_LINE.sub("", text))


def shell_inputs(text: str) -> str:
    r"""Return the commands of a shell session: where prompts are shown, the other lines are what was printed.

    >>> shell_inputs("$ ls <folder>\na.txt\nb.txt")
    'ls X'
    """
    lines = text.split("\n")
    if any(_PROMPT.match(line) for line in lines):
        inputs, goes_on = [], False
        for line in lines:
            if goes_on or _PROMPT.match(line):
                inputs.append(_PROMPT.sub("", line))
                goes_on = line.rstrip().endswith("\\")
        lines = inputs
    return _SHELL_BLANK.sub("X", "\n".join(lines)).rstrip().removesuffix("\\")
