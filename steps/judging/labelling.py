"""A small page to label in, served to this machine alone.

Nothing of a document can act: texts reach the page as JSON and are set as text, and its content security policy admits
only its own script and style, by a nonce. Other sites cannot reach the server: its address has a secret part, and a
request under another host name is refused.
"""

from __future__ import annotations

import json
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from steps.errors import InputError
from steps.judging.label_store import LabelStore
from steps.preview import environment

HOST = "127.0.0.1"
#: Bytes of the longest request: a label and a comment.
_MAX_BODY = 1 << 16
_GUIDES = {
    True: "You see a prompt and two answers. Say which answer you would rather have got, or that it is a tie. Sides "
    "are shuffled. If you lack the knowledge to tell, choose Cannot tell rather than guess.",
    False: "You see a prompt and an answer. Say how good the answer is; with yes and no: whether it is right, complete "
    "and clear enough to teach a model with. If you lack the knowledge to tell, choose Cannot tell rather than guess.",
}


class LabelServer(ThreadingHTTPServer):
    """Serves the page, the tasks of a person, and takes labels.

    Args:
        store: The label file, already held.
        port: 0 takes a free one.

    Raises:
        InputError: if the port cannot be had.
    """

    daemon_threads = True

    def __init__(self, store: LabelStore, port: int = 0) -> None:
        self.store = store
        self.secret = secrets.token_urlsafe(16)
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise InputError(f"--port {port} cannot be had ({error.strerror}); leave it out for a free one") from None
        self.hosts = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.server_port}/{self.secret}/"


class _Handler(BaseHTTPRequestHandler):
    server: LabelServer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """Answer with the page, or with a person's tasks."""
        path = self._path()
        if path == "":
            self._page()
        elif path == "tasks":
            annotator = parse_qs(urlsplit(self.path).query).get("annotator", [""])[0]
            self._answer(lambda: {"tasks": self.server.store.tasks(annotator)})
        elif path is not None:
            self._json(404, {"error": "there is nothing here"})

    def do_POST(self) -> None:
        """Take a label."""
        path = self._path()
        if path is None:
            return
        size = self.headers.get("Content-Length", "")
        if path != "label" or self.headers.get_content_type() != "application/json" or not size.isdecimal():
            self.close_connection = True
            self._json(400, {"error": "a label is posted to `label` as JSON"})
        elif int(size) > _MAX_BODY:
            self.close_connection = True
            self._json(413, {"error": f"more than {_MAX_BODY} bytes"})
        else:
            body = self.rfile.read(int(size))
            self._answer(lambda: self._save(body))

    def _save(self, body: bytes) -> dict[str, Any]:
        said = json.loads(body)
        if not isinstance(said, dict) or not isinstance(said.get("criteria", {}), dict):
            raise ValueError("a label is an object with annotator, task_id, label, comment and criteria")
        annotator, task_id, label, comment = (
            str(said.get(name, "")) for name in ("annotator", "task_id", "label", "comment")
        )
        criteria = {str(name): str(value) for name, value in said.get("criteria", {}).items()}
        self.server.store.save(annotator, task_id, label, comment, criteria)
        return {"saved": True}

    def _path(self) -> str | None:
        """Return what is asked for below the secret part; None if the request was refused."""
        if self.headers.get("Host") not in self.server.hosts:
            self._json(403, {"error": "this page is served under 127.0.0.1 only"})
            return None
        parts = urlsplit(self.path).path.split("/", 2)
        if len(parts) != 3 or not secrets.compare_digest(parts[1].encode(), self.server.secret.encode()):
            self._json(404, {"error": "open the whole address that `tunesmith calibrate label` printed"})
            return None
        return parts[2]

    def _answer(self, make: Any) -> None:
        try:
            self._json(200, make())
        except (ValueError, InputError) as error:
            self._json(400, {"error": str(error)})
        except OSError as error:
            self._json(500, {"error": f"the file cannot be written: {error}"})

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        store = self.server.store
        template = environment().get_template("labelling.html.jinja")
        page = template.render(nonce=nonce, name=store.path.name, guide=_GUIDES[store.pairwise])
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self._send(200, "text/html; charset=utf-8", page.encode(), {"Content-Security-Policy": policy})

    def _json(self, status: int, content: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(content).encode(), {})

    def _send(self, status: int, kind: str, body: bytes, more: dict[str, str]) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in (headers | more).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Return the server's name without versions."""
        return "tunesmith"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        """Say nothing: the terminal belongs to the command."""
