"""Data set rows to `messages` and back: Alpaca, ShareGPT, OpenAI chat, OpenAssistant trees, raw text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.trees import best_path
from steps.extraction.turns import Message, sharegpt_turn, turns, with_preamble, without_preamble

#: Keys by which `auto` knows a format, most telling first.
TELLING_KEYS = (
    ("openai", ("messages",)),
    ("sharegpt", ("conversations",)),
    ("sharegpt", ("conversation",)),
    ("alpaca", ("instruction", "output")),
    ("oasst", ("message_tree_id", "prompt")),
    ("text", ("text",)),
)
_INPUT = re.compile(r"(?=\n\nInput(?: \((\d+)\))?:\n)")


def detect_format(row: Mapping[str, Any]) -> str:
    """Return the format of a row by its keys.

    Raises:
        UnusableError: `missing_keys`, with the keys that were found.
    """
    for name, keys in TELLING_KEYS:
        if all(row.get(key) is not None for key in keys):
            return name
    found = ", ".join(sorted(map(str, row))[:12]) or "no keys"
    raise UnusableError(
        ExtractDrop.MISSING_KEYS,
        f"found {found}; expected messages, conversations, instruction and output, or text; rename with `columns`",
    )


def to_messages(row: Mapping[str, Any], format_name: str) -> list[Message]:
    """Convert one row to messages, losing nothing that `from_messages` could not bring back.

    Raises:
        UnusableError: with the reason and the key.
    """
    if row.get("label") is False:
        raise UnusableError(ExtractDrop.LABELLED_UNDESIRABLE, "label is false")
    readers = {"openai": _openai, "sharegpt": _sharegpt, "alpaca": _alpaca, "oasst": best_path, "text": _text}
    messages = readers[format_name](row)
    if not any(message["role"] == "assistant" for message in messages):
        raise UnusableError(ExtractDrop.NO_ASSISTANT_TURN, f"roles: {', '.join(m['role'] for m in messages)[:80]}")
    return messages


def from_messages(messages: Sequence[Mapping[str, str]], format_name: str) -> dict[str, Any]:
    """Convert messages back to a row of a format: the inverse of `to_messages`.

    Raises:
        ValueError: if the format cannot hold the conversation (Alpaca holds no tool turns, text one turn only).
    """
    if format_name == "openai":
        return {"messages": [dict(message) for message in messages]}
    if format_name == "sharegpt":
        system, tools, rest = without_preamble(messages)
        row: dict[str, Any] = {"conversations": [sharegpt_turn(message) for message in rest]}
        return row | ({"system": system} if system is not None else {}) | ({"tools": tools} if tools else {})
    if format_name == "alpaca":
        return _alpaca_row(messages)
    if format_name == "text" and len(messages) == 1:
        return {"text": messages[0]["content"]}
    raise ValueError(f"{len(messages)} messages do not fit the format {format_name!r}")


def join_input(instruction: str, given: str) -> str:
    r"""Join Alpaca's instruction and input so that `split_input` can part them again, whatever they contain.

    >>> join_input("Add the numbers.", "1, 2")
    'Add the numbers.\n\nInput:\n1, 2'
    >>> join_input("Say\n\nInput:\nhere", "x")
    'Say\n\nInput:\nhere\n\nInput (2):\nx'
    """
    if not given and split_input(instruction) == (instruction, ""):
        return instruction
    number = 1
    while True:
        label = "Input:" if number == 1 else f"Input ({number}):"
        joined = f"{instruction}\n\n{label}\n{given}"
        if split_input(joined) == (instruction, given):
            return joined
        number += 1


def split_input(prompt: str) -> tuple[str, str]:
    """Part a prompt at the first label of the highest number: the inverse of `join_input`."""
    labels = [(int(found[1] or 1), -found.start()) for found in _INPUT.finditer(prompt)]
    if not labels:
        return prompt, ""
    start = -max(labels)[1]
    return prompt[:start], prompt[prompt.index(":\n", start) + 2 :]


def _openai(row: Mapping[str, Any]) -> list[Message]:
    return with_preamble(turns(_required(row, "messages"), "messages"), row.get("system"), row.get("tools"))


def _sharegpt(row: Mapping[str, Any]) -> list[Message]:
    key = "conversations" if row.get("conversations") is not None else "conversation"
    return with_preamble(turns(_required(row, key), key), row.get("system"), row.get("tools"))


def _alpaca(row: Mapping[str, Any]) -> list[Message]:
    messages: list[Message] = []
    for past in row.get("history") or ():
        if not isinstance(past, Sequence) or len(past) != 2 or not all(isinstance(text, str) for text in past):
            raise UnusableError(ExtractDrop.WRONG_TYPE, "history is not a list of [question, answer]")
        messages += [{"role": "user", "content": past[0]}, {"role": "assistant", "content": past[1]}]
    instruction = _text_of(row, "instruction")
    given = _text_of(row, "input") if row.get("input") is not None else ""
    messages.append({"role": "user", "content": join_input(instruction, given)})
    messages.append({"role": "assistant", "content": _text_of(row, "output")})
    return with_preamble(messages, row.get("system"), None)


def _alpaca_row(messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    system = messages[0]["content"] if messages and messages[0]["role"] == "system" else None
    rest = list(messages[1:] if system is not None else messages)
    pairs = list(zip(rest[::2], rest[1::2], strict=False))
    roles = [message["role"] for message in rest]
    if not rest or roles != ["user", "assistant"] * len(pairs):
        raise ValueError(f"an Alpaca row holds pairs of user and assistant turns, not {roles}")
    *history, (question, answer) = pairs
    instruction, given = split_input(question["content"])
    row: dict[str, Any] = {"instruction": instruction, "input": given, "output": answer["content"]}
    if system is not None:
        row["system"] = system
    if history:
        row["history"] = [[past["content"], reply["content"]] for past, reply in history]
    return row


def _text(row: Mapping[str, Any]) -> list[Message]:
    return [{"role": "assistant", "content": _text_of(row, "text")}]


def _required(row: Mapping[str, Any], key: str) -> Any:
    if row.get(key) is None:
        found = ", ".join(sorted(map(str, row))[:12]) or "no keys"
        raise UnusableError(ExtractDrop.MISSING_KEYS, f"{key} is missing; found {found}")
    return row[key]


def _text_of(row: Mapping[str, Any], key: str) -> str:
    value = _required(row, key)
    if not isinstance(value, str):
        raise UnusableError(ExtractDrop.WRONG_TYPE, f"{key} is {type(value).__name__}, not text")
    return value
