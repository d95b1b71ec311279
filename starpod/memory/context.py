"""What is remembered, as it goes into a prompt. Blocks on the disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from starpod.memory.places import DAILY_FOLDER, USER_FILES, has_own_memory, user_folder
from starpod.paths import Paths

DAILY_FILES = 3
_DAY = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].md"


def bootstrap(paths: Paths, user_id: str, cap: int) -> str:
    """SOUL.md and, for a person, USER.md, MEMORY.md and the newest three daily logs, each under its heading and cut to `cap` bytes."""
    files = [("SOUL.md", paths.config_dir / "SOUL.md")]
    if has_own_memory(user_id):
        own = user_folder(paths, user_id)
        files += [(name, own / name) for name in USER_FILES]
        # Other files of that folder are found by searching; only days grow old by themselves.
        daily = sorted((own / DAILY_FOLDER).glob(_DAY), reverse=True)[:DAILY_FILES]
        files += [(f"daily/{path.name}", path) for path in daily]
    blocks = [(name, _head(path, cap)) for name, path in files]
    return "\n\n".join(f"--- {name} ---\n{text}" for name, text in blocks if text)


def _head(path: Path, cap: int) -> str:
    """The first `cap` bytes of a file, cut between characters; empty for what is no ordinary file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(cap).decode("utf-8-sig", errors="ignore").strip()
    except OSError:
        return ""
    finally:
        os.close(descriptor)
