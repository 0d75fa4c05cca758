"""An OpenAI-compatible endpoint that answers after a set time, fails by plan, and counts what it was asked.

    python benchmarks/llm_stub.py --port 8911 --latency 0.2

`/v1/…` answers always; `/faults/v1/…` fails the first attempt of one prompt in ten, in six ways (`PLAN`). `GET /stats`
sums up, `GET /prompts` tells attempts and answers of each prompt, `POST /reset` forgets. A prompt is known by its mark
`prompt-<number>`, or else by its messages. Imports nothing of this project, so that tests and peers can use it alike.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import urllib.request
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple


class Fault(StrEnum):
    """How an attempt fails."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    RESET = "reset"
    HANG = "hang"
    TRUNCATED = "truncated"
    SLOW = "slow"


#: Of a thousand prompts, how many meet each fault: a tenth in all.
PLAN = {
    Fault.RATE_LIMITED: 25,
    Fault.SERVER_ERROR: 20,
    Fault.TRUNCATED: 20,
    Fault.RESET: 15,
    Fault.HANG: 10,
    Fault.SLOW: 10,
}
#: What a slow reply takes, and what a refused client is told to wait.
SLOW_S, RETRY_AFTER_S = 3.0, 1
MODEL = "stub"

_MARK = re.compile(rb"prompt-(\d+)")
_LENGTH = re.compile(rb"(?i)content-length:\s*(\d+)")
_RATIONALE = (
    "The response follows the instruction, is factually accurate and complete, and holds no more than it needs."
)


def fault_of(prompt: str) -> Fault | None:
    """Return what befalls the first attempt of a prompt."""
    drawn = zlib.crc32(prompt.encode()) % 1000
    for fault, share in PLAN.items():
        drawn -= share
        if drawn < 0:
            return fault
    return None


def instance_of(schema: Mapping[str, Any], chance: int) -> Any:
    """Return a value that fits a JSON schema; `chance` picks among the allowed ones."""
    if "enum" in schema:
        return schema["enum"][chance % len(schema["enum"])]
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: instance_of(each, chance) for name, each in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance_of(schema.get("items", {"type": "string"}), chance)] * max(1, schema.get("minItems", 1))
    if kind in {"integer", "number"}:
        low, high = int(schema.get("minimum", 0)), int(schema.get("maximum", 10))
        return low + chance % (high - low + 1)
    return chance % 2 == 0 if kind == "boolean" else _RATIONALE[: schema.get("maxLength", len(_RATIONALE))]


