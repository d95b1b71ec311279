"""Looks at what lies on the disk: settings, permissions, room, leftovers, backups, the installation. Blocks."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml

from starpod.agent.registry import Registry
from starpod.config.loader import LoadedConfig, load_config, load_frontend
from starpod.config.problems import ConfigError, one_line
from starpod.doctor.types import Case, Check
from starpod.errors import NotFound
from starpod.paths import Paths, shipped

LOW_BYTES, FULL_BYTES = 1_000_000_000, 100_000_000
FEW_FILES = 1000
BACKUP_DAYS = 30
EXTRAS = {"gemini": ("google.genai", "google"), "vertex": ("google.auth", "google"), "bedrock": ("boto3", "bedrock")}
DAY_S = 86_400
SHOWN_MOST = 5


def check_config(paths: Paths, environ: Mapping[str, str]) -> tuple[LoadedConfig | None, list[Check]]:
    """The settings in force and what is wrong with their files."""
    checks: list[Check] = []
    loaded: LoadedConfig | None = None
    try:
        loaded = load_config(paths, environ)
        checks += [
            Check(
                "config", "warn", warning, "Correct that line; until then it has no effect.", finding="config_warning"
            )
            for warning in loaded.warnings
        ]
    except ConfigError as error:
        fix = "Correct the file; the gateway does not start with it."
        checks.append(Check("config", "fail", str(error), fix, finding="config_invalid"))
    if (warning := load_frontend(paths).warning) is not None:
        fix = "Correct the file; the defaults are shown until then."
        checks.append(Check("config", "warn", warning, fix, finding="frontend_invalid"))
    try:
        Registry.read(paths.config_dir / "models.toml")
    except ConfigError as error:
        fix = "Correct the file; the shipped models hold until then."
        checks.append(Check("config", "warn", str(error), fix, finding="models_invalid"))
    if (problem := _logging_problem(paths.config_dir / "logging.yaml")) is not None:
        fix = "Correct the file, or remove it: the shipped one holds then."
        checks.append(Check("config", "fail", problem, fix, finding="logging_invalid"))
    return loaded, checks or [Check("config", "ok", "the settings files are valid")]


def check_files(case: Case) -> Iterator[Check]:
    """Everything else on the disk."""
    yield from _permissions(case.paths)
    yield from _room(case)
    yield _time_zone(case)
    yield from _leftovers(case)
    yield from _installation(case)


def check_backup(case: Case, first_user_at: float | None) -> Check:
    """When the last backup in the agent's own folder was made."""
    folder = case.paths.backups_dir
    made = [path.stat().st_mtime for path in folder.glob("*.tar.gz")] if folder.is_dir() else []
    age_days = (case.now - max(made)) / DAY_S if made else None
    is_young = first_user_at is None or case.now - first_user_at < 7 * DAY_S
    if age_days is not None and age_days < BACKUP_DAYS:
        return Check("backup", "ok", f"the newest in .starpod/backups is {max(age_days, 0):.0f} days old")
    if age_days is None and is_young:
        return Check("backup", "ok", "none yet; the agent is new")
    found = "there is none in .starpod/backups" if age_days is None else f"the newest one is {age_days:.0f} days old"
    return Check(
        "backup", "warn", found, "Make one, and keep a copy on another machine.", "starpod backup", "backup_due"
    )


