"""`starpod users` and `starpod keys`: people and their keys, straight on the database, with or without a running gateway.

Whoever may write the agent's files is its operator, so no key is asked for: it is the way back in when the admin's key is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from starpod.auth.service import Auth
from starpod.auth.types import Role, User
from starpod.cli.place import Folder, open_database
from starpod.cli.screen import plain
from starpod.clock import SystemClock
from starpod.errors import InvalidInput, NotFound

T = TypeVar("T")
Who = Annotated[str, typer.Argument(metavar="USER", help="A user's id (its beginning is enough), email or name.")]

users = typer.Typer(no_args_is_help=True, help="The people who may use the agent.")
keys = typer.Typer(no_args_is_help=True, help="The keys that people sign in with.")


@users.command("list")
def list_users(folder: Folder = Path()) -> None:
    """Show everybody."""
    people = _with_auth(folder, lambda auth: auth.list_users())
    rows = [
        (u.id, u.display_name, u.email, u.role, "yes" if u.is_active else "no", _moment(u.created_at)) for u in people
    ]
    _print_table(("id", "name", "email", "role", "active", "since"), rows)


@users.command("add")
def add_user(
    name: Annotated[str | None, typer.Option(help="The name to show.")] = None,
    email: Annotated[str | None, typer.Option(help="The email address.")] = None,
    role: Annotated[Role, typer.Option(help="What they may do.")] = "user",
    folder: Folder = Path(),
) -> None:
    """Add a person; `starpod keys create` then gives them a key."""
    if not name and not email:
        raise InvalidInput("give the new user a --name or an --email, so that they can be told apart")
    user = _with_auth(folder, lambda auth: auth.create_user(email=email, display_name=name, role=role))
    typer.echo(user.id)


@users.command("deactivate")
def deactivate_user(who: Who, folder: Folder = Path()) -> None:
    """Shut a person out: their keys and sign-ins no longer work."""
    _set_active(folder, who, active=False)


@users.command("activate")
def activate_user(who: Who, folder: Folder = Path()) -> None:
    """Let a person in again."""
    _set_active(folder, who, active=True)


@keys.command("list")
def list_keys(who: Annotated[str | None, typer.Argument(metavar="USER")] = None, folder: Folder = Path()) -> None:
    """Show the keys of a user, or of everybody; never the secrets, which are not kept."""

    async def collect(auth: Auth) -> list[tuple[str | None, ...]]:
        people = await auth.list_users()
        chosen = [find_user(people, who)] if who else people
        return [
            (
                k.id,
                _name(user),
                k.label,
                f"{k.prefix}…",
                _moment(k.expires_at),
                _moment(k.revoked_at),
                _moment(k.last_used_at),
            )
            for user in chosen
            for k in await auth.list_keys(user.id)
        ]

    _print_table(("id", "user", "label", "key", "expires", "revoked", "last used"), _with_auth(folder, collect))


@keys.command("create")
def create_key(
    who: Annotated[
        str | None, typer.Argument(metavar="USER", help="Default: the admin, when there is one only.")
    ] = None,
    label: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    expires_days: Annotated[
        int | None, typer.Option(help="Days until it ends; without it, it never does.", min=1, max=36500)
    ] = None,
    folder: Folder = Path(),
) -> None:
    """Make a new key and print it, this once."""
    clock = SystemClock()
    expires_at = clock.now() + timedelta(days=expires_days) if expires_days is not None else None

    async def create(auth: Auth) -> tuple[User, str]:
        people = await auth.list_users()
        user = find_user(people, who) if who else only_admin(people)
        _, clear_key = await auth.create_key(user.id, label=label, expires_at=expires_at)
        return user, clear_key

    user, clear_key = _with_auth(folder, create)
    if not user.is_active:
        typer.echo(
            f"note: {plain(_name(user))} is deactivated; the key works after `starpod users activate {user.id}`",
            err=True,
        )
    typer.echo(clear_key)


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `starpod keys list` shows it.")],
    folder: Folder = Path(),
) -> None:
    """End a key, and the browser sign-ins that it opened."""
    _with_auth(folder, lambda auth: auth.revoke_key(key_id))
    typer.echo(f"revoked {key_id}")


def find_user(people: list[User], who: str) -> User:
    """The one whom `who` names by id, the beginning of an id, email or name. Raises NotFound, and InvalidInput for several."""
    wanted = who.casefold()
    exact = [u for u in people if wanted in {u.id, (u.email or "").casefold(), (u.display_name or "").casefold()}]
    found = exact or [u for u in people if u.id.startswith(wanted)]
    if not found:
        raise NotFound(f"no user {who!r}; `starpod users list` shows them all")
    if len(found) > 1:
        raise InvalidInput(f"{who!r} fits {len(found)} users; give the whole id")
    return found[0]


def only_admin(people: list[User]) -> User:
    """The one active admin. Raises InvalidInput when it is not clear who is meant."""
    admins = [user for user in people if user.role == "admin" and user.is_active]
    if not admins:
        raise InvalidInput("there is no active admin; the first start of the gateway makes one, or name the USER")
    if len(admins) > 1:
        raise InvalidInput(f"there are {len(admins)} admins; name the USER")
    return admins[0]


def _set_active(folder: Path, who: str, *, active: bool) -> None:
    async def change(auth: Auth) -> User:
        return await auth.set_active(find_user(await auth.list_users(), who).id, active)

    user = _with_auth(folder, change)
    typer.echo(f"{plain(_name(user))} is {'active' if user.is_active else 'deactivated'}")


def _with_auth(folder: Path, work: Callable[[Auth], Coroutine[Any, Any, T]]) -> T:
    with open_database(folder) as database:
        return asyncio.run(work(Auth(database, SystemClock())))


def _name(user: User) -> str:
    return user.display_name or user.email or user.id


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _print_table(titles: tuple[str, ...], rows: Sequence[tuple[str | None, ...]]) -> None:
    """A table for people; into a pipe, lines of tab-separated fields for programs."""
    cells = [[plain(cell or "").replace("\n", " ").replace("\t", " ") for cell in row] for row in rows]
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        for row in cells:
            typer.echo("\t".join(row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, title in enumerate(titles):
        table.add_column(title, overflow="fold", no_wrap=number == 0)  # the id is there to be copied
    for row in cells:
        table.add_row(*row)
    console.print(table)