class Prompt(NamedTuple):
    """One attempt: whose it is, and what it wants."""

    id: str
    wants: Mapping[str, Any]
    may_fail: bool

    def completion(self, cut_off: bool) -> bytes:
        """Write the reply, whole or cut off in the middle of its JSON."""
        schema = self.wants.get("response_format", {}).get("json_schema", {}).get("schema")
        text = json.dumps(instance_of(schema, zlib.crc32(self.id.encode()) >> 8)) if schema else _RATIONALE
        text = text[: len(text) // 2] if cut_off else text
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "length" if cut_off else "stop",
            "logprobs": {"content": _logprobs(text, self.wants)} if self.wants.get("logprobs") else None,
        }
        usage = {"prompt_tokens": 420, "completion_tokens": 60, "total_tokens": 480}
        found = {"id": self.id, "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice]}
        return json.dumps({**found, "usage": usage}).encode()


def _logprobs(text: str, wants: Mapping[str, Any]) -> list[dict[str, Any]]:
    tokens = re.findall(r"\w+|\W", text)
    others = [{"token": f"<{i}>", "logprob": -5.0 - i} for i in range(max(0, int(wants.get("top_logprobs", 0)) - 1))]
    return [
        {"token": token, "logprob": -0.1, "top_logprobs": [{"token": token, "logprob": -0.1}, *others]}
        for token in tokens
    ]


class Counters:
    """What was asked and answered."""

    def __init__(self) -> None:
        self.in_flight = self.most_in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget all but what is on its way."""
        self.most_in_flight = self.in_flight
        self.attempts: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.abandoned = 0

    def started(self, prompt: str) -> int:
        """Count an attempt and return its number."""
        self.attempts[prompt] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return self.attempts[prompt]

    def stats(self) -> dict[str, Any]:
        """Return the sums."""
        return {
            "prompts": len(self.attempts),
            "attempts": self.attempts.total(),
            "most_attempts": max(self.attempts.values(), default=0),
            "answers": self.answers.total(),
            "most_answers": max(self.answers.values(), default=0),
            "faults": dict(self.faults),
            "abandoned": self.abandoned,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
        }

    def prompts(self) -> dict[str, dict[str, int]]:
        """Return attempts and answers in full of each prompt."""
        return {each: {"attempts": n, "answers": self.answers[each]} for each, n in self.attempts.items()}


class Connection(asyncio.Protocol):
    """One connection of a client, kept alive; requests on it come one after the other."""

    def __init__(self, counters: Counters, latency_s: float) -> None:
        self._counters, self._latency_s = counters, latency_s
        self._buffer = b""
        self._pending: asyncio.TimerHandle | None = None
        self._in_flight = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        if self._in_flight:
            self._counters.abandoned += 1
            self._ended()
        if self._pending is not None:
            self._pending.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return
        self._buffer = rest[size:]
        self._received(head.split(b" ", 2)[1].decode(), rest[:size])

    def _received(self, path: str, body: bytes) -> None:
        if path.endswith("/chat/completions"):
            self._ask(_prompt_of(path, body))
        elif path.endswith("/models"):
            self._send(200, json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode())
        elif path == "/stats":
            self._send(200, json.dumps(self._counters.stats()).encode())
        elif path == "/prompts":
            self._send(200, json.dumps(self._counters.prompts()).encode())
        elif path == "/reset":
            self._counters.reset()
            self._send(200, b"{}")
        else:
            self._send(404, _error("no such path"))

    def _ask(self, prompt: Prompt) -> None:
        """Make up the reply at once and send it when its time has come, so that the work is part of the latency."""
        # The event loop wakes up to a millisecond late, half of one on average.
        due = asyncio.get_running_loop().time() + max(0.0, self._latency_s - 0.0005)
        attempt = self._counters.started(prompt.id)
        self._in_flight = True
        fault = fault_of(prompt.id) if prompt.may_fail and attempt == 1 else None
        if fault is not None:
            self._counters.faults[fault] += 1
        if fault is Fault.RATE_LIMITED:
            self._fail(429, "Rate limit reached", b"Retry-After: %d\r\n" % RETRY_AFTER_S)
        elif fault is Fault.RESET:
            self._break_off()
        elif fault is Fault.SERVER_ERROR:
            self._at(due, lambda: self._fail(500, "The server had an error"))
        elif fault is not Fault.HANG:
            cut_off = fault is Fault.TRUNCATED
            reply = prompt.completion(cut_off)
            due += SLOW_S if fault is Fault.SLOW else 0.0
            self._at(due, lambda: self._answer(prompt, reply, in_full=not cut_off))

    def _at(self, due: float, action: Callable[[], None]) -> None:
        self._pending = asyncio.get_running_loop().call_at(due, action)

    def _answer(self, prompt: Prompt, reply: bytes, in_full: bool) -> None:
        self._ended()
        self._counters.answers[prompt.id] += in_full
        self._send(200, reply)

    def _fail(self, status: int, message: str, header: bytes = b"") -> None:
        self._ended()
        self._send(status, _error(message), header)

    def _break_off(self) -> None:
        """Close the connection at once: lingering for no time makes the kernel send a reset."""
        self._ended()
        raw: socket.socket = self._transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def _ended(self) -> None:
        self._counters.in_flight -= 1
        self._in_flight = False

    def _send(self, status: int, payload: bytes, header: bytes = b"") -> None:
        head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
        self._transport.write(head % (status, header, len(payload)) + payload)


def _prompt_of(path: str, body: bytes) -> Prompt:
    wants = json.loads(body)
    marks = _MARK.findall(body)
    name = marks[-1].decode() if marks else hashlib.sha256(json.dumps(wants["messages"]).encode()).hexdigest()
    return Prompt(name, wants, path.startswith("/faults/"))


def _error(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "stub", "code": None}}).encode()


async def serve(port: int, latency_s: float) -> None:
    """Listen on loopback and print the port."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        functools.partial(Connection, Counters(), latency_s), "127.0.0.1", port, backlog=4096
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


class Stub:
    """The stub in a process of its own, ended with this handle, or with this process.

    Attributes:
        base_url: Address of an endpoint that always answers.
        faulty_url: Address of the endpoint that fails by plan.
    """

    def __init__(self, latency_s: float = 0.2) -> None:
        self._latency_s = latency_s

    def __enter__(self) -> Stub:
        command = [sys.executable, str(Path(__file__)), "--latency", str(self._latency_s), "--with-parent"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self._address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self.base_url, self.faulty_url = f"{self._address}/v1", f"{self._address}/faults/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def stats(self) -> dict[str, Any]:
        """Return the sums of all counters."""
        return self._call("/stats")

    def prompts(self) -> dict[str, dict[str, int]]:
        """Return `attempts` and `answers` by prompt."""
        return self._call("/prompts")

    def reset(self) -> None:
        """Forget what was counted; the next attempt of a prompt is its first."""
        self._call("/reset", b"")

    def _call(self, path: str, data: bytes | None = None) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._address}{path}", data, timeout=30) as response:
            found: dict[str, Any] = json.load(response)
        return found


def _end_with_parent() -> None:
    """End this process when standard input closes, as it does when the starting process is gone."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(0)  # the event loop runs in the other thread, and holds nothing that must be tidied up

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; it is printed")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds until a reply")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input closes")
    chosen = parser.parse_args()
    if chosen.with_parent:
        _end_with_parent()
    asyncio.run(serve(chosen.port, chosen.latency))


if __name__ == "__main__":
    main()
