"""The documentation as the gateway serves it: to anybody, whole, and with nothing that another host would have to send."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import pytest

from starpod.paths import shipped
from tests.gateway import Gateway
from tests.handlers.support import raw

pytestmark = pytest.mark.gen_test


async def test_a_page_is_found_with_and_without_its_ending(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        client = gateway.client()
        for path in ("/docs/quickstart.html", "/docs/quickstart", "/docs", "/docs/", "/docs/index.html"):
            answer = await client.get(path)
            assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/html; charset=UTF-8", path
        assert (await client.get("/docs")).text == (await client.get("/docs/index.html")).text
        assert (await client.get("/docs/decisions/0001-record-decisions")).status_code == 200


async def test_what_is_not_there_is_told_as_a_page(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for path in ("/docs/nothing", "/docs/assets/nothing.js", "/docs/assets"):
            answer = await gateway.client().get(path)
            assert answer.status_code == 404 and answer.headers["Content-Type"].startswith("text/html"), path
        for path in (
            "/docs/../setup.py",
            "/docs/%2e%2e/setup.py",
            "/docs/..%2fsetup.py",
            "/docs//etc/passwd",
            "/docs/%00",
        ):
            assert (await raw(gateway, f"GET {path} HTTP/1.1\nHost: localhost\n\n")).status in (400, 404), path


async def test_everything_that_pages_name_is_here(tmp_path: Path) -> None:
    """Works without a network: no page, style or script asks another host for anything."""
    async with Gateway(tmp_path) as gateway:
        client = gateway.client()
        named: set[str] = set()
        for path in shipped("docs").rglob("*.html"):
            text = path.read_text(encoding="utf-8")
            names = re.findall(r'<(?:script|img)[^>]*\ssrc="([^"]+)"', text)
            for link in re.findall(r"<link[^>]*>", text):
                if "canonical" not in link and 'rel="prev"' not in link and 'rel="next"' not in link:
                    names += re.findall(r'href="([^"]+)"', link)
            for name in names:
                assert not name.startswith(("http", "//")), (path.name, name)
                if not name.startswith("data:"):
                    named.add(posixpath.normpath(f"/docs/{path.parent.relative_to(shipped('docs'))}/{name}"))
        assert len(named) > 5
        for name in sorted(named):
            assert (await client.get(name)).status_code == 200, name
        for style in shipped("docs").rglob("*.css"):
            assert not re.findall(r"url\([\"']?(?:https?:)?//", style.read_text(encoding="utf-8")), style.name
        fonts = re.findall(r"fonts/[\w.-]+\.woff2", (await client.get("/docs/css/patina.css")).text)
        assert len(fonts) == 3
        for font in fonts:
            answer = await client.get(f"/docs/{font}")
            assert answer.status_code == 200 and answer.headers["Content-Type"] == "font/woff2"


async def test_pages_may_run_their_own_scripts_only_and_are_kept_by_the_browser(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.client().get("/docs/")
        policy = answer.headers["Content-Security-Policy"]
        scripts = re.search(r"script-src ([^;]*)", policy)
        assert scripts is not None and "unsafe" not in scripts[1] and "'sha256-" in scripts[1]
        again = await gateway.client().get("/docs/", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304
        script = re.search(r'src="(assets/javascripts/bundle[\w.]+)"', answer.text)
        assert script is not None
        packed = await gateway.client().get(f"/docs/{script[1]}", headers={"Accept-Encoding": "gzip"})
        assert packed.headers["Content-Encoding"] == "gzip"


async def test_below_another_gateway_links_stay_there(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        page = (await gateway.client().get("/docs/quickstart", headers={"X-Forwarded-Prefix": "/i/abc-1"})).text
        assert '<base href="/i/abc-1/docs/quickstart.html">' in page
