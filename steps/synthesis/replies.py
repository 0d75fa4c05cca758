"""Read conversations out of a generator's reply; only the fields of its own JSON count."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from steps.filtering.words import words
from steps.llm.fencing import neutralise
from steps.llm.json_reply import parse_object
from steps.llm.request import Failed, Reply
from steps.synthesis.plan import Unit
from steps.synthesis.prompts import SynthesisPrompt

Messages = list[dict[str, str]]

#: Turns that a conversation has at most; a reply with more is cut there.
MAX_TURNS = 6


class GenerateDrop(StrEnum):
    """Why a request gave no pair, and within its detail why single pairs were refused."""

    ENDPOINT_FAILED = "endpoint_failed"
    TRUNCATED_REPLY = "truncated_reply"
    UNPARSEABLE_REPLY = "unparseable_reply"
    NO_PAIRS = "no_pairs"
    EMPTY_TEXT = "empty_text"
    REFERS_TO_SOURCE = "refers_to_source"
    COPIES_EXAMPLE = "copies_example"
    QUOTES_PROMPT = "quotes_prompt"
    REPEATED_INSTRUCTION = "repeated_instruction"
    SURPLUS = "surplus"
    EQUALS_PARENT = "equals_parent"
    NOT_HARDER = "not_harder"


#: The reply was no use; as opposed to a usable reply that says there is nothing to ask, or pairs that were refused.
UNGENERATED = frozenset({GenerateDrop.ENDPOINT_FAILED, GenerateDrop.TRUNCATED_REPLY, GenerateDrop.UNPARSEABLE_REPLY})
_FAILED = {
    Failed.INVALID_REPLY: GenerateDrop.UNPARSEABLE_REPLY,
    Failed.EMPTY_REPLY: GenerateDrop.UNPARSEABLE_REPLY,
    Failed.TRUNCATED_REPLY: GenerateDrop.TRUNCATED_REPLY,
}
#: A question that points at a text which its reader does not have.
_REFERS = re.compile(
    r"\b(?:the|this|that|given|provided) (?:above |following |given |provided |preceding )?(?:text|passage|excerpt|"
    r"extract|document|article|chunk|material|snippet|section|author|context|paragraph)s?\b(?! (?:classification|"
    r"generation|mining|encoder|editor|file|field|box|string|column|splitter|embedding|store|window|length|manager|"
    r"loader|format)s?\b)"
    r"|\b(?:according to|based on|mentioned in|described in|stated in|discussed in) (?:the|this) (?:text|passage|"
    r"excerpt|extract|document|article|material|section|author|context)\b"
    r"|\b(?:above|below)[- ]mentioned\b|\b(?:text|passage|excerpt|document|code) (?:above|below)\b",
    re.IGNORECASE,
)
_MARKER = re.compile(r"^(?:BEGIN|END) [A-Z]+ [0-9a-f]{16}\s*$", re.MULTILINE)


class Read(NamedTuple):
    """What a reply held."""

    pairs: list[Messages]
    refused: Counter[GenerateDrop]
    n_held: int
    """Pairs of the reply, usable or not."""
    drop: GenerateDrop | None
    """Why there is no pair; None if there is one."""
    detail: str | None


def read_reply(reply: Reply, unit: Unit, prompt: SynthesisPrompt, fence: str) -> Read:
    """Return the usable pairs of a reply, at most as many as were asked for, and why the others are refused.

    Args:
        reply: What the model said.
        unit: What was asked. Kind, span and origin of a pair come from it, never from the reply.
        prompt: How it was asked.
        fence: The code around the material; a pair that holds it quotes the prompt.
    """
    failure = reply.failure
    if failure is not None and failure is not Failed.INVALID_REPLY:
        return Read([], Counter(), 0, _FAILED.get(failure, GenerateDrop.ENDPOINT_FAILED), reply.error)
    try:
        found = list(_conversations(parse_object(reply.text), unit, prompt))
    except ValueError as error:
        return Read([], Counter(), 0, GenerateDrop.UNPARSEABLE_REPLY, str(error))
    pairs: list[Messages] = []
    refused: Counter[GenerateDrop] = Counter()
    seen: set[str] = set()
    for messages in found:
        problem = _problem(messages, unit, prompt, fence, seen)
        if problem is None and len(pairs) == unit.n_pairs:
            problem = GenerateDrop.SURPLUS
        if problem is not None:
            refused[problem] += 1
            continue
        seen.add(_folded(messages[0]["content"]))
        pairs.append(_with_text(messages, unit, prompt))
    if pairs:
        return Read(pairs, refused, len(found), None, said_of(refused))
    drop = refused.most_common(1)[0][0] if refused else GenerateDrop.NO_PAIRS
    return Read([], refused, len(found), drop, said_of(refused))


def said_of(refused: Counter[GenerateDrop]) -> str | None:
    """Say how many pairs were refused, and why; None for none."""
    return ", ".join(f"{count} {reason.value}" for reason, count in sorted(refused.items())) or None


def _conversations(found: Mapping[str, Any], unit: Unit, prompt: SynthesisPrompt) -> Iterator[Messages]:
    """Yield the conversations of a reply, one way for each form.

    Raises:
        ValueError: if the reply is not of the form.
    """
    if prompt.form == "pairs":
        for one in _list(found, "pairs"):
            yield _turns([(_text(one, "instruction"), _text(one, "answer"))])
    elif prompt.form == "conversations":
        for one in _list(found, "conversations"):
            turns = _list(one, "turns")[:MAX_TURNS]
            yield _turns([(_text(turn, "user"), _text(turn, "assistant")) for turn in turns])
    elif prompt.form == "answer" and unit.parent is not None:
        answer = {"role": "assistant", "content": _text(found, "answer")}
        yield [*({**turn} for turn in unit.parent["messages"][:-1]), answer]
    else:
        yield _turns([(_text(found, "instruction"), _text(found, "answer"))])


def _turns(turns: list[tuple[str, str]]) -> Messages:
    return [
        {"role": role, "content": text.strip()}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]


def _list(found: Any, key: str) -> list[Any]:
    value = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(value, list):
        raise ValueError(f"{key} is missing or no array")
    return value


def _text(found: Any, key: str) -> str:
    value = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(value, str):
        raise ValueError(f"{key} is missing or no text")
    return value


def _problem(
    messages: Messages, unit: Unit, prompt: SynthesisPrompt, fence: str, seen: set[str]
) -> GenerateDrop | None:
    texts = [message["content"] for message in messages]
    if not texts or not all(any(words(text)) for text in texts):
        return GenerateDrop.EMPTY_TEXT
    if any(fence in text or _MARKER.search(text) or neutralise(text) != text for text in texts):
        return GenerateDrop.QUOTES_PROMPT
    if prompt.form == "answer":
        return None
    if _folded(texts[0]) in seen:
        return GenerateDrop.REPEATED_INSTRUCTION
    if any(_folded(texts[0]) == _folded(seed.instruction) for seed in unit.examples):
        return GenerateDrop.COPIES_EXAMPLE
    if not _repeats_text(unit, prompt) and any(_REFERS.search(text) for text in texts[::2]):
        return GenerateDrop.REFERS_TO_SOURCE
    return None


def _repeats_text(unit: Unit, prompt: SynthesisPrompt) -> bool:
    """Return whether the chunk stands in the row: as the prompt says, or as it does in the row that is evolved."""
    if unit.parent is None:
        return prompt.with_text
    return bool(unit.parent["messages"][0]["content"].endswith(f"\n\n{unit.chunk.text}"))


def _with_text(messages: Messages, unit: Unit, prompt: SynthesisPrompt) -> Messages:
    if prompt.form == "answer" or not _repeats_text(unit, prompt):
        return messages
    first, *rest = messages
    return [{**first, "content": f"{first['content']}\n\n{unit.chunk.text}"}, *rest]


def _folded(text: str) -> str:
    return " ".join(words(text.casefold()))
