"""How long a cost report takes over a million usage rows, in every period and by the days of several time zones."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from starpod.paths import resolve_paths
from tests.bench.processes import Target, fetch
from tests.bench.report import Figure

ROWS = 1_000_000
DAYS = 365
USERS, MODELS, SESSIONS = 25, 6, 40_000
LIMIT_MS = 200.0
QUERIES = [
    f"period={period}&tz={zone}"
    for period in ("7d", "30d", "90d", "all")
    for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu")
]


def fill(folder: Path) -> None:
    """Write the rows past the gateway, which must not run."""
    with sqlite3.connect(resolve_paths(folder).core_db) as connection:
        connection.executemany(
            "INSERT INTO session_metadata (id, created_at, last_message_at, user_id, title, triggered_by) "
            "VALUES (?, '', '', ?, 'A conversation', ?)",
            ((f"s{n}", f"u{n % USERS}", f"job{n % 40}" if n % 10 == 0 else None) for n in range(SESSIONS)),
        )
        connection.executemany(
            "INSERT INTO usage_stats (session_id, turn, input_tokens, output_tokens, cache_read, cache_write, cost_usd, "
            "provider, model, timestamp, user_id) VALUES (?, 1, ?, ?, ?, 0, ?, 'local', ?, ?, ?)",
            _rows(),
        )
    connection.close()


def measure(target: Target, rounds: int) -> list[Figure]:
    """The 95th percentile over all periods and zones."""
    until = time.monotonic() + 120
    while json.loads(fetch(target, "/api/settings/costs?period=all"))["total_turns"] < ROWS:
        if time.monotonic() > until:
            raise TimeoutError("the sums are not brought up to date")
        time.sleep(0.5)
    taken: dict[str, list[float]] = {query: [] for query in QUERIES}
    for _ in range(rounds):
        for query in QUERIES:
            began = time.perf_counter()
            fetch(target, f"/api/settings/costs?{query}")
            taken[query].append((time.perf_counter() - began) * 1000)
    every = [each for runs in taken.values() for each in runs]
    slowest = max(taken.values(), key=_p95)
    figures = [("costs over 1,000,000 rows, p95", every), ("costs, slowest query, p95", slowest)]
    return [
        Figure(name, "ms", _p95(runs), None, f"< {LIMIT_MS:.0f} ms", _p95(runs) < LIMIT_MS, (min(runs), max(runs)))
        for name, runs in figures
    ]


def _rows() -> Iterator[tuple[object, ...]]:
    chance = random.Random(7)
    now = datetime.now(UTC)
    for number in range(ROWS):
        at = now - timedelta(seconds=(ROWS - number) * DAYS * 86_400 / ROWS)
        # A conversation lives for about a day.
        session = number * SESSIONS // ROWS - chance.randrange(100)
        session = max(0, session)
        yield (
            f"s{session}", chance.randrange(4000), chance.randrange(900), chance.randrange(4000), chance.random() / 20,
            f"model-{chance.randrange(MODELS)}", at.isoformat(timespec="microseconds"), f"u{session % USERS}",
        )  # fmt: skip


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]
