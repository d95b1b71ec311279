"""`starpod instances`: the further agents of a running gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer

from starpod.cli.gateway import NoGateway, refusal
from starpod.cli.place import Folder, running_gateway
from starpod.cli.screen import plain
from starpod.errors import Upstream

TIMEOUT_S = 60.0
Which = Annotated[str, typer.Argument(metavar="ID", help="The instance's id; its beginning is enough.")]

instances = typer.Typer(no_args_is_help=True, help="Further agents that the running gateway runs.")


@instances.command("list")
def list_instances(folder: Folder = Path()) -> None:
    """Show all instances."""
    for each in _ask(folder, "GET", ""):
        typer.echo("\t".join(plain(str(each.get(name) or "")) for name in ("id", "name", "status")))


@instances.command("create")
def create_instance(
    name: Annotated[str | None, typer.Option(help="Its name.")] = None,
    secret: Annotated[list[str] | None, typer.Option(help="Name of a secret of this agent that it gets.")] = None,
    folder: Folder = Path(),
) -> None:
    """Make an instance and print its id."""
    body = {"name": name, "secrets": secret or []}
    typer.echo(plain(str(_ask(folder, "POST", "", body)["id"])))


@instances.command("show")
def show_instance(which: Which, folder: Folder = Path()) -> None:
    """Show one instance."""
    _print(_ask(folder, "GET", f"/{which}"))


@instances.command("health")
def show_health(which: Which, folder: Folder = Path()) -> None:
    """Show how an instance is."""
    _print(_ask(folder, "GET", f"/{which}/health"))


@instances.command("pause")
def pause_instance(which: Which, folder: Folder = Path()) -> None:
    """Stop an instance and keep its data."""
    typer.echo(_ask(folder, "POST", f"/{which}/pause")["status"])


@instances.command("start")
def start_instance(which: Which, folder: Folder = Path()) -> None:
    """Start an instance."""
    typer.echo(_ask(folder, "POST", f"/{which}/start")["status"])


@instances.command("restart")
def restart_instance(which: Which, folder: Folder = Path()) -> None:
    """Stop and start an instance."""
    typer.echo(_ask(folder, "POST", f"/{which}/restart")["status"])


@instances.command("delete")
def delete_instance(which: Which, folder: Folder = Path()) -> None:
    """End an instance and remove all its data."""
    _ask(folder, "DELETE", f"/{which}")
    typer.echo("deleted")


@instances.command("logs")
def show_logs(
    which: Which,
    tail: Annotated[int, typer.Option(help="Lines to begin with.", min=0, max=10000)] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes.")] = False,
    folder: Folder = Path(),
) -> None:
    """Show the log of an instance."""
    query = f"?tail={tail}&follow={str(follow).lower()}"
    with _client(folder) as client, client.stream("GET", f"/api/instances/{which}/logs{query}") as response:
        if not response.is_success:
            response.read()
            raise refusal(response)
        for line in response.iter_lines():
            entry = json.loads(line)
            typer.echo(f"{entry['level']:5} {plain(str(entry['message']))}")


@contextmanager
def _client(folder: Path) -> Iterator[httpx2.Client]:
    # It brings the whole server in, which the other commands do not need.
    from starpod.cli.embedded import temporary_key

    address = running_gateway(folder)
    if not address:
        raise NoGateway("no gateway runs on this folder; start one with `starpod serve`")
    with temporary_key(folder) as key:
        headers = {"X-API-Key": key} if key else {}
        timeout = httpx2.Timeout(TIMEOUT_S, read=None)
        try:
            with httpx2.Client(base_url=address, headers=headers, timeout=timeout, trust_env=False) as client:
                yield client
        except httpx2.HTTPError as error:
            raise Upstream("the connection to the gateway broke") from error


def _ask(folder: Path, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    with _client(folder) as client:
        response = client.request(method, f"/api/instances{path}", json=body)
    if not response.is_success:
        raise refusal(response)
    return response.json() if response.content else None


def _print(body: dict[str, Any]) -> None:
    for name, value in body.items():
        typer.echo(f"{plain(name)}\t{plain(str(value))}")
