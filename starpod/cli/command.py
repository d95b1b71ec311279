"""Puts the commands together and turns what went wrong into one line on stderr and exit code 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from starpod.cli import accounts, archives, doctor, instances, people, secrets
from starpod.cli.gateway import Question, answer_approval, ask, stop_turn
from starpod.cli.place import Folder, running_gateway
from starpod.cli.screen import Screen, plain
from starpod.clock import SystemClock
from starpod.config.scaffold import create_agent
from starpod.errors import Conflict, StarpodError
from starpod.paths import find_root
from starpod.version import __version__

UNUSABLE = 2
FAILED_TURN = 1
STOPPED_BY_PERSON = 130

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="A self-hosted gateway for a personal AI agent.",
)
app.add_typer(accounts.users, name="users")
app.add_typer(accounts.keys, name="keys")
app.add_typer(secrets.vault, name="vault")
app.add_typer(instances.instances, name="instances")
app.command()(archives.backup)
app.command()(archives.restore)
app.command()(doctor.doctor)
app.command()(people.export)
app.command()(people.erase)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name; default: the process's) and return the exit code."""
    try:
        app(args=argv, prog_name="starpod")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else UNUSABLE if end.code else 0
    except StarpodError as error:
        return _complain(str(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _complain(f"{place}{error.strerror or error}")
    return 0


def _complain(text: str) -> int:
    sys.stderr.write(f"error: {plain(text).replace(chr(10), ' ')}\n")
    return UNUSABLE


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"starpod {__version__}")
        raise typer.Exit


@app.callback()
def starpod(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A self-hosted gateway for a personal AI agent."""


@app.command()
def serve(
    folder: Folder = Path(),
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of the one in agent.toml.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=0, max=65535)] = None,
) -> None:
    """Start the gateway, making a new agent first where there is none."""
    from starpod.server import main as run_server

    argv = ["--dir", str(folder)]
    argv += ["--host", host] if host is not None else []
    argv += ["--port", str(port)] if port is not None else []
    raise typer.Exit(run_server(argv))


@app.command()
def init(folder: Folder = Path()) -> None:
    """Make the files of a new agent, to edit before the first start."""
    if (found := find_root(folder)) is not None:
        raise Conflict(f"{found} holds an agent already; choose another folder with --dir")
    folder.mkdir(parents=True, exist_ok=True)
    paths = create_agent(folder, os.environ, SystemClock())
    typer.echo(f"Made a new agent. Its settings: {paths.agent_toml}")
    typer.echo("Start it with `starpod serve`; the first start prints how to sign in.")


@app.command()
def chat(
    message: Annotated[str, typer.Argument(help="What to say; - reads it from the standard input.")],
    session: Annotated[str | None, typer.Option(help="Go on in the conversation of this name.")] = None,
    model: Annotated[str | None, typer.Option(help="Another model of the agent's list, as provider/model.")] = None,
    url: Annotated[
        str | None, typer.Option(help="The gateway's address. Default: where this folder's agent listens.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            envvar="STARPOD_API_KEY", show_envvar=True, help="Your key; the variable hides it from other users."
        ),
    ] = None,
    folder: Folder = Path(),
) -> None:
    """Send one message to the agent and show the answer as it comes; Ctrl-C stops the turn. Works with a running gateway or without."""
    question = Question(sys.stdin.read() if message == "-" else message, session, model)
    if url is not None:
        _converse(url, question, key)
        return
    from starpod.cli.embedded import own_gateway, temporary_key

    with ExitStack() as stack:
        address = running_gateway(folder) or stack.enter_context(own_gateway(folder))
        _converse(address, question, key or stack.enter_context(temporary_key(folder)))


def _decide(address: str, event: Mapping[str, Any], key: str | None) -> None:
    """Ask on the terminal. Without one, somebody may answer elsewhere, in the browser for instance."""
    # Not click's prompt, which writes to stdout: only the answer belongs there.
    sys.stderr.write("Allow it? y = yes, s = in this conversation, a = always, n = no [n]: ")
    sys.stderr.flush()
    said = sys.stdin.readline().strip().lower()[:1]
    remember = {"s": "session", "a": "forever"}.get(said, "once")
    answer = {"decision": "approve" if said in ("y", "s", "a") else "deny", "remember": remember}
    if not answer_approval(address, event, answer, key):
        typer.echo("it waits no longer", err=True)


def _converse(address: str, question: Question, key: str | None) -> None:
    screen = Screen()
    try:
        for event in ask(address, question, key):
            screen.show(event)
            if event.get("type") == "approval_request" and sys.stdin.isatty():
                _decide(address, event, key)
    except KeyboardInterrupt:
        stopped = screen.session_id is not None and stop_turn(address, screen.session_id, key)
        typer.echo("stopped" if stopped else "left; the gateway may still be answering", err=True)
        raise typer.Exit(STOPPED_BY_PERSON) from None
    finally:
        screen.finish()
    if screen.failed or not screen.ended:
        raise typer.Exit(FAILED_TURN)
