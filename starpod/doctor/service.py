"""Runs all checks of one agent, whether its gateway runs or not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from starpod.agent.registry import Registry
from starpod.auth.origins import is_loopback
from starpod.clock import Clock
from starpod.config.problems import ConfigError
from starpod.config.types import split_address
from starpod.db.lock import running_address
from starpod.doctor import files, network, stored
from starpod.doctor.machine import Machine, ThisMachine
from starpod.doctor.types import Case, Check
from starpod.paths import Paths

logger = logging.getLogger(__name__)


def examine(
    paths: Paths, environ: Mapping[str, str], clock: Clock, *, ask: bool = True, machine: Machine | None = None
) -> list[Check]:
    """Everything that can be said about the agent, in the order of the checks. Blocks for seconds: never on the event loop.

    Without `ask` nothing outside this machine is asked. Nothing is changed, and no check keeps another from being made.
    """
    machine = machine or ThisMachine()
    now = clock.now().timestamp()
    address = running_address(paths.db_dir)
    loaded, found = files.check_config(paths, environ)
    secrets = loaded.environ if loaded is not None else environ
    facts, database = stored.check_core(paths)
    case = Case(paths, loaded, secrets, address, now, machine)
    groups: list[Callable[[], Iterable[Check]]] = [
        lambda: files.check_files(case),
        lambda: database,
        lambda: stored.check_extra_databases(paths.db_dir),
        lambda: [stored.check_index(case, facts)],
        lambda: [stored.check_clock(case, facts)],
        lambda: [files.check_backup(case, stored.first_user_at(facts))],
    ]
    if facts is not None:
        is_public = loaded is not None and not is_loopback(split_address(loaded.config.server_addr)[0])
        opened, vault = stored.check_vault(paths.db_dir, secrets, facts)
        case = replace(case, secrets={**secrets, **opened})
        groups += [
            lambda: [stored.check_people(facts, is_public=is_public)],
            lambda: [vault],
            lambda: [stored.check_outbox(case, facts)],
        ]
    if loaded is not None:
        config = loaded.config
        groups += [
            lambda: [network.check_port(case, config)],
            lambda: network.check_providers(case, config, _registry(paths), ask=ask),
            lambda: [network.check_telegram(case, config, ask=ask)],
        ]
    return found + list(chain.from_iterable(_guarded(group) for group in groups))


def _guarded(group: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    try:
        yield from group()
    except OSError as error:
        found = f"something cannot be read: {error.strerror}"
        yield Check("files", "fail", found, "Check the agent's permissions.", finding="unreadable")


def _registry(paths: Paths) -> Registry:
    try:
        return Registry.read(paths.config_dir / "models.toml")
    except ConfigError:
        return Registry.load()
