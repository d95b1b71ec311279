"""`starpod export` and `starpod erase`: what is kept about one person."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from starpod.auth.service import Auth
from starpod.auth.types import User
from starpod.cli.accounts import Who, find_user
from starpod.cli.place import Folder, agent_paths, open_database
from starpod.cli.screen import plain
from starpod.clock import SystemClock
from starpod.db.lock import GatewayLock
from starpod.errors import Conflict, InvalidInput
from starpod.people import service


def export(
    who: Who,
    file: Annotated[
        Path | None, typer.Argument(help="The zip file to write. Default: starpod-USER-TIME.zip in the current folder.")
    ] = None,
    folder: Folder = Path(),
) -> None:
    """Write everything that is kept about a person into a zip file, as JSON and Markdown."""
    paths, clock = agent_paths(folder), SystemClock()

    async def write() -> tuple[Path, int]:
        """Where it is written is said first: it is private, and large ones take a while."""
        user = find_user(await Auth(database, clock).list_users(), who)
        now = clock.now()
        target = (file or Path(f"starpod-{user.id[:8]}-{now:%Y%m%d-%H%M%S}.zip")).absolute()
        typer.echo(f"writing {target}", err=True)
        return target, await service.export(database, paths, user.id, target, now)

    with open_database(folder) as database:
        target, count = asyncio.run(write())
    typer.echo(f"wrote {count} files to {target}")


def erase(
    who: Who,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    folder: Folder = Path(),
) -> None:
    """Delete a person and everything that is kept about them, for good. The gateway must be stopped; sums of usage stay, without a name."""
    paths, clock = agent_paths(folder), SystemClock()
    paths.db_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = GatewayLock(paths.db_dir)
    lock.acquire()
    try:
        with open_database(folder) as database:
            people = asyncio.run(Auth(database, clock).list_users())
            user = find_user(people, who)
            _check_other_admin(people, user)
            name = plain(user.display_name or user.email or user.id)
            if not yes:
                typed = typer.prompt(f"All of {name} goes for good. Type the id {user.id} to go on")
                if typed.strip() != user.id:
                    raise InvalidInput("that is not the id; nothing was erased")
            count = asyncio.run(service.erase(database, paths, user.id, clock.now()))
    finally:
        lock.release()
    typer.echo(f"erased {name}: {count} sessions, memory, files, jobs and keys")
    typer.echo("Backups, and what an admin's turns left in home/, are not touched.", err=True)


def _check_other_admin(people: list[User], user: User) -> None:
    others = [each for each in people if each.role == "admin" and each.is_active and each.id != user.id]
    if user.role == "admin" and user.is_active and not others:
        raise Conflict("the last active admin cannot be erased; make another one first")
