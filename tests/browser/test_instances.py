"""An instance's own page through its parent: signed in as there, with its own socket, and nothing of it mixed up with the parent's."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.browser.browser import Browser, reply, say
from tests.gateway import ADMIN_KEY, TIMEOUT_S, Gateway


async def running(gateway: Gateway, instance_id: str) -> None:
    async with asyncio.timeout(TIMEOUT_S * 2):
        while True:
            if (await gateway.http.get(f"/i/{instance_id}/api/health")).status_code == 200:
                return
            await asyncio.sleep(0.05)


@pytest.mark.gen_test(timeout=90)
async def test_an_instances_page_is_used_through_its_parent(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway, Browser(gateway) as browser:
        one = (await gateway.http.post("/api/instances", json={"name": "Bee"})).json()["id"]
        try:
            await running(gateway, one)
            page = await browser.page(f"/i/{one}/")
            await say(page, "remember that the hive is blue")
            await expect(reply(page)).to_contain_text("hive is blue")
            assert page.url.startswith(f"{gateway.url}/i/{one}/")
            await page.reload()
            await expect(reply(page)).to_contain_text("hive is blue")
            await page.goto(f"{gateway.url}/i/{one}/settings/agent")
            await expect(page.get_by_label("Agent name")).to_have_value("Bee")
            assert (await gateway.http.get("/api/sessions")).json() == []
            cookies = {(cookie["name"], cookie["path"]) for cookie in await page.context.cookies()}
            assert cookies == {("starpod_session", "/")}
            html = await page.content()
            key = (gateway.state.paths.agent_home / "instances" / one / ".starpod" / ".env").read_text().split("'")[1]
            assert key.startswith("sp_live_") and key not in html and ADMIN_KEY not in html
        finally:
            await gateway.http.delete(f"/api/instances/{one}")
