"""The page and its files: served to anybody, and nothing beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gateway import Gateway
from tests.handlers.support import raw

pytestmark = pytest.mark.gen_test


async def test_the_page_needs_no_key_and_runs_nothing_of_its_own(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.client().get("/")
        assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/html; charset=UTF-8"
        policy = answer.headers["Content-Security-Policy"]
        assert "script-src 'self';" in policy and "unsafe" not in policy and "default-src 'none'" in policy
        # The policy forbids these, so that a page that has them would not work.
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|https?://", answer.text)


async def test_what_the_page_names_is_there(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        page = (await gateway.client().get("/")).text
        names = re.findall(r'(?:src|href)="(assets/[^"]+)"', page)
        assert names
        for name in names:
            asset = await gateway.client().get(name)
            assert asset.status_code == 200 and asset.content, name
            assert asset.headers["Content-Type"].split(";")[0] != "application/octet-stream", name


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
            "/index.html",
            "/static/index.html",
            "//etc/passwd",
            "/.starpod/config/agent.toml",
        ):
            answer = await raw(gateway, f"GET {path} HTTP/1.1\nHost: localhost\n\n")
            assert answer.status in (400, 404), (path, answer)
            assert list(answer.json()) == ["error"], path
