"""What the doctor says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from starpod.config.loader import LoadedConfig
from starpod.doctor.machine import Machine
from starpod.paths import Paths

State = Literal["ok", "warn", "fail"]
Finding = Literal[
    "backup_due",
    "clock_back",
    "clock_differs",
    "clock_early",
    "config_invalid",
    "config_warning",
    "database_damaged",
    "database_foreign",
    "database_newer",
    "database_unreadable",
    "deliveries_dead",
    "disk_full",
    "disk_low",
    "extra_missing",
    "frontend_invalid",
    "index_damaged",
    "index_foreign",
    "index_late",
    "index_unknown",
    "leftovers",
    "logging_invalid",
    "model_failing",
    "model_no_key",
    "model_off",
    "model_refused",
    "model_unreachable",
    "models_invalid",
    "no_admin",
    "no_admin_key",
    "nobody_yet",
    "not_writable",
    "open_to_others",
    "port_silent",
    "port_taken",
    "sandbox_missing",
    "telegram_failing",
    "telegram_no_token",
    "telegram_refused",
    "telegram_unreachable",
    "time_zone_ignored",
    "time_zone_unknown",
    "ui_missing",
    "unreadable",
    "vault_entry_damaged",
    "vault_key_missing",
    "vault_key_unusable",
    "vault_key_wrong",
    "vault_rotation_cut",
    "vectors_damaged",
]
"""Everything that can be wrong, by names that stay: scripts may lean on them."""
SEVERITY: tuple[State, ...] = ("ok", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `cause` says what was found; `fix` and `command`, run in the agent's folder, how to mend it.

    `finding` names what is wrong: None where all is well.
    """

    name: str
    state: State
    cause: str
    fix: str | None = None
    command: str | None = None
    finding: Finding | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """The agent under examination. `loaded` is None when its settings cannot be read; `secrets` is the environment with `.env`, and
    the vault's once it is open. `address` is where its gateway listens: None when none runs, "" while it starts. `machine` is what it
    runs on."""

    paths: Paths
    loaded: LoadedConfig | None
    secrets: Mapping[str, str]
    address: str | None
    now: float
    machine: Machine


def worst(checks: Iterable[Check]) -> State:
    """The state of the whole."""
    return max((check.state for check in checks), key=SEVERITY.index, default="ok")
