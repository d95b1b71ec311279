"""How much a backup of a large database holds up turns that stream: `python -m tests.backup_load [--size-mb 1000] [--turns 50]`.

The same turns are measured without and with `starpod backup` beside them; a piece's delay is the time from the provider's saying it to
its arrival at the client. Exit status 1 when a piece came more than 100 ms late.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from starpod.paths import resolve_paths
from tests.bench.processes import Bench, Target, bench

TARGET_MS = 100.0
ROW_BYTES = 16_000
RATE = 10
SETTLE_S = 2.0


def fill(core: Path, size_mb: int) -> None:
    """Grow the database by messages of one old session: half of each text can be compressed."""
    with closing(sqlite3.connect(core)) as database, database:
        database.execute(
            "INSERT INTO session_metadata (id, created_at, last_message_at, is_closed, user_id) "
            "VALUES ('old', '2026-01-01T00:00:00.000000+00:00', '2026-01-01T00:00:00.000000+00:00', 1, 'nobody')"
        )
        database.executemany(
            "INSERT INTO session_messages (session_id, role, content, timestamp) VALUES ('old', 'tool_result', ?, "
            "'2026-01-01T00:00:00.000000+00:00')",
            (
                (os.urandom(ROW_BYTES // 4).hex() + "word " * (ROW_BYTES // 10),)
                for _ in range(size_mb * 1_000_000 // ROW_BYTES)
            ),
        )


def stream(this: Bench, target: Target, turns: int, seconds: float) -> dict[str, Any]:
    """That many turns at once, for that long."""
    return this.load("streams", target, streams=turns, rate=RATE, pieces=int(RATE * seconds), settle_s=SETTLE_S)


def back_up(folder: Path, target: Path, environ: dict[str, str], took: list[float]) -> None:
    """Run the command as a person would, once the turns stream."""
    time.sleep(2 * SETTLE_S)
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "starpod", "backup", str(target), "--dir", str(folder)],
        env=environ, check=True, capture_output=True,
    )  # fmt: skip
    took.append(time.monotonic() - began)


def measure(size_mb: int, turns: int, seconds: float) -> dict[str, Any]:
    """Both runs; sizes in MB, times in s, delays in ms."""
    with bench() as this:
        folder = this.make_agent("agent")
        gateway = this.start_gateway(folder)
        this.load("turns", gateway, clients=4, turns=20, pieces=20)
        fill(resolve_paths(folder).core_db, size_mb)
        alone = stream(this, gateway, turns, 10.0)
        took: list[float] = []
        archive = this.folder / "backup.tar.gz"
        worker = threading.Thread(target=back_up, args=(folder, archive, this.environ, took))
        worker.start()
        beside = stream(this, gateway, turns, seconds)
        streamed_through = bool(took)
        worker.join()
        return {
            "database_mb": round(resolve_paths(folder).core_db.stat().st_size / 1e6),
            "archive_mb": round(archive.stat().st_size / 1e6),
            "backup_s": round(took[0], 1),
            "streamed_through": streamed_through,
            "alone": alone,
            "beside_backup": beside,
        }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.backup_load", description=__doc__)
    parser.add_argument("--size-mb", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the turns stream beside the backup")
    options = parser.parse_args()
    found = measure(options.size_mb, options.turns, options.seconds)
    print(json.dumps(found, indent=2))
    if not found["streamed_through"]:
        print("the backup took longer than the turns: raise --seconds", file=sys.stderr)
    late = found["beside_backup"]["max_ms"] > TARGET_MS or found["beside_backup"]["lost"] > 0
    return int(late or not found["streamed_through"])


if __name__ == "__main__":
    sys.exit(main())