def _logging_problem(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        return f"{path.name}{line}: this is not YAML: {one_line(str(error.problem))}"
    except (OSError, ValueError, yaml.YAMLError):
        return f"{path.name}: it cannot be read as YAML"
    if not isinstance(found, dict) or found.get("version") != 1:
        return f"{path.name}: this is no logging configuration; it must begin with `version: 1`"
    return None


def _permissions(paths: Paths) -> Iterator[Check]:
    before = True
    for path in (paths.db_dir, paths.users_dir, paths.core_db, paths.env_file, paths.backups_dir):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        name = path.relative_to(paths.instance_root).as_posix()
        if mode & 0o077:
            before = False
            wanted = "700" if path.is_dir() else "600"
            yield Check(
                "permissions", "warn", f"{name} can be read by other accounts of this machine ({mode:03o})",
                "Take their rights away.", f"chmod {wanted} {name}", "open_to_others",
            )  # fmt: skip
    for path in (paths.agent_home, paths.config_dir, paths.db_dir, paths.users_dir, paths.home_dir):
        name = path.relative_to(paths.instance_root).as_posix()
        if not path.exists():
            continue
        if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            before = False
            yield Check(
                "permissions", "fail", f"{name} cannot be written by this account",
                "Give it to the account that the gateway runs under.", f"sudo chown -R $(id -u):$(id -g) {name}",
                "not_writable",
            )  # fmt: skip
    if before:
        yield Check("permissions", "ok", "the agent's folders are its own")


def _room(case: Case) -> Iterator[Check]:
    paths = case.paths
    room = case.machine.room(paths.agent_home)
    free = room.free_bytes
    size = paths.core_db.stat().st_size if paths.core_db.exists() else 0
    amount = f"{free / 1e9:.1f} GB are free"
    if free < FULL_BYTES or (room.files is not None and room.files < FEW_FILES):
        left = amount if free < FULL_BYTES else f"it takes {room.files} more files"
        fix = "Free some room; nothing can be stored else."
        yield Check("disk", "fail", f"the disk is full: {left}", fix, finding="disk_full")
    elif free < max(LOW_BYTES, 2 * size):
        yield Check(
            "disk", "warn", f"{amount}; a backup needs room twice for the databases",
            "Free some room, or write backups elsewhere.", "starpod backup /another/disk/starpod.tar.gz", "disk_low",
        )  # fmt: skip
    else:
        yield Check("disk", "ok", amount)


def _time_zone(case: Case) -> Check:
    if case.loaded is not None and case.loaded.config.timezone:
        return Check("time zone", "ok", f"{case.loaded.config.timezone}, by the settings")
    fix = 'Set timezone = "Europe/Berlin", or yours, in agent.toml.'
    try:
        name = str(case.machine.zone_name())
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        found = "the machine's time zone cannot be told, so jobs run by UTC"
        return Check("time zone", "warn", found, fix, finding="time_zone_unknown")
    asked = case.machine.zone_asked().removeprefix(":")
    # A zone may be named by its file, which may be a link: TZ=:/etc/localtime.
    if asked and not (os.path.realpath(asked) if os.path.isabs(asked) else asked).endswith(name):
        found = f"TZ={one_line(asked)} is no time zone that is known here, so jobs run by that of the machine, {name}"
        return Check("time zone", "warn", found, fix, finding="time_zone_ignored")
    return Check("time zone", "ok", f"{name}, by the machine")


def _leftovers(case: Case) -> Iterator[Check]:
    paths, found = case.paths, []
    patterns = {
        paths.instance_root: (".starpod.replaced-*", "home.replaced-*", ".starpod-restore-*"),
        paths.db_dir: ("core.db.before-*", "*.db.rebuild", ".vault_key.*"),
        paths.backups_dir: (".backup-*", ".*.part"),
        paths.config_dir: (".*.tmp", "*.tmp"),
    }
    for folder, names in patterns.items():
        for pattern in names:
            # What is younger than a day may still be worked on, or be missed.
            found += [path for path in folder.glob(pattern) if case.now - path.lstat().st_mtime > DAY_S]
    if not found:
        yield Check("leftovers", "ok", "none")
        return
    names_found = sorted(path.relative_to(paths.instance_root).as_posix() for path in found)
    more = f" and {len(names_found) - SHOWN_MOST} more" if len(names_found) > SHOWN_MOST else ""
    yield Check(
        "leftovers", "warn", f"{', '.join(names_found[:SHOWN_MOST])}{more}",
        "These are of earlier upgrades, restores or cut-off work. Remove them when nothing is missing.",
        f"rm -r {shlex.join(names_found[:SHOWN_MOST])}", "leftovers",
    )  # fmt: skip


def _installation(case: Case) -> Iterator[Check]:
    try:
        shipped("static")
        yield Check("installation", "ok", f"Python {sys.version.split()[0]}, browser UI present")
    except NotFound:
        yield Check(
            "installation", "warn", "the browser UI is not built", "Build it, or install starpod again.", "make ui",
            "ui_missing",
        )  # fmt: skip
    if case.loaded is None:
        return
    config = case.loaded.config
    for provider in dict.fromkeys(spec.partition("/")[0] for spec in config.models):
        if provider in EXTRAS and not _is_there(EXTRAS[provider][0]):
            extra = EXTRAS[provider][1]
            yield Check(
                "installation", "fail", f"the library for {provider} is not installed",
                "Install that extra.", f"pip install 'starpod[{extra}]'", "extra_missing",
            )  # fmt: skip
    if config.tools.shell and config.tools.shell_sandbox != "off" and shutil.which("bwrap") is None:
        is_needed = config.tools.shell_sandbox == "required"
        yield Check(
            "shell", "fail" if is_needed else "warn",
            "bubblewrap is missing: " + ("no command is run" if is_needed else "commands can read what the gateway can"),
            "Install it.", "sudo apt-get install bubblewrap", "sandbox_missing",
        )  # fmt: skip


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
