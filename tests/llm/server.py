"""A real HTTP server that speaks the chat-completion protocol and fails on command."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from aiohttp import web

Answerer = Callable[[list[dict[str, str]]], str]


class FakeEndpoint:
    """Runs in a thread of its own, so that the synchronous client can be tested as it is used.

    `answer` maps the messages to the reply's text. `faults` are taken one per call, before answering: an HTTP
    status with headers and message, or one of the words `reset`, `hang`, `slow`, `truncate`, `not_json`, `no_usage`,
    `null`.
    """

    def __init__(self, answer: Answerer | None = None) -> None:
        self.answer: Answerer = answer or (lambda messages: f"reply to {messages[-1]['content']}")
        self.faults: deque[str | tuple[int, dict[str, str], str]] = deque()
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.asked: Counter[str] = Counter()
        self.latency_s = 0.0
        self.in_flight = self.most_in_flight = 0
        self.refuses_schema = False
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
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._started.set()
        await self._finished.wait()
        await runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
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
        text: str | None = self.answer(body["messages"])
        if fault == "truncate":
            text = (text or "")[: len(text or "") // 2]
        payload: dict[str, Any] = {
            "model": f"{body['model']}-2026",
            "choices": [
                {
                    "message": {"role": "assistant", "content": None if fault == "null" else text},
                    "finish_reason": "length" if fault == "truncate" else "stop",
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        }
        if fault == "no_usage":
            del payload["usage"]
        return web.Response(text=json.dumps(payload), content_type="application/json")
