"""Becomes the gateway of an instance: takes the folder's lock, says who it is, limits itself, then runs the server in the same process.

It is started as a script and knows nothing but the standard library. The lock goes over into the server and ends with it, so that one
folder never has two processes, and whoever looks at `instance.pid` while the lock is held sees the process that holds it.
    launcher.py FOLDER PORT MEMORY_MB OPEN_FILES
Exit code 75: the folder has a process already.
"""

from __future__ import annotations

import fcntl
import os
import resource
import sys
import time

TAKEN = 75


def main(argv: list[str]) -> None:
    """Never returns when all goes well."""
    folder, port, memory_mb, open_files = argv[0], argv[1], int(argv[2]), int(argv[3])
    lock = os.open(os.path.join(folder, "instance.pid"), os.O_RDWR | os.O_CREAT, 0o600)
    if not _take(lock):
        sys.exit(TAKEN)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    os.set_inheritable(lock, True)
    if memory_mb:
        # Of address space a Python process takes a multiple of what it uses; data is what it may really fill.
        _limit(resource.RLIMIT_DATA, memory_mb * 1024 * 1024)
    _limit(resource.RLIMIT_NOFILE, open_files)
    arguments = ["-m", "starpod.server", "--dir", folder, "--host", "127.0.0.1", "--port", port, "--small"]
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606


def _take(lock: int) -> bool:
    """Somebody may be looking just now, which holds the lock for a moment."""
    for _ in range(20):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def _limit(kind: int, wanted: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main(sys.argv[1:])
