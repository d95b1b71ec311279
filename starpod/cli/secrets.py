"""`starpod vault`: secrets straight in the database, with or without a running gateway, which notices within a second."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from starpod.cli.place import Folder, agent_paths, open_database
from starpod.clock import SystemClock
from starpod.config.loader import load_config
from starpod.vault.service import Vault
from starpod.vault.types import check_name

T = TypeVar("T")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The variable's name, e.g. OPENAI_API_KEY.")]

vault = typer.Typer(no_args_is_help=True, help="The agent's secrets, encrypted at rest.")


@vault.command("list")
def list_secrets(folder: Folder = Path()) -> None:
    """Show the names; never the values."""

    async def show(opened: Vault) -> None:
        for entry in opened.entries():
            masked = "damaged" if entry.is_damaged else f"…{entry.tail}" if entry.tail else "set"
            typer.echo(f"{entry.name}\t{masked}")

    _with_vault(folder, show)


@vault.command("set")
def set_secret(name: Name, folder: Folder = Path()) -> None:
    """Keep a secret. Its value is asked for, or read from the standard input; it never stands on the command line."""
    check_name(name)
    value = typer.prompt(f"Value of {name}", hide_input=True) if sys.stdin.isatty() else sys.stdin.read()
    _with_vault(folder, lambda opened: opened.set(name, value.rstrip("\r\n")))
    typer.echo(f"kept {name}")


@vault.command("delete")
def delete_secret(name: Name, folder: Folder = Path()) -> None:
    """Forget a secret."""
    _with_vault(folder, lambda opened: opened.delete(name))
    typer.echo(f"deleted {name}")


@vault.command("rotate-key")
def rotate_key(folder: Folder = Path()) -> None:
    """Encrypt everything anew with a new key; the old one opens nothing any more. Safe to be cut off at any point."""
    count = _with_vault(folder, lambda opened: opened.rotate())
    typer.echo(f"sealed {count} secret{'' if count == 1 else 's'} with a new key")


def _with_vault(folder: Path, work: Callable[[Vault], Coroutine[Any, Any, T]]) -> T:
    paths = agent_paths(folder)
    environ = load_config(paths, os.environ).environ

    async def run(opened: Vault) -> T:
        await opened.open()
        return await work(opened)

    with open_database(folder) as database:
        return asyncio.run(run(Vault(database, paths.db_dir, environ, SystemClock())))
