"""`starpod backup` and `starpod restore`."""

from __future__ import annotations

import contextlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from starpod.backup.restoring import restore_backup
from starpod.backup.writing import write_backup
from starpod.cli.place import Folder, agent_paths
from starpod.clock import SystemClock
from starpod.paths import find_root

NO_KEY = "The vault's key is not in it: keep STARPOD_VAULT_KEY elsewhere, secrets cannot be read without it."


def backup(
    file: Annotated[
        Path | None, typer.Argument(help="The archive to write. Default: a new one in .starpod/backups.")
    ] = None,
    without_home: Annotated[bool, typer.Option("--without-home", help="Leave out the agent's home folder.")] = False,
    folder: Folder = Path(),
) -> None:
    """Write everything the agent is into one archive, also while it runs. It holds secrets: keep it as safe as them."""
    paths = agent_paths(folder)
    now = SystemClock().now()
    target = file or paths.backups_dir / f"starpod-{now:%Y%m%d-%H%M%S}.tar.gz"
    with ThreadPoolExecutor(1, initializer=_stand_back) as worker:
        written = worker.submit(write_backup, paths, target.absolute(), now, with_home=not without_home).result()
    typer.echo(f"wrote {written.file_count} files to {target}")
    for name in written.left_out:
        typer.echo(f"left out {name}: it is a link or no plain file", err=True)
    if not written.has_vault_key:
        typer.echo(NO_KEY, err=True)


def restore(
    file: Annotated[Path, typer.Argument(help="An archive that `starpod backup` wrote.")],
    folder: Folder = Path(),
) -> None:
    """Make the agent what an archive holds, after verifying all of it. The gateway must be stopped; what was there is moved aside."""
    root = find_root(folder) or folder.absolute()
    restored = restore_backup(file.absolute(), root, SystemClock().now())
    typer.echo(f"restored {restored.file_count} files as of {restored.created_at} in {root}")
    for path in restored.replaced:
        typer.echo(f"what was there before is in {path}; remove it when you need it no longer")
    if not restored.has_vault_key:
        typer.echo(NO_KEY, err=True)


def _stand_back() -> None:
    """Leave the processor to the gateway: the calling thread takes what nobody else wants. (Elsewhere than on Linux, the process.)"""
    os.nice(19)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            # A merely nice thread still runs on for a whole slice when a turn wakes up.
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
