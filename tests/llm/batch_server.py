"""A real HTTP server of the files and batches protocol, which ends batches in whatever way a test wants."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from aiohttp import web

Fault = str | tuple[int, str]


class FakeBatchEndpoint:
    """Runs in a thread of its own. A batch is done `n_polls` looks after it was created.

    `answer` maps the messages to the reply's text. What befalls the batches, one entry per batch in order:
    `endings` (`completed` where there is none) are `failed`, `expired` and `cancelled` (the first `n_before_end`
    requests were answered), `silent` (completed, and those beyond are not mentioned) or `never` (it stays in progress).
    `refusals` maps a prompt to the statuses with which it is refused, one per submission. `faults`, one per call by
    `METHOD path-part`, are an HTTP status with a message, `reset` (before anything is done) or `lost` (all is done, and
    the answer never arrives).
    """

    def __init__(self, answer: Callable[[list[dict[str, str]]], str] | None = None) -> None:
        self.answer = answer or (lambda messages: f"reply to {messages[-1]['content']}")
        self.n_polls, self.n_before_end = 2, 1
        self.endings: deque[str] = deque()
        self.refusals: dict[str, deque[int]] = {}
        self.faults: dict[str, deque[Fault]] = {}
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.sizes: list[int] = []
        self.bodies: list[dict[str, Any]] = []
        self.asked: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.keys: set[str | None] = set()
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> FakeBatchEndpoint:
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
        app = web.Application(client_max_size=1 << 26)
        app.router.add_post("/v1/files", self._faulty("POST files", self._upload))
        app.router.add_get("/v1/files/{id}/content", self._faulty("GET content", self._content))
        app.router.add_post("/v1/batches", self._faulty("POST batches", self._create))
        app.router.add_get("/v1/batches", self._faulty("GET list", self._list))
        app.router.add_get("/v1/batches/{id}", self._faulty("GET batch", self._get))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        self._started.set()
        await self._finished.wait()
        await runner.cleanup()

    def _faulty(self, name: str, handler: Any) -> Any:
        async def handle(request: web.Request) -> web.StreamResponse:
            self.calls[name] += 1
            self.keys.add(request.headers.get("Authorization"))
            fault = self.faults[name].popleft() if self.faults.get(name) else None
            if isinstance(fault, tuple):
                return web.json_response({"error": {"message": fault[1]}}, status=fault[0])
            if fault == "lost":
                await handler(request)
            if fault is not None:
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            response: web.StreamResponse = await handler(request)
            return response

        return handle

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        upload = form["file"]
        assert isinstance(upload, web.FileField)
        return web.json_response({"id": self._file(upload.file.read())})

    def _file(self, content: bytes) -> str:
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = content
        return file_id

    async def _content(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def _create(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert asked["endpoint"] == "/v1/chat/completions"
        batch_id = f"batch-{len(self.batches)}"
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert len({line["custom_id"] for line in lines}) == len(lines)
        assert all(len(line["custom_id"]) <= 64 and line["url"] == asked["endpoint"] for line in lines)
        ending = self.endings.popleft() if self.endings else "completed"
        self.sizes.append(len(lines))
        for line in lines:
            self.bodies.append(line["body"])
            self.asked[line["body"]["messages"][-1]["content"]] += 1
        self.batches[batch_id] = {
            "id": batch_id,
            "input_file_id": asked["input_file_id"],
            "metadata": asked["metadata"],
            "status": "validating",
            "created_at": 1_000_000,
            "window": asked["completion_window"],
            "looks": 0,
            "ending": ending,
            "lines": lines,
        }
        return web.json_response(self._described(batch_id))

    async def _list(self, request: web.Request) -> web.Response:
        """Youngest first, two on a page."""
        ids = list(self.batches)[::-1]
        after = request.query.get("after")
        start = ids.index(after) + 1 if after else 0
        page = [self._described(batch_id) for batch_id in ids[start : start + 2]]
        return web.json_response({"data": page, "has_more": start + 2 < len(ids)})

    async def _get(self, request: web.Request) -> web.Response:
        batch_id = request.match_info["id"]
        if batch_id not in self.batches:
            return web.json_response({"error": {"message": "no such batch"}}, status=404)
        batch = self.batches[batch_id]
        batch["looks"] += 1
        if batch["looks"] > self.n_polls and batch["ending"] != "never" and "completed_at" not in batch:
            self._end(batch)
        elif "completed_at" not in batch:
            batch["status"] = "in_progress"
        return web.json_response(self._described(batch_id))

    def _described(self, batch_id: str) -> dict[str, Any]:
        hidden = {"looks", "ending", "lines", "window"}
        return {name: value for name, value in self.batches[batch_id].items() if name not in hidden}

    def _end(self, batch: dict[str, Any]) -> None:
        ending, lines = batch["ending"], batch["lines"]
        batch |= {"status": "completed" if ending == "silent" else ending, "completed_at": 1_000_060}
        if ending == "failed":
            batch["errors"] = {"data": [{"code": "invalid_json_line", "message": "line 1 is no request"}]}
            return
        answered = lines if ending == "completed" else lines[: self.n_before_end]
        good, bad = [], []
        for line in answered:
            refusals = self.refusals.get(line["body"]["messages"][-1]["content"])
            (bad if refusals else good).append(self._result(line, refusals.popleft() if refusals else 200))
        if ending == "expired":
            error = {"code": "batch_expired", "message": "This request could not be executed in time."}
            bad += [
                {"custom_id": line["custom_id"], "response": None, "error": error} for line in lines[len(answered) :]
            ]
        for name, results in (("output_file_id", good[::-1]), ("error_file_id", bad)):
            if results:
                batch[name] = self._file(b"".join(json.dumps(result).encode() + b"\n" for result in results))

    def _result(self, line: dict[str, Any], status: int) -> dict[str, Any]:
        body: dict[str, Any] = {"error": {"message": "no such thing"}}
        if status == 200:
            text = self.answer(line["body"]["messages"])
            body = {
                "model": f"{line['body']['model']}-2026",
                "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10},
            }
        return {"custom_id": line["custom_id"], "response": {"status_code": status, "body": body}, "error": None}
