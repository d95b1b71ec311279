"""An agent as people have it after a month, for pictures: people, chats, jobs with runs, files, skills, costs, answers, deliveries."""

from __future__ import annotations

import asyncio
import json
import math
import struct
import sys
import uuid
import zlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import peewee

from starpod.clock import format_time
from tests.gateway import Gateway
from tests.providers.script import CallTool, Fail, script

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
        "Compare the three phone contracts that the shop on the corner of the market square offered us last Thursday",
        "| Contract | Month | Data |\n|---|--:|--:|\n| A | €12 | 20 GB |\n| B | €15 | 50 GB |\n| C | €9 | 5 GB |\n\n**B** fits.",
    ),
)
ANSWER = (
    "The failure is in `test_ws.py::test_resume`: the socket closes **before** the last delta is flushed.\n\n"
    "```python\nasync def on_close(self) -> None:\n    await self.queue.join()      # wait for the pending deltas\n"
    '    self.stream.cancel("client gone")\n```\n\n| Test | Before | After |\n|---|--:|--:|\n| `test_resume` | fails 3/10 | passes |\n'
    "| `test_backoff` | 4.1 s | 0.3 s |\n\nTwo things are left for you: the changelog line, and whether resume should survive a restart."
)
JOBS = (
    ("Daily summary", "Sum up the day in five lines, the most important first.", "0 18 * * *"),
    ("Bins", "Remind me of the bins, and of which ones.", "0 19 * * mon"),
    (
        "Watch the price of the night train from Madrid to Lisbon and tell me when it falls below 60 euros",
        "Look.",
        "30 8 * * mon-fri",
    ),
)
FILES = {
    "documents/landlord.md": "# Letter\n\nDear Sir,\n\nthe **heating** is broken since Tuesday:\n\n- living room\n- bath\n",
    "documents/invoices/2026-11-electricity.txt": "Electricity, November: 84.20 EUR\n",
    "documents/a very long name of a file that somebody saved from a mail without thinking about it (final) (2).txt": "x\n",
    "projects/gateway/test_ws.py": "async def test_resume():\n    socket = await connect()\n    assert await socket.text() == 'hello'\n",
    "lisbon.md": "# Lisbon\n\n1. Hotel near Rossio\n2. Tram 28\n",
    "page.html": "<h1>Market days</h1><p>Thursday and Saturday.</p>",
}
SKILLS = (
    (
        "weekly-report",
        "When somebody asks for the weekly report",
        "1. Read the daily logs of the week.\n2. Write ten lines.\n",
    ),
    ("invoices", "When an invoice or a bill comes in", "Put it into documents/invoices and note when it is due.\n"),
)
MODELS = (("claude-sonnet-4-5", 2.1), ("gpt-5.2", 1.7), ("gemini-3-pro", 0.8), ("qwen3:32b", 0.2))


async def fill(gateway: Gateway) -> dict[str, str]:
    """Make all of it; the ids of what is to be shown."""
    admin = (await gateway.state.auth.list_users())[0]
    marta, _ = await gateway.user(name="Marta", has_files=True)
    old, _ = await gateway.user(name="Guest of last summer")
    await gateway.state.auth.set_active(old.id, False)
    await gateway.http.put(f"/api/settings/auth/users/{marta.id}/telegram", json={"username": "marta_p"})
    await gateway.http.put(f"/api/settings/budgets/users/{marta.id}", json={"monthly_usd": 40})
    await gateway.http.put("/api/settings/budgets", json={"total_monthly_usd": 200, "user_daily_usd": 10})
    await gateway.state.vault.set("OPENAI_API_KEY", "sk-a-key-of-nobody-1234")
    await gateway.state.vault.set("HOME_ASSISTANT_TOKEN", "a-token-of-nobody-5678", allowed_hosts=["home.example.org"])
    await gateway.http.post("/api/keys", json={"label": "Backup script"})
    for name, description, body in SKILLS:
        await gateway.http.post("/api/settings/skills", json={"name": name, "description": description, "body": body})
    await gateway.http.put(
        "/api/settings/heartbeat",
        json={"enabled": True, "interval_minutes": 30, "content": "- Is there news about the heating?\n"},
    )
    await gateway.http.put(
        "/api/settings/frontend",
        json={"greeting": None, "prompts": ["What is on today?", "Write down a thought", "Plan the weekend"]},
    )
    for title, answer in CHATS:
        gateway.provider.play(script(answer))
        await gateway.http.post("/api/chat", json={"text": title})
    jobs = [await _job(gateway, *job, fails=index == 1) for index, job in enumerate(JOBS)]
    for path, text in FILES.items():
        await gateway.http.put("/api/files/write", json={"path": path, "content": text})
    (gateway.home / "downloads" / "harbour.png").write_bytes(picture())
    memory = (
        "- the plumber comes on Friday\n- **Anna** likes the blue one\n- the bins: Monday, paper every second week\n"
    )
    for text in ("- the plumber comes on Thursday\n", memory):
        await gateway.http.put("/api/memory/files", json={"file": "MEMORY.md", "content": text})
    chat = await _failing_test(gateway)
    await gateway.state.database.run(_history, gateway, admin.id, marta.id)
    await gateway.state.costs.check()
    await gateway.http.post("/api/memory/reindex")
    return {"chat": chat, "job": jobs[0], "failed_job": jobs[1]}


