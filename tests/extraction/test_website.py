import asyncio
import gzip
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import ValidationError

from steps.errors import InputError
from steps.extraction.fetching import _is_public, _public_resolver
from steps.extraction.sources import check_sources, fingerprint
from steps.extraction.website import WebsiteSource, website_files
from tests.extraction.fetched import contents

PAGE = "<html><head><title>{0}</title></head><body><main><h1>{0}</h1><p>{1}</p></main></body></html>"


class Site:
    """A web server on this machine whose pages a test changes; it counts the requests and answers `If-None-Match`."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | int | str] = {}
        self.types: dict[str, str] = {}
        self.packed: set[str] = set()
        self.full: list[str] = []
        self.asked: list[str] = []
        self.port = 0
        self._over = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.asked.append(path)
        page = self.pages.get(path, 404)
        if isinstance(page, int):
            return web.Response(status=page)
        if isinstance(page, str):
            return web.Response(status=302, headers={"Location": page})
        if page == b"hang":
            await self._over.wait()
        tag = f'"{hash(page)}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304)
        self.full.append(path)
        kind = self.types.get(path, "text/html" if not path.endswith((".xml", ".txt")) else "text/plain")
        packing = {"Content-Encoding": "gzip"} if path in self.packed else {}
        return web.Response(body=page, headers={"ETag": tag, "Content-Type": kind, **packing})


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.start()
    for name in ("a", "docs/b"):
        site.pages[name] = PAGE.format(f"Page {name}", f"The text of page {name} is long enough to be one.").encode()
    list_pages(site, "a", "docs/b")
    yield site
    site.stop()


def list_pages(site: Site, *names: str) -> None:
    places = "".join(f"<url><loc>{name if '://' in name else site.url(name)}</loc></url>" for name in names)
    site.pages["sitemap.xml"] = (
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{places}</urlset>'.encode()
    )


def source(site: Site, **settings: object) -> WebsiteSource:
    usual = {"name": "site", "sitemap": site.url("sitemap.xml"), "allow_private_hosts": True, "requests_per_s": 100}
    return WebsiteSource.model_validate(usual | settings)


def read(source: WebsiteSource, tmp_path: Path) -> dict[str, str]:
    """Return the title of each page by its path, or the reason why there is none."""
    found = contents(website_files(source, tmp_path), tmp_path / "scratch")
    titles = {url: text if text[0] == "!" else text.split("<title>")[1].split("<")[0] for url, text in found.items()}
    return {url.split("/", 3)[-1]: title for url, title in titles.items()}


def test_pages_of_a_sitemap_are_read_and_chosen_by_their_paths(site: Site, tmp_path: Path) -> None:
    check_sources([source(site)])
    assert read(source(site), tmp_path) == {"a": "Page a", "docs/b": "Page docs/b"}
    assert read(source(site, include=["docs/**"]), tmp_path) == {"docs/b": "Page docs/b"}


def test_index_of_packed_sitemaps_and_plain_lists_are_followed(site: Site, tmp_path: Path) -> None:
    site.pages["more.xml.gz"] = gzip.compress(site.pages["sitemap.xml"])  # type: ignore[arg-type]
    site.pages["list.txt"] = site.url("a").encode()
    places = "".join(f"<sitemap><loc>{site.url(name)}</loc></sitemap>" for name in ("more.xml.gz", "list.txt"))
    site.pages["sitemap.xml"] = f"<sitemapindex>{places}</sitemapindex>".encode()
    assert list(read(source(site), tmp_path)) == ["a", "docs/b"]


def test_unchanged_pages_are_not_sent_again(site: Site, tmp_path: Path) -> None:
    chosen = source(site, max_age_s=0)
    before = fingerprint([chosen], tmp_path)
    site.full.clear()
    assert fingerprint([chosen], tmp_path) == before
    assert site.full == []
    site.pages["a"] = PAGE.format("New a", "Another text, and long enough to be one.").encode()
    assert fingerprint([chosen], tmp_path) != before
    assert site.full == ["a"]


def test_pages_that_were_checked_lately_are_not_even_asked_for(site: Site, tmp_path: Path) -> None:
    fingerprint([source(site)], tmp_path)
    site.asked.clear()
    assert len(read(source(site), tmp_path)) == 2
    assert site.asked == []


def test_page_that_cannot_be_had_is_one_ledger_row(site: Site, tmp_path: Path) -> None:
    site.pages.update({"gone": 410, "loop": "/loop", "huge": b"x" * 20_000, "hang": b"hang", "image": b"GIF8"})
    site.types["image"] = "image/gif"
    list_pages(site, "a", "gone", "loop", "huge", "hang", "image", "http://other.example/x", "ftp://x/y", "missing")
    found = read(source(site, max_file_mb=0.01, timeout_s=0.5), tmp_path)
    assert found == {
        "a": "Page a",
        "gone": "! http_error",
        "loop": "! http_error",
        "huge": "! too_large_file",
        "hang": "! fetch_failed",
        "image": "! unsupported_media_type",
        "x": "! forbidden_address",
        "y": "! forbidden_address",
        "missing": "! http_error",
    }


def test_packed_page_is_unpacked_but_not_beyond_its_bound(site: Site, tmp_path: Path) -> None:
    site.pages["bomb"] = gzip.compress(b"\0" * 5_000_000)
    site.pages["a"] = gzip.compress(site.pages["a"])  # type: ignore[arg-type]
    site.packed = {"a", "bomb"}
    list_pages(site, "a", "bomb")
    assert read(source(site, max_file_mb=1), tmp_path) == {"a": "Page a", "bomb": "! too_large_file"}


def test_robots_txt_is_honoured(site: Site, tmp_path: Path) -> None:
    site.pages["robots.txt"] = b"User-agent: *\nDisallow: /docs/\n"
    assert read(source(site), tmp_path) == {"a": "Page a", "docs/b": "! robots_disallowed"}


def test_host_without_a_readable_robots_txt_is_left_alone(site: Site, tmp_path: Path) -> None:
    site.pages["robots.txt"] = 503
    with pytest.raises(InputError, match=r"sitemap .* cannot be read .robots_disallowed"):
        read(source(site), tmp_path)


def test_private_addresses_are_refused_unless_allowed(site: Site, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"forbidden_address: 127\.0\.0\.1 is not a public address.*allow_private_hosts"
    ):
        read(source(site, allow_private_hosts=False), tmp_path)
    for host in ("10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "0.0.0.0", "100.64.0.1"):
        assert not _is_public(host)
    assert _is_public("93.184.216.34")


def test_name_that_leads_to_a_private_address_is_refused() -> None:
    async def resolve() -> object:
        return await _public_resolver().resolve("localhost", 80)

    with pytest.raises(OSError, match="localhost has no public address"):
        asyncio.run(resolve())


def test_redirect_to_another_host_is_refused(site: Site, tmp_path: Path) -> None:
    site.pages["a"] = "http://169.254.169.254/latest/meta-data"
    assert read(source(site), tmp_path)["a"] == "! forbidden_address"


def test_pages_behind_the_bounds_are_ledger_rows(site: Site, tmp_path: Path) -> None:
    assert read(source(site, max_pages=1), tmp_path) == {"a": "Page a", "docs/b": "! fetch_failed"}


def test_hostile_sitemap_is_an_error_that_names_it(site: Site, tmp_path: Path) -> None:
    site.pages["sitemap.xml"] = (
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><urlset><url><loc>&e;</loc></url></urlset>'
    )
    with pytest.raises(InputError, match=r"the sitemap .*sitemap\.xml cannot be read"):
        read(source(site), tmp_path)


def test_saved_pages_are_read_from_their_folder(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/a.html").write_text(PAGE.format("Saved", "The text of a saved page is long enough to be one."))
    chosen = WebsiteSource(name="site", path=str(tmp_path / "saved"))
    check_sources([chosen])
    assert read(chosen, tmp_path) == {"a.html": "Saved"}
    with pytest.raises(ValidationError, match="either sitemap or path"):
        WebsiteSource(name="site")
