"""What the doctor asks of the machine: room on its disk, its time zone. Tests pass another one."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import tzlocal


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of a disk; `files` is None where their number has no bound."""

    free_bytes: int
    files: int | None


class Machine(Protocol):
    """The machine that an agent runs on."""

    def room(self, folder: Path) -> Room:
        """What is left of the disk of the folder. Raises OSError."""
        ...

    def zone_name(self) -> str | None:
        """The name of the time zone; None, an error of tzlocal, or a name that no zone has, when it cannot be told."""
        ...

    def zone_asked(self) -> str:
        """What the variable TZ says."""
        ...


class ThisMachine:
    """The real one."""

    def room(self, folder: Path) -> Room:
        files = os.statvfs(folder) if hasattr(os, "statvfs") else None
        return Room(shutil.disk_usage(folder).free, files.f_favail if files is not None and files.f_files else None)

    def zone_name(self) -> str | None:
        return tzlocal.get_localzone_name()

    def zone_asked(self) -> str:
        return os.environ.get("TZ", "")
