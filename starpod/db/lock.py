"""One gateway per agent folder: the lock dies with its process, and its file says where that process listens."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import IO

from starpod.errors import Conflict

if sys.platform != "win32":
    import fcntl


class GatewayLock:
    """Held by a running gateway, because a second one would take the first one's turns for cut off by a crash."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "gateway.lock"
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take the lock. Conflict, with the address of the gateway that has it."""
        file = self._path.open("a+", encoding="utf-8")
        os.chmod(self._path, 0o600)
        if not _try_lock(file):
            address = _read(file)
            file.close()
            where = f" at {address}" if address else ""
            raise Conflict(
                f"A gateway is already running on this folder{where}. Stop it, or choose another folder with --dir."
            )
        self._file = file
        self.announce("")

    def announce(self, address: str) -> None:
        """Tell those who find the lock taken where the gateway listens."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(address)
            self._file.flush()

    def release(self) -> None:
        """Give the lock back. Idempotent."""
        if self._file is not None:
            self.announce("")
            self._file.close()
            self._file = None


def running_address(folder: Path) -> str | None:
    """Where the gateway of this database folder listens; None when none runs, empty while it starts."""
    try:
        with (folder / "gateway.lock").open("r+", encoding="utf-8") as file:
            return None if _try_lock(file) else _read(file)
    except OSError:
        return None


def _try_lock(file: IO[str]) -> bool:
    if sys.platform == "win32":
        return True  # nothing keeps two gateways apart there
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read(200).strip()
