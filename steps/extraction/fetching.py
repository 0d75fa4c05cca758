"""Polite and careful fetching: a pace per host, robots.txt honoured, no private address, everything bounded."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from steps.extraction.found import CHUNK_BYTES
from steps.extraction.page_store import Page, PageStore
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.sitemaps import unpacked

USER_AGENT = "tunesmith"
#: As browsers stop, but sooner: a page that moved more often than this is a trap.
MAX_REDIRECTS = 5
#: RFC 9309: a crawler reads at least 500 KiB of robots.txt.
MAX_ROBOTS_BYTES = 512_000
#: A longer Crawl-delay would make any site take days.
MAX_CRAWL_DELAY_S = 30.0


class Limits(NamedTuple):
    """What a fetcher allows itself."""

    hosts: frozenset[str]
    allow_private_hosts: bool
    requests_per_s: float
    timeout_s: float
    max_bytes: int
    max_age_s: float


class Fetcher:
    """Fetches pages of some hosts into a store, one request at a time per host."""

    def __init__(self, limits: Limits, store: PageStore) -> None:
        self._limits, self._store = limits, store
        self._robots: dict[str, Any] = {}
        self._next_at: dict[str, float] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def __aenter__(self) -> Fetcher:
        import aiohttp

        resolver = None if self._limits.allow_private_hosts else _public_resolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=resolver, limit_per_host=1),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._limits.timeout_s),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._session.close()

    async def page(self, url: str) -> Page:
        """Return a page: from the store if it was checked lately or the server stands by it, else as it is now.

        Raises:
            UnusableError: with the reason; a page that is gone is forgotten.
        """
        self._check_place(url)
        known = self._store.get(url)
        if known is not None and 0 <= time.time() - known.checked_at < self._limits.max_age_s:
            return known
        robots = await self._robots_of(url)
        if robots is not None and not robots.can_fetch(url, USER_AGENT):
            raise UnusableError(ExtractDrop.ROBOTS_DISALLOWED, f"robots.txt of {urlsplit(url).netloc}")
        status, headers, body = await self._follow(url, _conditions(known))
        if status == 304 and known is not None:
            self._store.confirm(url, time.time())
            return known
        if status != 200:
            self._store.remove(url)
            raise UnusableError(ExtractDrop.HTTP_ERROR, f"status {status}")
        media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        page = Page(url, body, media_type, headers.get("ETag"), headers.get("Last-Modified"), time.time())
        self._store.put(page)
        return page

    async def _robots_of(self, url: str) -> Any:
        """Return the rules of the URL's host: none where there is no robots.txt, all closed where it cannot be had."""
        from protego import Protego

        parts = urlsplit(url)
        host = f"{parts.scheme}://{parts.netloc}"
        if host not in self._robots:
            self._robots[host] = None  # robots.txt itself is fetched without rules
            status, _, body = await self._follow(f"{host}/robots.txt", {})
            if status == 200:
                self._robots[host] = Protego.parse(body[:MAX_ROBOTS_BYTES].decode("utf-8", "replace"))
            elif status >= 500 or status == 429:
                self._robots[host] = Protego.parse("User-agent: *\nDisallow: /\n")
        return self._robots[host]

    async def _follow(self, url: str, conditions: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        """Request an address and where it leads to; every hop has to be allowed."""
        for _ in range(MAX_REDIRECTS + 1):
            status, headers, body = await self._request(url, conditions)
            if status not in {301, 302, 303, 307, 308} or "Location" not in headers:
                return status, headers, body
            url = urljoin(url, headers["Location"])
            self._check_place(url)
        raise UnusableError(ExtractDrop.HTTP_ERROR, f"more than {MAX_REDIRECTS} redirects")

    async def _request(self, url: str, conditions: Mapping[str, str]) -> tuple[int, Mapping[str, str], bytes]:
        import aiohttp

        host = urlsplit(url).netloc
        async with self._locks.setdefault(host, asyncio.Lock()):
            await self._pace(url, host)
            try:
                async with self._session.get(url, allow_redirects=False, headers=conditions) as answer:
                    body = await self._body(answer) if answer.status == 200 else b""
                    return answer.status, answer.headers, body
            except UnusableError:
                raise
            except TimeoutError:
                said = f"no whole answer within timeout_s={self._limits.timeout_s:g}"
                raise UnusableError(ExtractDrop.FETCH_FAILED, said) from None
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if "public address" in str(error):
                    raise UnusableError(ExtractDrop.FORBIDDEN_ADDRESS, str(error)[:200]) from None
                said = f"{type(error).__name__}: {str(error)[:200]}"
                raise UnusableError(ExtractDrop.FETCH_FAILED, said) from None

    async def _body(self, answer: Any) -> bytes:
        chunks, n_bytes = [], 0
        async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
            chunks.append(chunk)
            n_bytes += len(chunk)
            if n_bytes > self._limits.max_bytes:
                raise UnusableError(
                    ExtractDrop.TOO_LARGE_FILE, f"more than max_file_mb={self._limits.max_bytes / 1e6:g}"
                )
        body = b"".join(chunks)
        if answer.headers.get("Content-Encoding", "identity").lower() in {"gzip", "x-gzip", "deflate"}:
            return unpacked(body, self._limits.max_bytes)
        return body

    async def _pace(self, url: str, host: str) -> None:
        rules = self._robots.get(f"{urlsplit(url).scheme}://{host}")
        asked = rules.crawl_delay(USER_AGENT) if rules is not None else None
        interval = max(1.0 / self._limits.requests_per_s, min(asked or 0.0, MAX_CRAWL_DELAY_S))
        now = time.monotonic()
        await asyncio.sleep(max(0.0, self._next_at.get(host, now) - now))
        self._next_at[host] = time.monotonic() + interval

    def _check_place(self, url: str) -> None:
        """Raise unless the address may be asked: its host is allowed, and it is no private one written as digits."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if parts.scheme not in {"http", "https"} or parts.username or parts.password:
            raise UnusableError(ExtractDrop.FORBIDDEN_ADDRESS, "neither http nor https, or with credentials")
        if host not in self._limits.hosts:
            raise UnusableError(ExtractDrop.FORBIDDEN_ADDRESS, f"{host[:100]} is not among the hosts of the source")
        if not self._limits.allow_private_hosts and not _is_public(host, when_a_name=True):
            raise UnusableError(ExtractDrop.FORBIDDEN_ADDRESS, f"{host[:100]} is not a public address")


def _conditions(known: Page | None) -> dict[str, str]:
    if known is None:
        return {}
    found = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in found.items() if value}


def _is_public(host: str, *, when_a_name: bool = False) -> bool:
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return when_a_name
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_global and not address.is_multicast


def _public_resolver() -> Any:
    """Return a resolver that answers with public addresses only, so that no name leads into a private network."""
    from aiohttp.resolver import ThreadedResolver

    class PublicResolver(ThreadedResolver):
        async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_UNSPEC) -> Any:
            found = await super().resolve(host, port, family)
            public = [entry for entry in found if _is_public(entry["host"])]
            if not public:
                raise OSError(f"{host} has no public address")
            return public

    return PublicResolver()
