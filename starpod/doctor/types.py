"""What the doctor says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from starpod.config.loader import LoadedConfig
from starpod.paths import Paths

State = Literal["ok", "warn", "fail"]
SEVERITY: tuple[State, ...] = ("ok", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `cause` says what was found; `fix` and `command`, run in the agent's folder, how to mend it."""

    name: str
    state: State
    cause: str
    fix: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """The agent under examination. `loaded` is None when its settings cannot be read; `secrets` is the environment with `.env`, and
    the vault's once it is open. `address` is where its gateway listens: None when none runs, "" while it starts."""

    paths: Paths
    loaded: LoadedConfig | None
    secrets: Mapping[str, str]
    address: str | None
    now: float


def worst(checks: Iterable[Check]) -> State:
    """The state of the whole."""
    return max((check.state for check in checks), key=SEVERITY.index, default="ok")
