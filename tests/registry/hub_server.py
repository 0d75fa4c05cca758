"""A real HTTP server that speaks the part of the Hub's protocol that a push needs, and fails on command."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import threading
from collections import deque
from typing import Any

import yaml
from aiohttp import web


class FakeHub:
    """Runs in a thread of its own. A repository changes only by a commit whose every LFS object was uploaded.

    `faults` maps a route (`create`, `info`, `yaml`, `preupload`, `batch`, `upload`, `commit`) to statuses that are
    answered first, one per request.
    """

    def __init__(self, token: str) -> None:
        self.token = token
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.commits: dict[str, list[str]] = {}
        self.objects: dict[str, bytes] = {}
        self.faults: dict[str, deque[int]] = {}
        self.requests: list[str] = []
        self.unauthorised = 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> FakeHub:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._finished.set)
        self._thread.join(10)

    def add(self, repo_id: str, files: dict[str, bytes], *, private: bool = True) -> None:
        self.files[repo_id], self.private[repo_id] = dict(files), private
        self.commits[repo_id] = ["0" * 40]

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._finished = asyncio.Event()
        app = web.Application(middlewares=[self._gate], client_max_size=1 << 26)
        repo = r"/{owner}/{name}"
        app.router.add_post("/api/repos/create", self._create, name="create")
        app.router.add_post("/api/validate-yaml", self._yaml, name="yaml")
        app.router.add_get(f"/api/models{repo}", self._info, name="info")
        app.router.add_post(f"/api/models{repo}/preupload/main", self._preupload, name="preupload")
        app.router.add_post(f"/api/models{repo}/commit/main", self._commit, name="commit")
        app.router.add_post(f"{repo}.git/info/lfs/objects/batch", self._batch, name="batch")
        app.router.add_put("/storage/{oid}", self._upload, name="upload")
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._started.set()
        await self._finished.wait()
        await runner.cleanup()

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        route = request.match_info.route.name or "unknown"
        self.requests.append(route)
        # Storage addresses are pre-signed: they get no token.
        if route != "upload" and request.headers.get("Authorization") != f"Bearer {self.token}":
            self.unauthorised += 1
            return web.json_response({"error": "Invalid credentials"}, status=401)
        if self.faults.get(route):
            await request.read()
            return web.json_response({"error": "on command"}, status=self.faults[route].popleft())
        response: web.StreamResponse = await handler(request)
        return response

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        repo_id = f"{body['organization']}/{body['name']}"
        url = {"url": f"{self.endpoint}/{repo_id}"}
        if repo_id in self.files:
            return web.json_response({**url, "error": "You already created this model repo"}, status=409)
        self.add(repo_id, {".gitattributes": b""}, private=body.get("visibility") == "private")
        return web.json_response(url)

    async def _info(self, request: web.Request) -> web.Response:
        repo_id = _repo(request)
        siblings = [{"rfilename": name} for name in self.files[repo_id]]
        body = {"id": repo_id, "private": self.private[repo_id], "siblings": siblings, "sha": self.commits[repo_id][-1]}
        return web.json_response(body)

    async def _yaml(self, request: web.Request) -> web.Response:
        block = (await request.json())["content"].split("---\n")[1]
        if not isinstance(yaml.safe_load(block).get("license"), str):
            return web.json_response({"errors": [{"message": "license must be a string"}]}, status=400)
        return web.json_response({"warnings": [], "errors": []})

    async def _preupload(self, request: web.Request) -> web.Response:
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                "shouldIgnore": False,
            }
            for file in (await request.json())["files"]
        ]
        return web.json_response({"files": files})

    async def _batch(self, request: web.Request) -> web.Response:
        objects = []
        for item in (await request.json())["objects"]:
            known = item["oid"] in self.objects
            upload = {"upload": {"href": f"{self.endpoint}/storage/{item['oid']}"}}
            objects.append({**item} if known else {**item, "actions": upload})
        return web.json_response({"transfer": "basic", "objects": objects})

    async def _upload(self, request: web.Request) -> web.Response:
        data = await request.read()
        assert hashlib.sha256(data).hexdigest() == request.match_info["oid"]
        self.objects[request.match_info["oid"]] = data
        return web.Response()

    async def _commit(self, request: web.Request) -> web.Response:
        repo_id = _repo(request)
        staged = dict(self.files[repo_id])
        for line in (await request.text()).splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                staged[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                staged[value["path"]] = self.objects[value["oid"]]
            elif item["key"] == "deletedFile":
                del staged[value["path"]]
        oid = hashlib.sha1(repr(sorted(staged.items())).encode()).hexdigest()
        self.files[repo_id] = staged
        self.commits[repo_id].append(oid)
        return web.json_response({"commitUrl": f"{self.endpoint}/{repo_id}/commit/{oid}", "commitOid": oid})


def _repo(request: web.Request) -> str:
    return f"{request.match_info['owner']}/{request.match_info['name']}"
