"""`starpod doctor`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from starpod.cli.place import Folder, agent_paths
from starpod.cli.screen import plain
from starpod.clock import SystemClock
from starpod.doctor.service import examine
from starpod.doctor.types import Check, worst
from starpod.version import __version__

STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nothing outside this machine.")] = False,
    folder: Folder = Path(),
) -> None:
    """Look the agent over: what is wrong, why, and the command that mends it. Changes nothing; 1 is the exit status when a check fails."""
    checks = examine(agent_paths(folder), os.environ, SystemClock(), ask=not offline)
    if as_json:
        report = {"status": worst(checks), "version": __version__, "checks": [asdict(check) for check in checks]}
        typer.echo(json.dumps(report, indent=2))
    else:
        console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        for check in checks:
            _show(console, check)
    raise typer.Exit(int(worst(checks) == "fail"))


def _show(console: Console, check: Check) -> None:
    console.print(Text(f"{check.state:<4} ", style=STYLES[check.state]) + Text(f"{check.name}: {plain(check.cause)}"))
    if check.fix is not None:
        console.print(Text(f"     {plain(check.fix)}"))
    if check.command is not None:
        console.print(Text(f"     $ {plain(check.command)}", style="bold"))
