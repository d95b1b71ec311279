"""Looks at what is stored: databases, people and keys, the vault, the search index, the outbox, the clock. Blocks."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from starpod.backup.copy_store import is_database
from starpod.clock import parse_time
from starpod.db.migrate import load_migrations
from starpod.doctor import facts_store
from starpod.doctor.facts_store import CoreFacts
from starpod.doctor.types import Case, Check
from starpod.errors import Unavailable
from starpod.memory import folders
from starpod.paths import Paths
from starpod.vault.cipher import Cipher
from starpod.vault.keyfile import KeyFile

RESTORE = "Stop the gateway and restore a backup; what is there is moved aside, not deleted."
NO_BACKUP = "Stop the gateway and run starpod restore with a backup: none is in .starpod/backups."
LATE_S = 60.0
"""How long a change may wait for the index of a running gateway."""
OLDEST_PLAUSIBLE = 1_735_689_600  # 2025, before there was a release
AHEAD_S = 300.0


def _restore(backups: Path) -> tuple[str, str | None]:
    """What to do about a database that is lost, and the command for it, with the newest archive of this agent."""
    archives = list(backups.glob("*.tar.gz"))
    if not archives:
        return NO_BACKUP, None
    newest = max(archives, key=lambda archive: archive.stat().st_mtime)
    return RESTORE, f"starpod restore {shlex.quote(f'.starpod/backups/{newest.name}')}"


def check_core(paths: Paths) -> tuple[CoreFacts | None, list[Check]]:
    """Whether core.db is whole and fits this program, and what it says."""
    path = paths.core_db
    if not path.exists():
        return None, [Check("database", "ok", "none yet; the first start makes it")]
    try:
        if path.stat().st_size and not is_database(path):
            cause = "core.db is no SQLite database"
            return None, [Check("database", "fail", cause, *_restore(paths.backups_dir), "database_foreign")]
        if (problem := facts_store.damage(path)) is not None:
            cause = f"core.db is damaged: {problem}"
            return None, [Check("database", "fail", cause, *_restore(paths.backups_dir), "database_damaged")]
        facts = facts_store.core_facts(path)
    except (Unavailable, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        cause = f"core.db cannot be read: {reason}"
        return None, [Check("database", "fail", cause, *_restore(paths.backups_dir), "database_unreadable")]
    newest = max(load_migrations())
    if facts.schema > newest:
        cause = f"core.db was written by a newer starpod (schema {facts.schema}, this one knows {newest})"
        fix, command = "Install the newer version again.", "pip install --upgrade starpod"
        return facts, [Check("database", "fail", cause, fix, command, "database_newer")]
    note = f"; the next start brings it from schema {facts.schema} to {newest}" if facts.schema < newest else ""
    return facts, [Check("database", "ok", f"core.db is whole{note}")]


def check_people(facts: CoreFacts, *, is_public: bool) -> Check:
    """Whether somebody can sign in."""
    if facts.users == 0:
        if is_public:
            return Check(
                "users", "fail", "nobody can sign in, and the address is not this machine's alone",
                "Start once on 127.0.0.1, which makes an admin; then use this address.", "starpod serve --host 127.0.0.1",
                "nobody_yet",
            )  # fmt: skip
        return Check("users", "ok", "nobody yet; the first start makes an admin")
    if facts.active_admins == 0:
        return Check(
            "users", "fail", "there is no active admin", "Let one in again.", "starpod users activate USER",
            "no_admin",
        )  # fmt: skip
    if facts.admins_with_key == 0:
        return Check(
            "users", "fail", "no admin has a key that works", "Make one.", "starpod keys create", "no_admin_key"
        )  # fmt: skip
    return Check("users", "ok", f"{facts.users} in all, {facts.active_admins} of them active admins")


def check_vault(db_dir: Path, environ: Mapping[str, str], facts: CoreFacts) -> tuple[Mapping[str, str], Check]:
    """The secrets that open, and whether all do."""
    try:
        key = KeyFile(db_dir, environ).read()
    except Unavailable as error:
        fix = "Do as it says; secrets cannot be used until then."
        return {}, Check("vault", "fail", str(error), fix, finding="vault_key_unusable")
    if not facts.sealed:
        return {}, Check("vault", "ok", "empty")
    rescue = "Put the right key back (.starpod/db/.vault_key of a backup, or STARPOD_VAULT_KEY), or delete the entries and save them anew."
    if key is None:
        return {}, Check("vault", "fail", "its key is missing", rescue, "starpod vault list", "vault_key_missing")
    cipher = Cipher(key)
    if facts.key_id is not None and cipher.key_id != facts.key_id:
        following = KeyFile(db_dir, environ).read_next()
        if following is not None and Cipher(following).key_id == facts.key_id:
            return {}, Check(
                "vault", "warn", "a rotation of its key was cut off", "Start the gateway: it ends the rotation.",
                finding="vault_rotation_cut",
            )  # fmt: skip
        cause = "the key is not the one it was sealed with"
        return {}, Check("vault", "fail", cause, rescue, "starpod vault list", "vault_key_wrong")
    opened = {name: cipher.open(name, nonce, sealed) for name, nonce, sealed in facts.sealed}
    values = {name: value for name, value in opened.items() if value is not None}
    if damaged := [name for name, value in opened.items() if value is None]:
        return values, Check(
            "vault", "warn", f"damaged: {', '.join(damaged)}", "Save these secrets again.", f"starpod vault set {damaged[0]}",
            "vault_entry_damaged",
        )  # fmt: skip
    return values, Check("vault", "ok", f"{len(values)} secrets, all readable")


def check_index(case: Case, facts: CoreFacts | None) -> Check:
    """Whether the index of memory is whole and knows what the files say."""
    path = case.paths.db_dir / "memory.db"
    rebuild = "Stop the gateway and delete it: it is built again from the files."
    delete = "rm .starpod/db/memory.db*"
    if not path.exists():
        return Check("memory index", "ok", "none yet; the next start builds it")
    try:
        if path.stat().st_size and not is_database(path):
            return Check("memory index", "warn", "memory.db is no SQLite database", rebuild, delete, "index_foreign")
        if (problem := facts_store.damage(path)) is not None:
            return Check("memory index", "warn", f"memory.db is damaged: {problem}", rebuild, delete, "index_damaged")
        known, last_message = facts_store.index_facts(path)
    except (Unavailable, OSError):
        return Check("memory index", "warn", "memory.db was made by another version", rebuild, delete, "index_unknown")
    late = 0
    places = folders.find_all(case.paths)
    for key, place in places.items():
        stamp = folders.stamp(place)
        if stamp is not None and stamp != known.get(key) and case.now - stamp[0] / 1e9 > LATE_S:
            late += 1
    late += len(known.keys() - places.keys())
    unread = max(0, facts.last_message_id - last_message) if facts is not None else 0
    if case.address is None:
        waiting = f"; {late} files and {unread} messages wait for the next start" if late or unread else ""
        return Check("memory index", "ok", f"{len(known)} files{waiting}")
    if late:
        return Check(
            "memory index", "warn", f"{late} files have changed and are not found yet", "Build it anew; searches go on meanwhile.",
            f'curl -X POST {case.address}/api/memory/reindex -H "X-API-Key: $STARPOD_API_KEY"', "index_late",
        )  # fmt: skip
    return Check("memory index", "ok", f"{len(known)} files, all up to date")


def check_outbox(case: Case, facts: CoreFacts) -> Check:
    """What did not reach people."""
    if facts.dead_deliveries:
        return Check(
            "outbox", "warn", f"{facts.dead_deliveries} messages to people were given up",
            "See why, and send them again (POST /api/outbox/ID/retry) or delete them.",
            f'curl {case.address or "http://127.0.0.1:3000"}/api/outbox -H "X-API-Key: $STARPOD_API_KEY"',
            "deliveries_dead",
        )  # fmt: skip
    return Check("outbox", "ok", f"{facts.waiting_deliveries} messages on their way")


def check_clock(case: Case, facts: CoreFacts | None) -> Check:
    """Whether the machine's time can be right."""
    cure = ("Set the machine's clock, best by NTP.", "sudo timedatectl set-ntp true")
    if case.now < OLDEST_PLAUSIBLE:
        cause = "the machine's clock stands before this program was written"
        return Check("clock", "fail", cause, *cure, "clock_early")
    if facts is not None and facts.newest_at is not None:
        try:
            ahead_s = parse_time(facts.newest_at).timestamp() - case.now
        except ValueError:
            ahead_s = 0.0
        if ahead_s > AHEAD_S:
            cause = f"the newest thing stored is {ahead_s / 60:.0f} minutes in the future: the clock was set back, or is wrong now"
            return Check("clock", "warn", cause, *cure, "clock_back")
    return Check("clock", "ok", "plausible")


def first_user_at(facts: CoreFacts | None) -> float | None:
    """When the agent began, in seconds since 1970."""
    if facts is None or facts.first_user_at is None:
        return None
    try:
        return parse_time(facts.first_user_at).timestamp()
    except ValueError:
        return None


def check_extra_databases(db_dir: Path) -> Iterator[Check]:
    """Other databases that can be made again."""
    path = db_dir / "vectors.db"
    if path.exists() and path.stat().st_size and (not is_database(path) or facts_store.damage(path)):
        yield Check(
            "memory by meaning", "warn", "vectors.db is damaged", "Stop the gateway and delete it: it is made again.",
            "rm .starpod/db/vectors.db*", "vectors_damaged",
        )  # fmt: skip
