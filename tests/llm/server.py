"""A real HTTP server that speaks the chat-completion protocol and fails on command."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiohttp import web

from steps.llm.probe import GREETING, SAMPLED

Answerer = Callable[[list[dict[str, str]]], str]


class FakeEndpoint:
    """Runs in a thread of its own, so that the synchronous client can be tested as it is used.

    `answer` maps the messages to the reply's text. `faults` are taken one per call, before answering: an HTTP
    status with headers and message, or one of the words `reset`, `hang`, `slow`, `truncate`, `cut_off` (the
    connection ends within the reply), `drip` (the head at once, the rest never), `not_json`, `no_usage`, `null`.

    Until `down_until` (monotonic seconds) every call fails.

    `can` names what it heeds: `json_schema`, `tool`, `logprobs`, `seed`; the rest is ignored in silence. Probes for it
    are answered apart: they take no fault, use no tokens, and stand in `probes` rather than `bodies` and `asked`.
    """

    def __init__(self, answer: Answerer | None = None, can: Iterable[str] = ("json_schema",)) -> None:
        self.can = set(can)
        self.probes: list[dict[str, Any]] = []
        self.usage: dict[str, Any] = {"prompt_tokens": 100, "completion_tokens": 10}
        self.answer: Answerer = answer or (lambda messages: f"reply to {messages[-1]['content']}")
        self.faults: deque[str | tuple[int, dict[str, str], str]] = deque()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.headers: list[Mapping[str, str]] = []
        self.asked: Counter[str] = Counter()
        self.latency_s = 0.0
        self.in_flight = self.most_in_flight = 0
        self.refuses_schema = False
        self.down_until = 0.0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> FakeEndpoint:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._finished.set)
        self._thread.join(10)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._finished = asyncio.Event()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._started.set()
        await self._finished.wait()
        await runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if body["messages"][-1]["content"] in {GREETING, SAMPLED}:
            self.probes.append(body)
            return self._answer_probe(body)
        self.bodies.append(body)
        self.headers.append(request.headers)
        self.keys.append(request.headers.get("Authorization"))
        self.asked[body["messages"][-1]["content"]] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._respond(request, body)
        finally:
            self.in_flight -= 1

    async def _respond(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        fault = self.faults.popleft() if self.faults else None
        if time.monotonic() < self.down_until:
            fault = (500, {}, "down")
        if isinstance(fault, tuple):
            status, headers, message = fault
            return web.json_response({"error": {"message": message}}, status=status, headers=headers)
        if fault == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        await asyncio.sleep({"hang": 3600.0, "slow": 0.3}.get(str(fault), self.latency_s))
        if self.refuses_schema and "response_format" in body:
            return web.json_response({"error": {"message": "response_format is not supported"}}, status=400)
        if fault == "not_json":
            return web.Response(text="<html>gateway</html>", content_type="text/html")
        if fault in {"cut_off", "drip"}:
            return await self._begin(request, ends=fault == "cut_off")
        text: str | None = self.answer(body["messages"])
        if fault == "truncate":
            text = (text or "")[: len(text or "") // 2]
        payload = self._payload(body, None if fault == "null" else text)
        if fault == "truncate":
            payload["choices"][0]["finish_reason"] = "length"
        if fault == "no_usage":
            del payload["usage"]
        return web.Response(text=json.dumps(payload), content_type="application/json")

    async def _begin(self, request: web.Request, *, ends: bool) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"choices": [')
        if ends:
            assert request.transport is not None
            request.transport.abort()
        else:
            await asyncio.sleep(3600.0)
        return response

    def _answer_probe(self, body: dict[str, Any]) -> web.Response:
        if self.refuses_schema and "response_format" in body:
            return web.json_response({"error": {"message": "response_format is not supported"}}, status=400)
        text = f"Hello, for the {len(self.probes)}th time!"
        if "seed" in body and "seed" in self.can:
            text = f"words of seed {body['seed']}"
        if "response_format" in body and "json_schema" in self.can:
            text = _first_object(body["response_format"]["json_schema"]["schema"])
        payload = self._payload(body, text)
        return web.json_response({**payload, "usage": {"prompt_tokens": 0, "completion_tokens": 0}})

    def _payload(self, body: dict[str, Any], text: str | None) -> dict[str, Any]:
        """A reply; where a tool is asked for, and known, it is called with the text or a first object."""
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if "tools" in body and "tool" in self.can:
            is_probe = body["messages"][-1]["content"] == GREETING
            arguments = _first_object(body["tools"][0]["function"]["parameters"]) if is_probe else text
            message = {"role": "assistant", "content": None, "tool_calls": [_tool_call(str(arguments))]}
        choice: dict[str, Any] = {"message": message, "finish_reason": "stop"}
        if body.get("logprobs") and "logprobs" in self.can:
            top = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -2.5}][: body["top_logprobs"]]
            choice["logprobs"] = {"content": [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": top}]}
        return {"model": f"{body['model']}-2026", "choices": [choice], "usage": dict(self.usage)}


def _first_object(schema: dict[str, Any]) -> str:
    """What a server makes of a schema of enums that it keeps to: the first value of each."""
    return json.dumps({name: rule["enum"][0] for name, rule in schema["properties"].items()})


def _tool_call(arguments: str) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": "reply", "arguments": arguments}}
