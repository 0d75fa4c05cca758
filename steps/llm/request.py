"""What is asked and what comes back: `ChatRequest` and `Reply`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from steps.llm.endpoint import EndpointSettings

#: One text for one content, whatever the order in which it was put together.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Failed(StrEnum):
    """Why a request got no usable reply."""

    TIMEOUT = "timeout"
    CONNECTION_FAILED = "connection_failed"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    REQUEST_REFUSED = "request_refused"
    MALFORMED_RESPONSE = "malformed_response"
    EMPTY_REPLY = "empty_reply"
    CONTENT_FILTERED = "content_filtered"
    TRUNCATED_REPLY = "truncated_reply"
    INVALID_REPLY = "invalid_reply"
    NOT_SENT = "not_sent"


class Structure(StrEnum):
    """How an endpoint is made to reply with a JSON object of a schema, from the firmest way to the loosest."""

    JSON_SCHEMA = "json_schema"
    TOOL = "tool"
    PROMPT = "prompt"


#: Name of the tool whose arguments are the reply.
REPLY_TOOL = "reply"


class ChatRequest(NamedTuple):
    """One prompt. What is None comes from the model's settings."""

    messages: Sequence[Mapping[str, str]]
    schema: Mapping[str, Any] | None = None
    """JSON schema (an object) of the reply; None for free text."""
    sample: int = 0
    """Tells several samples of the same prompt apart; each is asked for, and cached, by itself."""
    temperature: float | None = None
    """Sampling temperature."""
    max_tokens: int | None = None
    """Longest reply in tokens."""
    top_logprobs: int = 0
    """Alternatives that are reported for each token of the reply; 0 asks for no probabilities."""


class Reply(NamedTuple):
    """The outcome of one request. `text` is the last text received, also when it was refused (`error`)."""

    text: str
    model: str
    """Model as the endpoint named it."""
    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None
    """What the reply cost when it was paid for, all attempts together; None if prices are unknown."""
    latency_s: float
    """Seconds from the first attempt to the last byte, waits included."""
    attempts: int
    cached: bool
    """True: this run did not ask for it, let alone pay."""
    error: str | None
    """`<Failed>: <message>`, or None."""
    finish_reason: str | None = None
    """Why the model stopped, as the endpoint said: `stop`, `length`, `content_filter`, …"""
    logprobs: list[dict[str, Any]] | None = None
    """Per token of the reply `{token, logprob, top: [{token, logprob}, …]}`, natural logarithms; None where they were
    not asked for or the endpoint does not give them."""

    @property
    def failure(self) -> Failed | None:
        """The kind of `error`."""
        return None if self.error is None else Failed(self.error.partition(":")[0])

    @property
    def call(self) -> dict[str, Any]:
        """The columns of `rows.CALL` that a reply knows, which are all but those of the prompt file."""
        columns = self._asdict()
        columns["raw"] = columns.pop("text")
        del columns["logprobs"]
        return columns


def body_of(
    request: ChatRequest, settings: EndpointSettings, structure: Structure = Structure.JSON_SCHEMA
) -> dict[str, Any]:
    """Return the JSON body of a chat-completion call; `structure` says how the request's schema is asked for."""
    body = _plain_body(request, settings)
    if request.schema is not None:
        body |= _structured(body["messages"], dict(request.schema), structure)
    return {**body, **settings.extra_body}


def _plain_body(request: ChatRequest, settings: EndpointSettings) -> dict[str, Any]:
    """Return the body without a word on the reply's form, and without what the settings add."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": message["role"], "content": message["content"]} for message in request.messages],
        settings.max_tokens_field: request.max_tokens or settings.max_tokens,
    }
    temperature = settings.temperature if request.temperature is None else request.temperature
    if temperature is not None:
        body["temperature"] = temperature
    if settings.top_p is not None:
        body["top_p"] = settings.top_p
    if settings.seed is not None:
        # The same seed for each sample of a prompt would draw the same reply again.
        body["seed"] = settings.seed + request.sample
    if request.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    return body


def _structured(messages: list[dict[str, str]], schema: dict[str, Any], structure: Structure) -> dict[str, Any]:
    """Return what a body needs to ask for an object of the schema."""
    if structure is Structure.JSON_SCHEMA:
        return {"response_format": _response_format(schema)}
    if structure is Structure.TOOL:
        function = {"name": REPLY_TOOL, "description": "Takes the reply.", "parameters": schema}
        return {
            "tools": [{"type": "function", "function": function}],
            "tool_choice": {"type": "function", "function": {"name": REPLY_TOOL}},
        }
    return {"messages": with_schema(messages, schema)}


def _response_format(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": schema}}


def with_schema(messages: Sequence[Mapping[str, str]], schema: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the messages with a request for an object of the schema, for a model that cannot be held to it."""
    note = f"Reply with one JSON object of this JSON schema, and nothing else:\n{json.dumps(schema)}"
    return with_note(messages, note)


def with_note(messages: Sequence[Mapping[str, str]], note: str) -> list[dict[str, str]]:
    """Return the messages with a paragraph added to the last one."""
    *before, last = messages
    return [*map(dict, before), {**last, "content": f"{last['content']}\n\n{note}"}]


def request_key(request: ChatRequest, settings: EndpointSettings) -> str:
    """Return the SHA-256 of all that decides the reply.

    The address does not: the same model elsewhere is the same model. Nor does `max_tokens`: only replies that it did
    not cut off are ever stored, so another limit need not be paid for again. Nor in which way the endpoint is made to
    keep to the schema.
    """
    return request_keys([request], settings)[0]


def request_keys(requests: Sequence[ChatRequest], settings: EndpointSettings) -> list[str]:
    """Return the `request_key` of each; a schema that many requests share is written out once."""
    forms: dict[int, str] = {}  # by the schema's identity: the requests keep it alive
    keys = []
    for request in requests:
        decisive = {**_plain_body(request, settings), **settings.extra_body, "sample": request.sample}
        del decisive[settings.max_tokens_field]
        parts = {name: _CANONICAL(value) for name, value in decisive.items()}
        if request.schema is not None:
            number = id(request.schema)
            if number not in forms:
                forms[number] = _CANONICAL(_response_format(dict(request.schema)))
            parts["response_format"] = forms[number]
        canonical = ",".join(f"{_CANONICAL(name)}:{parts[name]}" for name in sorted(parts))
        keys.append(hashlib.sha256(f"{{{canonical}}}".encode("ascii")).hexdigest())
    return keys


def encoded(body: Mapping[str, Any]) -> bytes:
    """Return the body as it is sent: UTF-8 JSON; half a surrogate pair, which UTF-8 has no bytes for, goes escaped."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return json.dumps(body, separators=(",", ":")).encode()


def most_reply_tokens(body: Mapping[str, Any]) -> int:
    """Return the longest reply that the body allows, in tokens."""
    return int(body["max_tokens"] if "max_tokens" in body else body["max_completion_tokens"])
