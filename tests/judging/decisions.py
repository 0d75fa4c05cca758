"""A real HTTP server that speaks `POST /v1/systemone` as `transformers serve` does, by hand."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Maps the body and the name of a question to a weight for each of its options, in order.
Decider = Callable[[dict[str, Any], str], list[float]]


class FakeSystemOne:
    """`faults` are taken one per call: a status with its body; None answers."""

    def __init__(self, decide: Decider, model: str = "tiny") -> None:
        self.decide, self.model = decide, model
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.faults: deque[tuple[int, str] | None] = deque()

    def __enter__(self) -> FakeSystemOne:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, text = outer._answer(self)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, str]:
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        self.keys.append(handler.headers.get("Authorization"))
        if handler.path != "/v1/systemone":
            return 404, '{"detail": "Not Found"}'
        if self.faults and (fault := self.faults.popleft()) is not None:
            return fault
        if unknown := set(body) - {"model", "state", "questions"}:
            return 422, json.dumps({"detail": f"extra {unknown}"})
        if body["model"] != self.model:
            return 400, json.dumps({"detail": f"Server is pinned to {self.model}"})
        self.bodies.append(body)
        answers = {name: self._decided(body, name) for name in body["questions"]}
        return 200, json.dumps(
            {"model": self.model, "answers": answers, "usage": {"input_tokens": 641, "output_tokens": 0}}
        )

    def _decided(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        question = body["questions"][name]
        options = question["criteria"]
        names = list(options) if question["type"] == "choice" else [str(i) for i in range(len(options))]
        weights = self.decide(body, name)
        total = sum(weights)
        probabilities = {key: round(weight / total, 4) for key, weight in zip(names, weights, strict=True)}
        return {"type": question["type"], "confidence": max(probabilities.values()), "probabilities": probabilities}
