"""The pages of a website, by its sitemap, or as somebody saved them to a folder."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from steps.errors import InputError
from steps.extraction.fetching import Fetcher, Limits
from steps.extraction.folders import found_locally, local_files, local_versions, require_local
from steps.extraction.found import FileChoice, FoundFile, chosen_by, require_any, scratch_file
from steps.extraction.page_store import PageStore
from steps.extraction.reasons import ExtractDrop, UnusableError
from steps.extraction.sitemaps import parse_sitemap

#: Suffix, and with it the reader, of a page's media type.
MEDIA_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "application/pdf": ".pdf",
}
#: Sitemaps that one site may have; the protocol allows 50,000 in an index, which is no documentation any more.
MAX_SITEMAPS = 500


class WebsiteSource(FileChoice):
    """The pages that a sitemap lists, or saved pages."""

    type: Literal["website"] = "website"
    sitemap: str | None = None
    """Address of a sitemap or an index of sitemaps: XML, packed or not, or a list of addresses."""
    path: str | None = None
    """Folder of saved pages, instead of `sitemap`."""
    include: tuple[str, ...] = ("**",)
    """Globs of the pages to read, by the path of their address (`docs/**`); of a folder, by their files' paths."""
    hosts: tuple[str, ...] = ()
    """Hosts that pages may lie on beside the sitemap's own."""
    allow_private_hosts: bool = False
    """Whether addresses of private networks and of this machine may be asked, as for an intranet."""
    max_pages: int = Field(default=2_000, ge=1)
    """Pages to read at most; the addresses behind them are dropped with a reason."""
    requests_per_s: float = Field(default=2.0, gt=0, le=100)
    """Requests per second and host; a longer Crawl-delay of robots.txt wins over it."""
    timeout_s: float = Field(default=30.0, gt=0)
    """Seconds that one page may take."""
    max_total_s: float = Field(default=3_600.0, gt=0)
    """Seconds that all pages may take; those not reached are dropped with a reason."""
    max_age_s: float = Field(default=3_600.0, ge=0)
    """Seconds for which a page is not even asked about again; then the server says whether it changed."""

    @model_validator(mode="after")
    def _one_place(self) -> WebsiteSource:
        if (self.sitemap is None) == (self.path is None):
            raise ValueError(f"source {self.name} needs either sitemap or path, and not both")
        if self.sitemap is not None:
            parts = urlsplit(self.sitemap)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.password:
                raise ValueError(f"sitemap={self.sitemap} is not an http:// or https:// address")
        return self


class _Known(NamedTuple):
    """What is remembered of a page while others are fetched; its body stays in the store."""

    media_type: str
    digest: str
    n_bytes: int


class _Listed(NamedTuple):
    url: str
    found: _Known | UnusableError


def check_website(source: WebsiteSource, key: str) -> None:
    """Check that saved pages are there; a sitemap is fetched when its pages are asked for their state.

    Raises:
        InputError: naming the config key.
    """
    if source.path is not None:
        require_local(source.path, f"{key}.path")
        require_any(bool(local_files(source.path, source)), f"{key}.path", source.path, source.include)


def website_versions(source: WebsiteSource, fetched: Path) -> Iterable[str]:
    """Yield every page's address and content, or why it has none; fetches what is not known to be unchanged."""
    if source.path is not None:
        return local_versions(found_locally(source.path, source))
    return [
        f"{page.url}\0{page.found.digest if isinstance(page.found, _Known) else page.found.reason}"
        for page in _listed(source, fetched)
    ]


def website_files(source: WebsiteSource, fetched: Path) -> Iterator[FoundFile]:
    """Yield the pages in the sitemap's order, named by their addresses.

    Raises:
        InputError: if the sitemap itself cannot be had.
    """
    if source.path is not None:
        yield from found_locally(source.path, source)
        return
    store = _store(source, fetched)
    for url, found in _listed(source, fetched):
        if isinstance(found, UnusableError):
            yield FoundFile(url, partial(_refuse, found), licence=source.licence)
            continue
        version = f"page\0{found.media_type}\0{found.digest}"
        read_as = f"page{MEDIA_SUFFIXES.get(found.media_type, '')}"
        yield FoundFile(url, partial(_write, url, store), found.n_bytes, version, source.licence, read_as=read_as)


