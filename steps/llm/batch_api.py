"""The calls of the OpenAI batch protocol, such that nothing is ever submitted twice."""

from __future__ import annotations

import asyncio
import io
import json
import random
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any

from steps.errors import EndpointError
from steps.llm.batch import BatchSettings
from steps.llm.cache import BatchRow
from steps.llm.endpoint import EndpointSettings

if TYPE_CHECKING:
    import aiohttp

#: What each line of the file and the batch itself say the requests are for; the protocol knows it by this name even
#: where the address has another prefix.
CHAT = "/v1/chat/completions"
#: Key of a batch's metadata under which our own name for it stands.
_TAG = "tunesmith_tag"
#: Batches of one page of the list, and pages that are searched for one: the 2,000 youngest.
_PAGE, _MOST_PAGES = 100, 20
_RETRYABLE = {408, 409, 425, 429}
#: Characters of an endpoint's error message that are worth showing.
_EXCERPT = 300


class UnreachableError(EndpointError):
    """The endpoint failed for now, or cannot be reached."""


class _LostError(Exception):
    """A call failed in a way that leaves open whether the endpoint acted on it."""


class BatchApi:
    """Files and batches of one endpoint, within an open HTTP session."""

    def __init__(self, session: aiohttp.ClientSession, settings: EndpointSettings, headers: Mapping[str, str]) -> None:
        self._session, self._settings, self._headers = session, settings, headers
        self._batch = settings.batch or BatchSettings()
        self._secrets = [secret for value in headers.values() for secret in {value, value.removeprefix("Bearer ")}]
        # Jitter keeps processes apart, so it must not be seeded; it decides no result.
        self._jitter = random.SystemRandom()

    async def upload(self, payload: bytes) -> str:
        """Send a JSONL file, and return its id. Sent twice it would cost nothing, so it is retried like a question."""
        return str((await self._json("POST", "files", upload=payload))["id"])

    async def create(self, row: BatchRow) -> dict[str, Any]:
        """Start a batch on an uploaded file, once: after a call that got lost the endpoint's list is searched first."""
        body = {
            "input_file_id": row.input_file,
            "endpoint": CHAT,
            "completion_window": self._batch.completion_window,
            "metadata": {_TAG: row.tag},
        }
        lost = ""
        for attempt in range(self._settings.max_retries + 1):
            try:
                return self._read(*await self._once("POST", "batches", body=body))
            except _LostError as error:
                lost = str(error)
            for look in range(2):
                # The list may lag behind what was created.
                await self._back_off(attempt + look)
                if (found := await self.find(row)) is not None:
                    return found
        raise self._given_up("POST", "batches", lost)

    async def find(self, row: BatchRow) -> dict[str, Any] | None:
        """Return the batch that was started for a submission, or None if there is none."""
        after = ""
        for _ in range(_MOST_PAGES):
            page = await self._json("GET", f"batches?limit={_PAGE}{after}")
            for batch in page.get("data") or ():
                metadata = batch.get("metadata") or {}
                if metadata.get(_TAG) == row.tag or batch.get("input_file_id") == row.input_file:
                    return dict(batch)
            if not page.get("has_more") or not page["data"]:
                return None
            after = f"&after={page['data'][-1]['id']}"
        return None

    async def get(self, row: BatchRow) -> dict[str, Any]:
        """Return a batch as the endpoint describes it.

        Raises:
            EndpointError: also if the endpoint does not know it: then another key may, and asking anew may pay twice.
        """
        return await self._json("GET", f"batches/{row.id}")

    async def lines(self, file_id: str) -> Iterator[dict[str, Any]]:
        """Fetch a file of results. It lies on the disk meanwhile, as it may be larger than the memory."""
        kept = tempfile.TemporaryFile()  # noqa: SIM115 (closed by the generator below)
        try:
            status, content = await self._retried("GET", f"files/{file_id}/content", into=kept)
            if status != 200:
                self._read(status, content)
        except BaseException:
            kept.close()
            raise
        return _lines_of(kept)

    async def _json(self, method: str, path: str, upload: bytes | None = None) -> dict[str, Any]:
        return self._read(*await self._retried(method, path, upload=upload))

    async def _retried(
        self, method: str, path: str, upload: bytes | None = None, into: IO[bytes] | None = None
    ) -> tuple[int, bytes]:
        lost = ""
        for attempt in range(self._settings.max_retries + 1):
            try:
                return await self._once(method, path, upload=upload, into=into)
            except _LostError as error:
                lost = str(error)
            if attempt < self._settings.max_retries:
                await self._back_off(attempt)
        raise self._given_up(method, path, lost)

    async def _once(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        upload: bytes | None = None,
        into: IO[bytes] | None = None,
    ) -> tuple[int, bytes]:
        """Make a call, and return status and content; the content of a success goes `into` a file if one is given.

        Raises:
            EndpointError: if the endpoint refuses.
            _LostError: if it cannot be reached, is overloaded or fails.
        """
        import aiohttp

        form = None
        if upload is not None:
            form = aiohttp.FormData()
            form.add_field("purpose", "batch")
            form.add_field("file", io.BytesIO(upload), filename="requests.jsonl", content_type="application/jsonl")
        url = f"{self._settings.base_url}/{path}"
        try:
            async with self._session.request(
                method, url, headers=self._headers, json=body, data=form, allow_redirects=False
            ) as response:
                if response.status == 200 and into is not None:
                    into.seek(0)
                    into.truncate()
                    async for chunk in response.content.iter_chunked(1 << 16):
                        into.write(chunk)
                    return 200, b""
                status, content = response.status, await response.read()
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise _LostError(self._clean(str(error) or type(error).__name__)) from None
        if status >= 500 or status in _RETRYABLE:
            raise _LostError(f"HTTP {status}: {self._clean(_message_of(content))}")
        return status, content

    def _read(self, status: int, content: bytes) -> dict[str, Any]:
        where = f"the batch endpoint of {self._settings.base_url}"
        if status in {401, 403}:
            variable = self._settings.api_key_env or "none is configured; set api_key_env"
            raise EndpointError(f"{where} refused the key ({variable}): {self._clean(_message_of(content))}")
        if status == 404:
            raise EndpointError(
                f"{where} does not know what it was asked for ({self._clean(_message_of(content))}): either it has no "
                "batches (leave `batch` out), or the batch was submitted with another key (use that one: its replies "
                "are paid for; or delete its row from the table `batches` of cache_path to have them asked anew)"
            )
        if status not in {200, 201}:
            raise EndpointError(f"{where} refused: HTTP {status}: {self._clean(_message_of(content))}")
        try:
            return dict(json.loads(content))
        except (ValueError, TypeError):
            raise EndpointError(f"{where} answered without JSON: {self._clean(repr(content[:80]))}") from None

    def _given_up(self, method: str, path: str, lost: str) -> UnreachableError:
        return UnreachableError(
            f"the batch endpoint of {self._settings.base_url} failed {self._settings.max_retries + 1} times at "
            f"{method} {path.partition('?')[0]} ({lost}); run again: what was submitted is found, and not paid twice"
        )

    async def _back_off(self, attempt: int) -> None:
        bound_s = min(self._settings.backoff_s * 2**attempt, self._settings.max_wait_s)
        await asyncio.sleep(bound_s / 2 + self._jitter.uniform(0, bound_s / 2))

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "<key>")
        return text[:_EXCERPT]


def _lines_of(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file, and close it. A line that is none is left out: its request stays open."""
    with file:
        file.seek(0)
        for line in file:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found


def _message_of(content: bytes) -> str:
    try:
        found = json.loads(content)
        error = found.get("error", found)
        return str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, AttributeError, RecursionError):
        return content[:_EXCERPT].decode("utf-8", "replace").strip() or "no message"