async def _job(gateway: Gateway, name: str, prompt: str, expression: str, *, fails: bool) -> str:
    body = {"name": name, "prompt": prompt, "schedule": {"kind": "cron", "expr": expression}, "timezone": "Europe/Rome"}
    job = (await gateway.http.post("/api/cron/jobs", json={**body, "max_retries": 0})).json()
    gateway.provider.play(script(Fail(529, "overloaded")) if fails else script(f"{name}: nothing is due today."))
    await gateway.http.post(f"/api/cron/jobs/{job['id']}/run")
    while True:  # the next script is for the next question
        runs = (await gateway.http.get(f"/api/cron/jobs/{job['id']}/runs")).json()
        if any(run["status"] in ("success", "failed") for run in runs):
            return str(job["id"])
        await asyncio.sleep(0.05)


async def _failing_test(gateway: Gateway) -> str:
    gateway.provider.play(
        script(
            "I'll look at the failing run first.",
            CallTool("Read", json.dumps({"file_path": "projects/gateway/test_ws.py"}), "c1"),
            CallTool("Read", json.dumps({"file_path": "gateway/ws.py"}), "c2"),
            CallTool("MemorySearch", json.dumps({"query": "resume token flush"}), "c3"),
        ),
        script(ANSWER),
    )
    answer = (await gateway.http.post("/api/chat", json={"text": "Why does the gateway test fail?"})).json()
    return str(answer["session_id"])


def _history(connection: peewee.Database, gateway: Gateway, admin_id: str, marta_id: str) -> None:
    """Two months of costs, remembered answers and deliveries, as if they had happened."""
    now = gateway.state.clock.now()
    for day in range(58):
        for number, (model, usual) in enumerate(MODELS):
            cost = (
                usual * (1 + 0.6 * math.sin(day / 4 + number) + 0.2 * math.sin(day * 5.3)) * (0.85 if day > 29 else 1)
            )
            if cost <= 0 or (day + number) % 9 == 8:
                continue
            tokens = int(cost * 120_000)
            connection.execute_sql(
                "INSERT INTO usage_stats (turn, input_tokens, output_tokens, cache_read, cost_usd, model, timestamp, user_id) "
                "VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
                (
                    tokens // 4,
                    tokens // 20,
                    tokens,
                    cost,
                    model,
                    format_time(now - timedelta(days=day, hours=2)),
                    marta_id if number == 2 else admin_id,
                ),
            )
    for tool, subject, decision in (
        ("Bash", "git push", "approve"),
        ("FileDelete", "", "deny"),
        ("WebFetch", "example.org", "approve"),
    ):
        connection.execute_sql(
            "INSERT INTO approval_answers (id, user_id, tool_name, subject, decision, created_at) VALUES (?, ?, ?, ?, ?, ?)",
            (uuid.uuid4().hex, admin_id, tool, subject, decision, format_time(now)),
        )
    moment = now.timestamp()
    for title, state, attempts, error in (
        ("Daily summary", "sent", 1, None),
        ("Bins failed", "dead", 8, "Telegram: Forbidden: bot was blocked by the user"),
        ("The budget is running out", "waiting", 2, "Telegram cannot be reached"),
    ):
        connection.execute_sql(
            "INSERT INTO outbox (channel, user_id, title, text, source, state, attempts, error, created_at, next_attempt_at, ended_at) "
            "VALUES ('telegram', ?, ?, '', ?, ?, ?, ?, ?, ?, ?)",
            (
                marta_id,
                title,
                title,
                state,
                attempts,
                error,
                moment,
                moment + 300,
                None if state == "waiting" else moment,
            ),
        )


def picture(width: int = 640, height: int = 360) -> bytes:
    """A PNG of a sky above water."""
    rows = b"".join(
        b"\0"
        + b"".join(bytes((20 + 60 * y // height, 90 + 90 * y // height, 150 - 40 * x // width)) for x in range(width))
        for y in range(height)
    )

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def settings(folder: Path) -> dict[str, Any]:
    """An MCP server that works and one that does not."""
    demo = Path(__file__).resolve().parents[1] / "mcp_servers" / "demo.py"
    return {
        "mcp": {
            "servers": {
                "demo": {"command": sys.executable, "args": [str(demo), str(folder / "demo.log")]},
                "broken": {"command": str(folder / "no-such-program")},
            }
        },
        "channels": {"telegram": {"enabled": False}},
    }