def _refuse(error: UnusableError, scratch: Path) -> Path:
    raise error


def _write(url: str, store: Path, scratch: Path) -> Path:
    with PageStore(store) as pages:
        page = pages.get(url)
    if page is None:
        raise UnusableError(ExtractDrop.UNREADABLE_FILE, "it was fetched, but is not in the store any more")
    suffix = MEDIA_SUFFIXES.get(page.media_type)
    if suffix is None:
        raise UnusableError(ExtractDrop.UNSUPPORTED_MEDIA_TYPE, page.media_type[:100] or "no Content-Type")
    target = scratch_file(scratch, f"page{suffix}")
    target.write_bytes(page.body)
    return target


def _store(source: WebsiteSource, fetched: Path) -> Path:
    name = hashlib.sha256((source.sitemap or "").encode()).hexdigest()[:24]
    return fetched / "web" / f"{name}.sqlite"


def _listed(source: WebsiteSource, fetched: Path) -> list[_Listed]:
    with PageStore(_store(source, fetched)) as store:
        return asyncio.run(_fetch_all(source, store))


async def _fetch_all(source: WebsiteSource, store: PageStore) -> list[_Listed]:
    home = urlsplit(source.sitemap or "").hostname or ""
    limits = Limits(
        hosts=frozenset({home.lower(), *(host.lower() for host in source.hosts)}),
        allow_private_hosts=source.allow_private_hosts,
        requests_per_s=source.requests_per_s,
        timeout_s=source.timeout_s,
        max_bytes=int(source.max_file_mb * 1e6),
        max_age_s=source.max_age_s,
    )
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + source.max_total_s
    async with Fetcher(limits, store) as fetcher:
        found: list[_Listed] = []
        for url in await _addresses(source, fetcher):
            found.append(_Listed(url, await _fetch(url, len(found), fetcher, source, ends_at)))
        return found


async def _fetch(
    url: str, n_before: int, fetcher: Fetcher, source: WebsiteSource, ends_at: float
) -> _Known | UnusableError:
    if n_before >= source.max_pages:
        return UnusableError(ExtractDrop.FETCH_FAILED, f"behind max_pages={source.max_pages}")
    try:
        async with asyncio.timeout_at(ends_at):
            page = await fetcher.page(url)
            return _Known(page.media_type, page.digest, len(page.body))
    except UnusableError as error:
        return error
    except TimeoutError:
        return UnusableError(ExtractDrop.FETCH_FAILED, f"not reached within max_total_s={source.max_total_s:g}")


async def _addresses(source: WebsiteSource, fetcher: Fetcher) -> list[str]:
    """Return the chosen addresses of all sitemaps, each once, in their order."""
    is_chosen = chosen_by(source)
    waiting, seen, pages = [source.sitemap or ""], set[str](), dict[str, None]()
    while waiting:
        url = waiting.pop(0)
        if url in seen:
            continue
        seen.add(url)
        if len(seen) > MAX_SITEMAPS:
            raise InputError(f"source {source.name}: {source.sitemap} leads to more than {MAX_SITEMAPS} sitemaps")
        try:
            sitemap = parse_sitemap((await fetcher.page(url)).body)
        except UnusableError as error:
            raise InputError(
                f"source {source.name}: the sitemap {url} cannot be read ({error}). Correct sitemap, allow its host "
                "with hosts or allow_private_hosts, or save the pages and name their folder as path"
            ) from None
        waiting += sitemap.sitemaps
        pages.update(dict.fromkeys(page for page in sitemap.pages if is_chosen(urlsplit(page).path.lstrip("/") or "/")))
    return list(pages)
