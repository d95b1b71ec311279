"""The page and its files: served to anybody, and nothing beside them."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import struct
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway
from tests.handlers.support import raw

pytestmark = pytest.mark.gen_test


async def test_the_page_needs_no_key_and_runs_nothing_but_its_own(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.client().get("/")
        assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/html; charset=UTF-8"
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe" not in policy and "default-src 'none'" in policy
        nonce = re.search(r"script-src 'self' 'nonce-([\w-]{16,})';", policy)
        assert nonce is not None
        inline = re.findall(r"<script(?![^>]*\bsrc=)([^>]*)>", answer.text)
        assert inline == [f' nonce="{nonce[1]}"']
        # The policy forbids these, so that a page that has them would not work.
        assert not re.search(
            r"<style|\son\w+=|\sstyle=|https?://", re.sub(r"(?s)<script nonce.*?</script>", "", answer.text)
        )
        assert nonce[1] not in (await gateway.client().get("/")).text


async def test_the_page_tells_who_is_signed_in_and_nothing_of_anybody_else(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await gateway.http.post("api/chat", json={"text": "a secret plan </script><script>alert(1)</script>"})
        strangers = (await gateway.client().get("/")).text
        assert boot(strangers)["auth"] == {"authenticated": False, "auth_disabled": False, "user": None}
        assert boot(strangers)["sessions"] == [] and "secret plan" not in strangers
        own = (await gateway.http.get("/")).text
        assert boot(own)["auth"]["authenticated"] and boot(own)["auth"]["user"]["role"] == "admin"
        assert boot(own)["sessions"][0]["title"].startswith("a secret plan </script>")
        assert own.count("</script>") == strangers.count("</script>")


async def test_every_address_of_the_page_answers_with_it_and_no_address_of_machines(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for path in ("/c/some-id", "/settings/models", "/files/a%20b/c.txt", "/login", "/usage"):
            answer = await gateway.client().get(path)
            assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html"), path
        for path in ("/api/nothing", "/v1/nothing", "/assets/x", "/api", "/ws/x"):
            answer = await gateway.http.get(path)
            assert answer.status_code == 404 and list(answer.json()) == ["error"], path


async def test_below_another_gateway_the_page_finds_its_files_there(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        page = (await gateway.client().get("/", headers={"X-Forwarded-Prefix": "/i/abc-1"})).text
        assert '<base href="/i/abc-1/">' in page and boot(page)["base"] == "/i/abc-1/"
        odd = (await gateway.client().get("/", headers={"X-Forwarded-Prefix": '/i/"><script>'})).text
        assert '<base href="/">' in odd


async def test_what_the_page_names_is_there_and_is_kept_for_good(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        page = (await gateway.client().get("/")).text
        names = re.findall(r'(?:src|href)="(?:\./)?([\w/.-]+\.\w+)"', page)
        assert len(names) >= 4
        for name in names:
            for encoding in ("br", "gzip", "identity"):
                asset = await gateway.client().get(f"/{name}", headers={"Accept-Encoding": encoding})
                assert asset.status_code == 200 and asset.content, name
                assert asset.headers["Content-Type"].split(";")[0] != "application/octet-stream", name
                again = {"If-None-Match": asset.headers["ETag"], "Accept-Encoding": encoding}
                assert (await gateway.client().get(f"/{name}", headers=again)).status_code == 304, name
            is_hashed = name.startswith("assets/")
            assert ("immutable" in asset.headers["Cache-Control"]) == is_hashed, name


def boot(page: str) -> dict[str, Any]:
    """What the page is told at its start."""
    found = re.search(r"window\.__STARPOD__=(.*?)</script>", page)
    assert found is not None
    value: dict[str, Any] = json.loads(found[1])
    return value


async def test_only_the_pages_own_files_are_served(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for path in (
            "/assets/",
            "/assets/..",
            "/assets/../index.html",
            "/assets/%2e%2e/index.html",
            "/assets/..%2f..%2fsetup.py",
            "/assets//etc/passwd",
            "/assets/nothing.js",
            "/assets/%00",
            "/assets/%ff",
            "/static/index.html",
            "//etc/passwd",
            "/.starpod/config/agent.toml",
        ):
            answer = await raw(gateway, f"GET {path} HTTP/1.1\nHost: localhost\n\n")
            assert answer.status in (400, 404), (path, answer)
            assert list(answer.json()) == ["error"], path


async def test_a_browser_that_hangs_up_is_no_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with Gateway(tmp_path) as gateway:
        (script,) = set(re.findall(r"assets/app-[\w-]+\.js", (await gateway.http.get("/")).text))
        asked = f"GET /{script} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", gateway.server.port)) as line:
                # Closing resets the line, with what is on its way.
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                line.sendall(asked)
            await asyncio.sleep(0.01)
        assert (await gateway.http.get("/api/health")).status_code == 200
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
