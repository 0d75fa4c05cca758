"""One turn of a conversation, whatever its data set calls the roles."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from steps.extraction.reasons import ExtractDrop, UnusableError

Message = dict[str, str]

#: ShareGPT's many names of a role. A `function_call` is an assistant turn with `TOOL_CALL` marks around it.
ROLES: Mapping[str, str] = {
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
    "function": "tool",
    "function_response": "tool",
}
#: Back to ShareGPT's usual names.
SHAREGPT_ROLES: Mapping[str, str] = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
#: Keys that change what a turn means; a turn that uses one is refused rather than trained on without it.
MEANINGFUL_KEYS = ("tool_calls", "function_call", "tool_call_id", "audio", "images")
_TOOL_CALL = re.compile(r"\A<tool_call>\n(.*)\n</tool_call>\Z", re.DOTALL)
_TOOLS = re.compile(r"\A(?:(.*)\n\n)?<tools>\n(.*)\n</tools>\Z", re.DOTALL)


def turns(value: Any, key: str) -> list[Message]:
    """Convert a list of turns.

    Raises:
        UnusableError: if it is no list, or a turn of it cannot be converted; the detail names the turn.
    """
    if isinstance(value, Mapping):
        value = [value]
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise UnusableError(ExtractDrop.WRONG_TYPE, f"{key} is {_kind(value)}, not a list of turns")
    if not value:
        raise UnusableError(ExtractDrop.EMPTY_TEXT, f"{key} has no turns")
    return [_turn(entry, f"{key}[{number}]") for number, entry in enumerate(value)]


def _turn(entry: Any, place: str) -> Message:
    """Convert one turn, `{"from", "value"}` or `{"role", "content"}`."""
    if not isinstance(entry, Mapping):
        raise UnusableError(ExtractDrop.WRONG_TYPE, f"{place} is {_kind(entry)}, not an object")
    role = entry.get("role", entry.get("from"))
    if role is None:
        raise UnusableError(ExtractDrop.MISSING_KEYS, f"{place} has neither role nor from; found {_keys(entry)}")
    used = next((key for key in MEANINGFUL_KEYS if entry.get(key) not in (None, [], "")), None)
    if used or entry.get("weight") == 0:
        raise UnusableError(ExtractDrop.UNSUPPORTED_CONTENT, f"{place} uses {used or 'weight: 0'}")
    if not isinstance(role, str) or role.lower() not in ROLES:
        raise UnusableError(ExtractDrop.UNKNOWN_ROLE, f"{place} has role {str(role)[:40]!r}")
    content = _content(entry.get("content", entry.get("value")), place)
    if role.lower() == "function_call":
        content = f"<tool_call>\n{content}\n</tool_call>"
    return {"role": ROLES[role.lower()], "content": content}


def _content(value: Any, place: str) -> str:
    """Return a turn's text; a list of text parts is joined."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise UnusableError(ExtractDrop.WRONG_TYPE, f"{place} has {_kind(value)} for content, not text")
    texts = []
    for part in value:
        text = part.get("text") or part.get("value") if isinstance(part, Mapping) else None
        if not isinstance(text, str) or part.get("type") != "text":
            sort = part.get("type") if isinstance(part, Mapping) else _kind(part)
            raise UnusableError(ExtractDrop.UNSUPPORTED_CONTENT, f"{place} has a part of type {sort}")
        texts.append(text)
    return "\n".join(texts)


def with_preamble(messages: list[Message], system: Any, tools: Any) -> list[Message]:
    """Put a row's own `system` text and `tools` into the system turn; `without_preamble` takes the tools out again."""
    if system is not None and not isinstance(system, str):
        raise UnusableError(ExtractDrop.WRONG_TYPE, f"system is {_kind(system)}, not text")
    if system:
        messages = [{"role": "system", "content": system}, *messages]
    if not tools or tools == "[]":
        return messages
    listed = tools if isinstance(tools, str) else json.dumps(tools, ensure_ascii=False)
    block = f"<tools>\n{listed}\n</tools>"
    if messages[0]["role"] != "system":
        return [{"role": "system", "content": block}, *messages]
    return [{"role": "system", "content": f"{messages[0]['content']}\n\n{block}"}, *messages[1:]]


def without_preamble(messages: Sequence[Mapping[str, str]]) -> tuple[str | None, str | None, list[Message]]:
    """Split off the system text and the tools; both None where there is no system turn."""
    rest = [dict(message) for message in messages]
    if not rest or rest[0]["role"] != "system":
        return None, None, rest
    content = rest.pop(0)["content"]
    found = _TOOLS.match(content)
    return (found[1], found[2], rest) if found else (content, None, rest)


def sharegpt_turn(message: Mapping[str, str]) -> Message:
    """Convert a message back to ShareGPT's form."""
    call = _TOOL_CALL.match(message["content"]) if message["role"] == "assistant" else None
    if call:
        return {"from": "function_call", "value": call[1]}
    return {"from": SHAREGPT_ROLES[message["role"]], "value": message["content"]}


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__


def _keys(row: Mapping[str, Any]) -> str:
    return ", ".join(sorted(map(str, row))[:12]) or "no keys"
