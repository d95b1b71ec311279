"""`make screenshots`: pictures of every page in both themes and three widths, with content as people have it, into `build/screenshots/`."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.browser.browser import Browser
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, script

TARGET = Path(__file__).resolve().parents[2] / "build" / "screenshots"
SIZES = ((1440, 900), (768, 1024), (390, 844))
THEMES: tuple[Any, ...] = ("dark", "light")
SECTIONS = (
    "appearance",
    "agent",
    "models",
    "channels",
    "tools",
    "memory",
    "schedules",
    "budgets",
    "users",
    "keys",
    "vault",
    "system",
)
CHATS = (
    (
        "Trip to Lisbon: trains and hotels",
        "There is a night train from Madrid. I kept three hotels near Rossio in `lisbon.md`.",
    ),
    (
        "Letter to the landlord",
        "Done. The letter is in `documents/landlord.md`; it asks for the repair before **15 December**.",
    ),
    ("What did I promise Anna?", "You promised to send her the photos by Sunday."),
    (
        "Compare the three phone contracts",
        "| Contract | Month | Data |\n|---|--:|--:|\n| A | €12 | 20 GB |\n| B | €15 | 50 GB |\n| C | €9 | 5 GB |\n\n**B** fits.",
    ),
)
ANSWER = (
    "The failure is in `test_ws.py::test_resume`: the socket closes **before** the last delta is flushed.\n\n"
    "```python\nasync def on_close(self) -> None:\n    await self.queue.join()      # wait for the pending deltas\n"
    '    self.stream.cancel("client gone")\n```\n\n| Test | Before | After |\n|---|--:|--:|\n| `test_resume` | fails 3/10 | passes |\n'
    "| `test_backoff` | 4.1 s | 0.3 s |\n\nTwo things are left for you: the changelog line, and whether resume should survive a restart."
)


async def fill(gateway: Gateway) -> str:
    """People, chats, jobs, files and memory; returns the id of the chat to show."""
    await gateway.user(name="Marta")
    await gateway.state.vault.set("OPENAI_API_KEY", "sk-a-key-of-nobody-1234")
    for title, answer in CHATS:
        gateway.provider.play(script(answer))
        await gateway.http.post("/api/chat", json={"text": title})
    for name, prompt, expression in (
        ("Daily summary", "Sum up the day.", "0 18 * * *"),
        ("Bins", "Remind me of the bins.", "0 19 * * mon"),
    ):
        body = {
            "name": name,
            "prompt": prompt,
            "schedule": {"kind": "cron", "expr": expression},
            "timezone": "Europe/Rome",
        }
        job = (await gateway.http.post("/api/cron/jobs", json=body)).json()
        gateway.provider.play(script(f"{name}: nothing is due."))
        await gateway.http.post(f"/api/cron/jobs/{job['id']}/run")
        await until_done(gateway, job["id"])  # the next script is for the next question
    (gateway.home / "documents").mkdir(exist_ok=True)
    (gateway.home / "documents" / "landlord.md").write_text("# Letter\n\nDear Sir,\n\nthe heating is broken.\n")
    (gateway.home / "test_ws.py").write_text("def test_resume():\n    assert True\n")
    gateway.provider.play(
        script(
            "I'll look at the failing run first.",
            CallTool("Read", json.dumps({"file_path": "test_ws.py"}), "c1"),
            CallTool("Read", json.dumps({"file_path": "gateway/ws.py"}), "c2"),
            CallTool("MemorySearch", json.dumps({"query": "resume token flush"}), "c3"),
        ),
        script(ANSWER),
    )
    answer = (await gateway.http.post("/api/chat", json={"text": "Why does the gateway test fail?"})).json()
    return str(answer["session_id"])


async def until_done(gateway: Gateway, job_id: str) -> None:
    while True:
        runs = (await gateway.http.get(f"/api/cron/jobs/{job_id}/runs")).json()
        if any(run["status"] == "success" for run in runs):
            return
        await asyncio.sleep(0.05)


async def take(page: Page, url: str, path: str, name: str) -> None:
    await page.goto(url + path)
    await expect(page.locator(".main, .sign-in").first).to_be_visible()
    await page.wait_for_timeout(700)
    await page.screenshot(path=TARGET / f"{name}.png")


async def run() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="starpod-screenshots-") as folder:
        async with Gateway(Path(folder), OpenAIServer()) as gateway, Browser(gateway) as browser:
            session_id = await fill(gateway)
            pages = {"new": "/", "chat": f"/c/{session_id}", "missing": "/c/nothing", "nowhere": "/nowhere"}
            pages |= {name: f"/{name}" for name in ("usage", "schedules", "memory", "files", "instances", "start")}
            pages |= {f"settings-{name}": f"/settings/{name}" for name in SECTIONS}
            for width, height in SIZES:
                for theme in THEMES:
                    is_touch = width < 1000
                    options = {
                        "viewport": {"width": width, "height": height},
                        "color_scheme": theme,
                        "has_touch": is_touch,
                    }
                    page = await browser.page(**options)
                    for name, path in pages.items():
                        await take(page, gateway.url, path, f"{name}-{width}-{theme}")
                    await page.context.close()
                    stranger = await browser.page(key="", **options)
                    await take(stranger, gateway.url, "/", f"sign-in-{width}-{theme}")
                    await stranger.context.close()
            sys.stderr.write("".join(f"{complaint}\n" for complaint in browser.complaints))


if __name__ == "__main__":
    asyncio.run(run())
