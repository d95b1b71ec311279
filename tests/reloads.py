"""Reloads the settings of a real gateway again and again, and counts what is left behind: `python -m tests.reloads --rounds 1000`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from tests.gateway import Gateway


@dataclass(frozen=True, slots=True)
class Held:
    """What the process holds. The limits of growth are for a handful of lazily made things, not for one each round."""

    threads: int
    watches: int
    files: int
    rss_kib: int


def held() -> Held:
    """Count now."""
    gc.collect()
    watches = files = 0
    for number in os.listdir("/proc/self/fd"):
        files += 1
        try:
            info = Path(f"/proc/self/fdinfo/{number}").read_text()
        except OSError:
            continue
        watches += sum(line.startswith("inotify") for line in info.splitlines())
    status = Path("/proc/self/status").read_text()
    rss = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    # The loop's own pool is bounded, and fills up by chance.
    threads = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
    return Held(len(threads), watches, files, int(rss.split()[1]))


async def reload_often(folder: Path, rounds: int, warm_up: int) -> tuple[Held, Held]:
    """Edit every kind of settings file `rounds` times, with an admin's socket that hears of it; what was held before and after."""
    async with Gateway(folder) as gateway:
        state = gateway.state
        socket = await gateway.socket()
        before = held()
        for number in range(warm_up + rounds):
            if number == warm_up:
                before = held()
            text = state.paths.agent_toml.read_text()
            lines = [line for line in text.splitlines() if not line.startswith("max_turns")]
            state.paths.agent_toml.write_text("\n".join([f"max_turns = {5 + number % 50}", *lines]))
            state.paths.env_file.write_text(f"SOME_API_KEY=key-{number}\n")
            (state.paths.config_dir / "models.toml").write_text(f"[mine.models.m]\ninput = {number}\noutput = 1\n")
            await state.watcher.reload()
            assert state.config.max_turns == 5 + number % 50
            await socket.next("config_reloaded")
            await state.pulse()
        return before, held()


def main() -> None:
    """Print both counts and the difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        before, after = asyncio.run(reload_often(Path(folder), rounds, warm_up=100))
    print(f"before {before}\nafter  {after}\n{rounds} reloads: {after.rss_kib - before.rss_kib} KiB")


if __name__ == "__main__":
    main()
