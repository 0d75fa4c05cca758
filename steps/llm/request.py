"""What is asked and what comes back: `ChatRequest` and `Reply`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from steps.llm.endpoint import EndpointSettings


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


def body_of(request: ChatRequest, settings: EndpointSettings) -> dict[str, Any]:
    """Return the JSON body of a chat-completion call."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": message["role"], "content": message["content"]} for message in request.messages],
        "max_tokens": request.max_tokens or settings.max_tokens,
    }
    temperature = settings.temperature if request.temperature is None else request.temperature
    if temperature is not None:
        body["temperature"] = temperature
    if request.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": dict(request.schema)},
        }
    return body


def request_key(request: ChatRequest, settings: EndpointSettings) -> str:
    """Return the SHA-256 of all that decides the reply.

    The address does not: the same model elsewhere is the same model. Nor does `max_tokens`: only replies that it did
    not cut off are ever stored, so another limit need not be paid for again.
    """
    decisive = {**body_of(request, settings), "sample": request.sample}
    del decisive["max_tokens"]
    canonical = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def worst_case_tokens(body: Mapping[str, Any]) -> tuple[int, int]:
    """Bound the tokens of a call: every token of a byte-level tokenizer spans at least one byte.

    Returns:
        Prompt tokens (the bytes of the body's JSON, which outweigh the few tokens per turn that a chat template
        adds) and reply tokens (`max_tokens`).
    """
    return len(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")), int(body["max_tokens"])
