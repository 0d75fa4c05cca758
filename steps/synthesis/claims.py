"""The claims of an answer and the evidence of a text: sentences, items, rows and lines, with what can be compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from steps.dedup.quantities import numbers
from steps.filtering.words import words
from steps.synthesis.sentences import sentences
from steps.synthesis.structure import Block, normalise, parse_blocks

#: Letters of a word that are compared, after its ending is gone: `configure`, `configured` and `configuration` are one.
STEM_LETTERS = 6
_ENDING = re.compile(r"(?:ies|ing|ed|es|s|ly|e|y)$")
_STOP = frozenset(
    """a about above after again all also although always among an and any are as at be because been before being below
    between both but by can cannot could did do does doing done down during each either else etc even every few first
    for from further get gets had has have having he hence her here him his how however i if in instead into is it its
    itself just last least less let like made make makes making many may me might more most much must my neither next
    no nor not now of off often on once one only onto or other others our out over own per rather same second see
    several shall she should since so some still such than that the their them then there therefore these they this
    those through thus to together too two under until up upon us use used uses using very via was way we well were
    what when where whether which while who whose why will with within without would yes yet you your""".split()
)
#: Thanks, greetings and offers around an answer.
_COURTESY = re.compile(
    r"(?:sure|certainly|of course|absolutely|great)\s?[!,.]|(?:thank(?:s| you)|you['’]re welcome|i hope|hope this|"
    r"feel free|let me know|enjoy|have a|happy to|glad to|here (?:is|are)|here['’]s)\b",
    re.IGNORECASE,
)
_MAX_COURTESY_STEMS = 5
#: "Not only" affirms.
_NEGATION = re.compile(
    r"\b(?:not(?! (?:only|just|merely)\b)|no|never|none|nobody|nothing|neither|nor|without|cannot|unable)\b|n['’]t\b",
    re.IGNORECASE,
)
_LIST_MARK = re.compile(r"^\s*(?:[-*+]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_TABLE_RULE = re.compile(r"^[\s|:+=-]+$")
#: `Form factor: M.2`: what stands before the colon names a field, as the key of JSON does, and claims nothing.
_LABEL = re.compile(r"\s*(?:[-*+]\s+)?(?:\*\*)?[^\W\d_][^:.!?|\n]{0,40}:(?:\*\*)?(?=\s)")
MAX_LABEL_WORDS = 4
#: `Body Mass Index`: names in a row, which may spell out an abbreviation of the text.
_RUN = re.compile(r"[A-Z][\w-]*(?: (?:of |and |for |the )?[A-Z][\w-]*){1,6}")
#: What is a name by its shape: code in backquotes, a flag, snake_case, camelCase, a dotted or called name.
_IDENTIFIER = re.compile(
    r"`([^`\n]{1,60})`|(?<![\w-])(--[a-z][\w-]+)|(?<![\w.])([A-Za-z]\w*(?:_\w+)+)|(?<![\w.])([a-z]+[A-Z]\w*)"
    r"|(?<![\w.])([A-Za-z]\w*(?:\.[A-Za-z_]\w+)+)|(?<!\w)([A-Za-z_]\w*)\(\)"
)
_CAPITALISED = re.compile(r"(?<![\w`'’./-])[A-Z][\w-]*\w")
_MARKUP = re.compile(r"\*{1,3}|(?<!\w)_{1,3}(?=\w)|(?<=\w)_{1,3}(?!\w)|!?\[([^\]]*)\]\([^)]*\)|<?https?://[^\s>)\]]+>?")
_MONTH = re.compile(
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december)\Z", re.IGNORECASE
)
_DATE = re.compile(r"\d+-\d+-\d+\Z")
_ADDRESS = re.compile(r"https?://[^\s>)\]\"'`]*[\w/]")
#: Behind these a capital letter is no sign of a name.
_BEGINS = re.compile(r"(?:\A|[:—–.!?(\[|\"“]\s?)[\s\"'“(]*\Z")


class Statement:
    """One sentence, item, table row, line of code or value; what is compared of it is computed when asked for."""

    def __init__(
        self, text: str, is_code: bool = False, begins_sentence: bool = True, label_characters: int = 0
    ) -> None:
        self.text = text
        self.is_code = is_code
        self._begins_sentence = begins_sentence
        self._label_characters = label_characters

    @cached_property
    def stems(self) -> frozenset[str]:
        """The content words, by their stems, without those of a label."""
        return frozenset(stems(self.text[self._label_characters :]))

    @cached_property
    def numbers(self) -> frozenset[str]:
        """The numbers, in one spelling, with their units."""
        return frozenset(numbers(_LIST_MARK.sub("", self.text).lower()))

    @cached_property
    def is_negated(self) -> bool:
        """Whether it denies something."""
        return not self.is_code and _NEGATION.search(self.text) is not None

    @cached_property
    def is_telling(self) -> bool:
        """Whether it says something that a text could support; "Sure, here you are!" does not."""
        if self.numbers or self.names:
            return True
        return bool(self.stems) and not (len(self.stems) <= _MAX_COURTESY_STEMS and _COURTESY.match(self.text))

    @cached_property
    def spelt_out(self) -> dict[str, list[str]]:
        """Its runs of names by their initials: of `the Body Mass Index` under `BMI` its three words."""
        runs = [re.findall(r"[A-Z][\w-]*", run) for run in _RUN.findall(self.text)]
        ends = [run[start:] for run in runs for start in range(len(run) - 1)]
        return {"".join(name[0] for name in run): run for run in ends}

    @cached_property
    def names(self) -> frozenset[str]:
        """Proper names and identifiers; the word that begins a sentence counts only if its shape says so."""
        told = self.text[self._label_characters :]
        plain = _MARKUP.sub(r"\1", told) if not self.is_code else told
        found = {next(filter(None, groups)) for groups in _IDENTIFIER.findall(plain)}
        found.update(_ADDRESS.findall(told))
        if not self.is_code:
            for match in _CAPITALISED.finditer(plain):
                begins = self._begins_sentence and _BEGINS.search(plain, 0, match.start())
                if not begins or match[0][1:] != match[0][1:].lower():
                    found.add(match[0])
        # The month of a whole date is part of a number, which the text may spell in figures.
        dated = any(_DATE.search(number) for number in self.numbers)
        return frozenset(name for name in found if name.casefold() not in _STOP and not (dated and _MONTH.match(name)))


def stems(text: str) -> Iterator[str]:
    """Yield the content words of a text without their endings; numbers are compared apart.

    >>> list(stems("The configured caches were configuring it."))
    ['config', 'cach', 'config']
    """
    for word in words(text.replace("_", " ").casefold()):
        if word not in _STOP and not word[0].isdigit() and (len(word) > 1 or not word.isascii()):
            yield stem(word)


def stem(word: str) -> str:
    """Return a word of lower case without its ending, cut to its first letters.

    >>> [stem(word) for word in ("summaries", "summary", "bus", "computing")]
    ['summar', 'summar', 'bus', 'comput']
    """
    bare = _ENDING.sub("", word) if len(word) > 4 else word.removesuffix("s") if len(word) == 4 else word
    return bare[:STEM_LETTERS]


def claims_of(answer: str) -> list[Statement]:
    """Return what an answer claims: of JSON its values, else sentences, items, rows, and a code block as one claim."""
    values = _json_values(answer)
    if values is not None:
        return [Statement(value, begins_sentence=False) for value in values]
    return list(_claims(answer))


def evidence_of(text: str) -> list[list[Statement]]:
    """Return what a text says, in order: the sentences of each paragraph, item or row together, code by the line."""
    plain = normalise(text)
    found: list[list[Statement]] = []
    for block in parse_blocks(plain):
        if block.kind == "heading":
            found.append([Statement(block.text)])
        elif block.kind == "code":
            found += [[Statement(line, is_code=True)] for line in block.text.splitlines() if line.strip()]
        else:
            found += [[Statement(said) for said in group] for group in _said(plain, block)]
    return found


def _claims(answer: str) -> Iterator[Statement]:
    plain = normalise(answer)
    for block in parse_blocks(plain):
        if block.kind == "code" and block.text.strip():
            yield Statement(block.text, is_code=True)
        elif block.kind == "table":
            (header,), *rows = _said(plain, block)
            yield Statement(header, label_characters=len(header))
            yield from (Statement(row) for (row,) in rows)
        elif block.kind not in {"heading", "code"}:
            yield from (_labelled(said) for group in _said(plain, block) for said in group)


def _labelled(said: str) -> Statement:
    """Return a claim, with the label before its colon told apart."""
    label = _LABEL.match(said)
    is_label = label is not None and len(label[0].split()) <= MAX_LABEL_WORDS and label.end() < len(said.rstrip())
    return Statement(said, label_characters=label.end() if label is not None and is_label else 0)


def _said(text: str, block: Block) -> list[list[str]]:
    """Return the sentences of a block: of a list by the item, of a table by the row, else all together."""
    source = text[block.start : block.end]
    if block.kind == "paragraph":
        lines = source.strip().splitlines()
        if len(lines) > 1 and all(_LABEL.match(line) for line in lines):
            return [[line] for line in lines]
        return [sentences(source)]
    if block.kind == "list":
        return [sentences(item) for item in block.items]
    if block.kind == "table":
        return [[line.strip(" |")] for line in source.splitlines() if not _TABLE_RULE.match(line)]
    return [[sentence for line in source.splitlines() for sentence in sentences(line.lstrip("> "))]]


def _json_values(answer: str) -> list[str] | None:
    """Return the strings and numbers of an answer that is JSON, bare or fenced; None if it is none."""
    bare = answer.strip()
    fenced = re.fullmatch(r"```(?:json)?\s*\n(.*)\n\s*```", bare, re.DOTALL)
    bare = fenced[1] if fenced else bare
    if not bare.startswith(("{", "[")):
        return None
    try:
        found = json.loads(bare)
    except (ValueError, RecursionError):
        return None
    return [value for value in _leaves(found) if value.strip()]


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)
