"""Reads the log file of an instance: its end, and what is added while somebody follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from starpod.instances.log_lines import parse_line

READ_BYTES = 256 * 1024
FOLLOW_EVERY_S = 0.3


async def read(
    path: Path, *, tail: int, follow: bool, ends: Callable[[], bool] = lambda: False
) -> AsyncIterator[dict[str, Any]]:
    """The last `tail` lines, looked for in the last megabyte; with `follow` then each new one, until the caller or `ends` ends it."""
    lines, position = await asyncio.to_thread(_end_of, path, tail)
    for line in lines:
        yield parse_line(line)
    rest = b""
    while follow and not ends():
        data, position = await asyncio.to_thread(_since, path, position)
        *complete, rest = (rest + data).split(b"\n")
        for each in complete:
            yield parse_line(each.decode("utf-8", "replace"))
        if not data:
            await asyncio.sleep(FOLLOW_EVERY_S)


def _end_of(path: Path, count: int) -> tuple[list[str], int]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = max(0, size - 4 * READ_BYTES)
            file.seek(start)
            data = file.read(size - start)
    except OSError:
        return [], 0
    whole = data.rfind(b"\n") + 1
    lines = data[:whole].decode("utf-8", "replace").splitlines()
    return (lines[-count:] if count else []), start + whole


def _since(path: Path, position: int) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) < position:
                position = 0  # begun anew
            file.seek(position)
            data = file.read(READ_BYTES)
            return data, position + len(data)
    except OSError:
        return b"", 0
