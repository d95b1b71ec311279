"""An agent is broken in each way the doctor knows, and the doctor says so."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, get_args

import pytest

import starpod
import starpod.doctor
from starpod.cli import main
from starpod.clock import SystemClock, format_time
from starpod.db.database import Database
from starpod.db.lock import GatewayLock
from starpod.doctor.machine import Machine, Room
from starpod.doctor.service import examine
from starpod.doctor.types import Check, Finding, worst
from starpod.paths import Paths, resolve_paths
from starpod.vault.service import Vault
from tests.gateway import ADMIN_KEY, Gateway

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECRET = "provider-key-that-nobody-may-see"
Break = Callable[[Paths], object]
"""Breaks an agent; the moment or the machine that it leaves is the one it is looked at with. A generator mends what is outside."""


class At:
    """A clock that stands."""

    def __init__(self, moment: datetime = NOW) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


@dataclass(frozen=True)
class Another:
    """A machine in a state that this one is not in."""

    free_bytes: int = 50_000_000_000
    files: int | None = None
    zone: str | None = "Europe/Berlin"
    asked: str = ""

    def room(self, folder: Path) -> Room:
        return Room(self.free_bytes, self.files)

    def zone_name(self) -> str | None:
        return self.zone

    def zone_asked(self) -> str:
        return self.asked


class Without(MetaPathFinder):
    """An import path on which a module is not found."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, fullname: str, path: Any, target: object = None) -> None:
        if f"{fullname}.".startswith(f"{self.name}."):
            raise ModuleNotFoundError(fullname, name=fullname)


@contextmanager
def broken(paths: Paths, spoil: Break) -> Iterator[object]:
    found = spoil(paths)
    if isinstance(found, Generator):
        try:
            yield next(found)
        finally:
            found.close()
    else:
        yield found


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A healthy agent, made as a person would: a user with a key, a secret in the vault, a backup of today."""
    root = tmp_path / "agent"
    assert main(["init", "--dir", str(root)]) == 0
    assert main(["users", "add", "--name", "Ada", "--role", "admin", "--dir", str(root)]) == 0
    assert main(["keys", "create", "Ada", "--dir", str(root)]) == 0
    set_secret(root, "LOCAL_API_KEY", SECRET)
    found = resolve_paths(root)
    found.core_db.chmod(0o600)
    configure(found, f'models = ["offline/assistant"]\nserver_addr = "127.0.0.1:{free_port()}"\n')
    return found


def set_secret(root: Path, name: str, value: str) -> None:
    database = Database(resolve_paths(root).core_db)

    async def keep() -> None:
        vault = Vault(database, resolve_paths(root).db_dir, {}, SystemClock())
        await vault.open()
        await vault.set(name, value)

    try:
        asyncio.run(keep())
    finally:
        database.close()


def configure(paths: Paths, text: str) -> None:
    paths.agent_toml.write_text(text)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def look(
    paths: Paths, *, moment: datetime | None = None, ask: bool = True, machine: Machine | None = None
) -> list[Check]:
    environ = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_proxy", "_PROXY"))}
    return examine(paths, environ, At(moment or datetime.now(UTC)), ask=ask, machine=machine)


def core(paths: Paths, *statements: str) -> None:
    with closing(sqlite3.connect(paths.core_db)) as database, database:
        for statement in statements:
            database.execute(statement)


def age(path: Path, days: float) -> None:
    then = datetime.now(UTC).timestamp() - days * 86_400
    os.utime(path, (then, then))


@contextmanager
def answering(status: int, *, date: str | None = None) -> Iterator[str]:
    """A server that answers everything with one status; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status)
            if date is not None:
                self.send_header("Date", date)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def provider(paths: Paths, url: str, *more: str) -> None:
    models = ", ".join(f'"{spec}"' for spec in ("local/m", *more))
    configure(paths, f'models = [{models}]\n[providers.local]\nbase_url = "{url}/v1"\n')


def test_a_healthy_agent_has_nothing_to_mend(paths: Paths) -> None:
    checks = look(paths)
    assert [check for check in checks if check.state != "ok"] == []
    assert all(check.fix is None and check.command is None for check in checks)


def bad_toml(paths: Paths) -> None:
    configure(paths, "models = [\n")


def unknown_key(paths: Paths) -> None:
    configure(paths, "max_turnz = 3\n")


def bad_frontend(paths: Paths) -> None:
    (paths.config_dir / "frontend.toml").write_text("greeting = 3\n")


def bad_models(paths: Paths) -> None:
    (paths.config_dir / "models.toml").write_text("[openai\n")


def bad_logging(paths: Paths) -> None:
    (paths.config_dir / "logging.yaml").write_text("handlers: [\n")


def open_folder(paths: Paths) -> None:
    paths.db_dir.chmod(0o755)


def open_database(paths: Paths) -> None:
    paths.core_db.chmod(0o644)


def no_folder(paths: Paths) -> None:
    shutil.rmtree(paths.users_dir)
    paths.users_dir.write_text("a file in its place")


def foreign_database(paths: Paths) -> None:
    paths.core_db.write_bytes(b"this is a letter, not a database" * 100)


def torn_database(paths: Paths) -> None:
    content = bytearray(paths.core_db.read_bytes())
    content[4096 * 3 : 4096 * 40] = b"\xa5" * (4096 * 37)
    paths.core_db.write_bytes(bytes(content))
    for name in ("core.db-wal", "core.db-shm"):
        (paths.db_dir / name).unlink(missing_ok=True)


def newer_database(paths: Paths) -> None:
    core(paths, "INSERT INTO schema_version (number) VALUES (9999)")


def torn_index(paths: Paths) -> None:
    (paths.db_dir / "memory.db").write_bytes(b"nonsense" * 1000)


def torn_vectors(paths: Paths) -> None:
    (paths.db_dir / "vectors.db").write_bytes(b"nonsense" * 1000)


def no_admin(paths: Paths) -> None:
    core(paths, "UPDATE users SET is_active = 0")


def no_key(paths: Paths) -> None:
    core(paths, "UPDATE api_keys SET revoked_at = '2026-01-01T00:00:00.000000+00:00'")


def nobody_yet_public(paths: Paths) -> None:
    core(paths, "DELETE FROM users")
    configure(paths, 'models = ["offline/assistant"]\nserver_addr = "0.0.0.0:0"\n'.replace(":0", f":{free_port()}"))


def lost_vault_key(paths: Paths) -> None:
    (paths.db_dir / ".vault_key").unlink()


def wrong_vault_key(paths: Paths) -> None:
    (paths.db_dir / ".vault_key").write_bytes(bytes(32))


def short_vault_key(paths: Paths) -> None:
    (paths.db_dir / ".vault_key").write_bytes(b"short")


def open_vault_key(paths: Paths) -> None:
    (paths.db_dir / ".vault_key").chmod(0o644)


def damaged_secret(paths: Paths) -> None:
    core(paths, "UPDATE vault_entries SET sealed = x'00'")


def cut_rotation(paths: Paths) -> None:
    key = paths.db_dir / ".vault_key"
    key.rename(paths.db_dir / ".vault_key.new")
    key.write_bytes(bytes(32))
    key.chmod(0o600)


def dead_delivery(paths: Paths) -> None:
    core(
        paths,
        "INSERT INTO outbox (channel, user_id, title, text, source, state, created_at, next_attempt_at) "
        "SELECT 'telegram', id, '', 'x', 's', 'dead', 0, 0 FROM users",
    )


def clock_set_back(paths: Paths) -> None:
    future = format_time(datetime.now(UTC) + timedelta(days=2))
    core(paths, f"INSERT INTO auth_audit_log (event_type, created_at) VALUES ('login_ok', '{future}')")


def never_backed_up(paths: Paths) -> None:
    core(paths, "UPDATE users SET created_at = '2025-01-01T00:00:00.000000+00:00'")


def old_backup(paths: Paths) -> None:
    never_backed_up(paths)
    (paths.agent_home / "backups").mkdir(mode=0o700)
    archive = paths.agent_home / "backups" / "starpod-old.tar.gz"
    archive.write_bytes(b"")
    age(archive, 90)


def leftovers(paths: Paths) -> None:
    copy = paths.db_dir / "core.db.before-0013"
    copy.write_bytes(b"")
    age(copy, 3)
    aside = paths.instance_root / "home.replaced-20260101-000000"
    aside.mkdir()
    age(aside, 3)


def no_provider_key(paths: Paths) -> None:
    configure(paths, 'models = ["openai/gpt-5-mini"]\n')


def provider_off(paths: Paths) -> None:
    configure(paths, 'models = ["openai/gpt-5-mini"]\n[providers.openai]\nenabled = false\n')


def provider_gone(paths: Paths) -> None:
    provider(paths, f"http://127.0.0.1:{free_port()}")


def stand_in_without_key(paths: Paths) -> None:
    configure(paths, 'models = ["offline/assistant", "groq/llama-3.3-70b-versatile"]\n')


def no_telegram_token(paths: Paths) -> None:
    configure(paths, 'models = ["offline/assistant"]\n[channels.telegram]\nenabled = true\n')


def telegram_gone(paths: Paths) -> None:
    set_secret(paths.instance_root, "TELEGRAM_BOT_TOKEN", "123:" + SECRET)
    url = f"http://127.0.0.1:{free_port()}"
    configure(paths, f'models = ["offline/assistant"]\n[channels.telegram]\nenabled = true\napi_url = "{url}"\n')


def unreadable_database(paths: Paths) -> None:
    core(paths, "ALTER TABLE users RENAME COLUMN role TO part")


def index_of_another_version(paths: Paths) -> None:
    with closing(sqlite3.connect(paths.db_dir / "memory.db")) as database, database:
        database.execute("CREATE TABLE something_else (x)")


def damaged_index(paths: Paths) -> None:
    with closing(sqlite3.connect(paths.db_dir / "memory.db")) as database, database:
        database.execute("CREATE TABLE source (x)")
        database.executemany("INSERT INTO source VALUES (?)", [("x" * 1000,)] * 400)
    content = bytearray((paths.db_dir / "memory.db").read_bytes())
    content[4096 * 3 : 4096 * 40] = b"\xa5" * (4096 * 37)
    (paths.db_dir / "memory.db").write_bytes(bytes(content))


def endless_link(paths: Paths) -> None:
    (paths.agent_home / "backups").mkdir(mode=0o700)
    link = paths.agent_home / "backups" / "newest.tar.gz"
    link.symlink_to(link.name)


def clock_before_all_releases(paths: Paths) -> datetime:
    return datetime(1970, 1, 2, tzinfo=UTC)


def taken_port(paths: Paths) -> Iterator[None]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        configure(paths, f'models = ["offline/assistant"]\nserver_addr = "127.0.0.1:{other.getsockname()[1]}"\n')
        yield


def silent_gateway(paths: Paths) -> Iterator[None]:
    lock = GatewayLock(paths.db_dir)
    lock.acquire()
    try:
        lock.announce(f"http://127.0.0.1:{free_port()}")
        yield
    finally:
        lock.release()


def late_index(paths: Paths) -> Iterator[None]:
    """A gateway runs, and its index has not seen a file that changed long ago."""
    with closing(sqlite3.connect(paths.db_dir / "memory.db")) as database, database:
        database.executescript(
            "CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT);"
            "CREATE TABLE source (owner_id INTEGER, name TEXT, mtime_ns INTEGER, size_bytes INTEGER);"
            "CREATE TABLE setting (name TEXT, value TEXT);"
        )
    age(paths.config_dir / "SOUL.md", 1)
    yield from silent_gateway(paths)


def provider_that_refuses(paths: Paths) -> Iterator[None]:
    with answering(401) as url:
        provider(paths, url)
        yield


def provider_in_trouble(paths: Paths) -> Iterator[None]:
    with answering(503) as url:
        provider(paths, url)
        yield


def provider_of_another_time(paths: Paths) -> Iterator[datetime]:
    with answering(200, date=format_datetime(NOW, usegmt=True)) as url:
        provider(paths, url)
        yield NOW + timedelta(minutes=10)


def bot_that_is_refused(paths: Paths) -> Iterator[None]:
    yield from bot_answered(paths, 401)


def bot_in_trouble(paths: Paths) -> Iterator[None]:
    yield from bot_answered(paths, 500)


def bot_answered(paths: Paths, status: int) -> Iterator[None]:
    set_secret(paths.instance_root, "TELEGRAM_BOT_TOKEN", "123:" + SECRET)
    with answering(status) as url:
        configure(paths, f'models = ["offline/assistant"]\n[channels.telegram]\nenabled = true\napi_url = "{url}"\n')
        yield


def full_disk(paths: Paths) -> Another:
    return Another(free_bytes=5_000_000)


def no_more_files(paths: Paths) -> Another:
    return Another(files=10)


def low_disk(paths: Paths) -> Another:
    return Another(free_bytes=500_000_000)


def no_zone(paths: Paths) -> Another:
    return Another(zone=None)


def unknown_zone(paths: Paths) -> Another:
    return Another(zone="Atlantis/Capital")


def zone_that_is_none(paths: Paths) -> Another:
    return Another(asked=":Atlantis/Capital")


def missing_extra_gemini(paths: Paths) -> Iterator[None]:
    yield from without_module(paths, "gemini/gemini-3-flash", "google.genai")


def missing_extra_vertex(paths: Paths) -> Iterator[None]:
    yield from without_module(paths, "vertex/gemini-3-flash", "google.auth")


def missing_extra_bedrock(paths: Paths) -> Iterator[None]:
    yield from without_module(paths, "bedrock/anthropic.claude-sonnet-4-5", "boto3")


def without_module(paths: Paths, model: str, module: str) -> Iterator[None]:
    configure(paths, f'models = ["{model}"]\n')
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{module}.")]:
            patch.delitem(sys.modules, name)
        patch.setattr(sys, "meta_path", [Without(module), *sys.meta_path])
        yield


def no_bubblewrap(paths: Paths) -> Iterator[None]:
    yield from without_programs(paths, "auto")


def no_bubblewrap_where_it_must_be(paths: Paths) -> Iterator[None]:
    yield from without_programs(paths, "required")


def without_programs(paths: Paths, sandbox: str) -> Iterator[None]:
    configure(paths, f'models = ["offline/assistant"]\n[tools]\nshell = true\nshell_sandbox = "{sandbox}"\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(paths.users_dir))
        yield


BROKEN: list[tuple[Break, Finding, str, str, str]] = [
    (bad_toml, "config_invalid", "config", "fail", "agent.toml, line"),
    (unknown_key, "config_warning", "config", "warn", "max_turnz"),
    (bad_frontend, "frontend_invalid", "config", "warn", "greeting"),
    (bad_models, "models_invalid", "config", "warn", "models.toml"),
    (bad_logging, "logging_invalid", "config", "fail", "logging.yaml, line"),
    (open_folder, "open_to_others", "permissions", "warn", ".starpod/db"),
    (open_database, "open_to_others", "permissions", "warn", "core.db"),
    (no_folder, "not_writable", "permissions", "fail", ".starpod/users cannot be written"),
    (endless_link, "unreadable", "files", "fail", "cannot be read"),
    (full_disk, "disk_full", "disk", "fail", "the disk is full: 0.0 GB"),
    (no_more_files, "disk_full", "disk", "fail", "10 more files"),
    (low_disk, "disk_low", "disk", "warn", "0.5 GB are free"),
    (no_zone, "time_zone_unknown", "time zone", "warn", "cannot be told"),
    (unknown_zone, "time_zone_unknown", "time zone", "warn", "cannot be told"),
    (zone_that_is_none, "time_zone_ignored", "time zone", "warn", "TZ=Atlantis/Capital"),
    (missing_extra_gemini, "extra_missing", "installation", "fail", "library for gemini"),
    (missing_extra_vertex, "extra_missing", "installation", "fail", "library for vertex"),
    (missing_extra_bedrock, "extra_missing", "installation", "fail", "library for bedrock"),
    (no_bubblewrap, "sandbox_missing", "shell", "warn", "commands can read"),
    (no_bubblewrap_where_it_must_be, "sandbox_missing", "shell", "fail", "no command is run"),
    (foreign_database, "database_foreign", "database", "fail", "no SQLite database"),
    (torn_database, "database_damaged", "database", "fail", "damaged"),
    (newer_database, "database_newer", "database", "fail", "newer"),
    (unreadable_database, "database_unreadable", "database", "fail", "cannot be read"),
    (torn_index, "index_foreign", "memory index", "warn", "no SQLite database"),
    (damaged_index, "index_damaged", "memory index", "warn", "damaged"),
    (index_of_another_version, "index_unknown", "memory index", "warn", "another version"),
    (late_index, "index_late", "memory index", "warn", "not found yet"),
    (torn_vectors, "vectors_damaged", "memory by meaning", "warn", "damaged"),
    (no_admin, "no_admin", "users", "fail", "no active admin"),
    (no_key, "no_admin_key", "users", "fail", "key that works"),
    (nobody_yet_public, "nobody_yet", "users", "fail", "nobody can sign in"),
    (lost_vault_key, "vault_key_missing", "vault", "fail", "missing"),
    (wrong_vault_key, "vault_key_wrong", "vault", "fail", "not the one"),
    (short_vault_key, "vault_key_unusable", "vault", "fail", "damaged"),
    (open_vault_key, "vault_key_unusable", "vault", "fail", "read by others"),
    (damaged_secret, "vault_entry_damaged", "vault", "warn", "LOCAL_API_KEY"),
    (cut_rotation, "vault_rotation_cut", "vault", "warn", "rotation"),
    (dead_delivery, "deliveries_dead", "outbox", "warn", "given up"),
    (clock_set_back, "clock_back", "clock", "warn", "future"),
    (clock_before_all_releases, "clock_early", "clock", "fail", "before this program"),
    (never_backed_up, "backup_due", "backup", "warn", "none"),
    (old_backup, "backup_due", "backup", "warn", "90 days"),
    (leftovers, "leftovers", "leftovers", "warn", "home.replaced-20260101-000000"),
    (taken_port, "port_taken", "port", "fail", "cannot be listened on"),
    (silent_gateway, "port_silent", "port", "fail", "does not answer"),
    (no_provider_key, "model_no_key", "model openai", "fail", "OPENAI_API_KEY"),
    (provider_off, "model_off", "model openai", "fail", "switched off"),
    (provider_gone, "model_unreachable", "model local", "fail", "cannot be reached"),
    (provider_that_refuses, "model_refused", "model local", "fail", "LOCAL_API_KEY"),
    (provider_in_trouble, "model_failing", "model local", "warn", "503"),
    (provider_of_another_time, "clock_differs", "model local", "warn", "600 s"),
    (stand_in_without_key, "model_no_key", "model groq", "warn", "GROQ_API_KEY"),
    (no_telegram_token, "telegram_no_token", "telegram", "fail", "TELEGRAM_BOT_TOKEN"),
    (telegram_gone, "telegram_unreachable", "telegram", "fail", "cannot be reached"),
    (bot_that_is_refused, "telegram_refused", "telegram", "fail", "refuses the token"),
    (bot_in_trouble, "telegram_failing", "telegram", "warn", "500"),
]
TRIED_ELSEWHERE: set[Finding] = {"ui_missing"}
"""By `test_an_installation_without_its_pages_is_told`, which needs a process of its own."""


@pytest.mark.parametrize(
    ("spoil", "finding", "name", "state", "part"), BROKEN, ids=[each[0].__name__ for each in BROKEN]
)
def test_what_is_broken_is_told_with_its_cure(
    paths: Paths, spoil: Break, finding: Finding, name: str, state: str, part: str
) -> None:
    with broken(paths, spoil) as what:
        before = sorted((str(path), path.read_bytes()) for path in paths.config_dir.rglob("*") if path.is_file())
        checks = look(
            paths,
            moment=what if isinstance(what, datetime) else None,
            machine=what if isinstance(what, Another) else None,
        )
    (found,) = [check for check in checks if check.finding == finding and part in check.cause]
    assert (found.name, found.state) == (name, state)
    assert found.fix
    assert SECRET not in str(checks)
    assert str(paths.instance_root) not in str(checks)
    assert sorted((str(path), path.read_bytes()) for path in paths.config_dir.rglob("*") if path.is_file()) == before


def test_an_agent_is_broken_in_each_way_that_the_doctor_knows() -> None:
    assert {finding for _, finding, *_ in BROKEN} | TRIED_ELSEWHERE == set(get_args(Finding))


def test_every_finding_is_made_in_one_place() -> None:
    """A name of its own for each, so that none can go untried behind another's test."""
    made: list[object] = []
    for path in sorted(Path(starpod.doctor.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Check":
                said = [each.value for each in node.keywords if each.arg == "finding"] or node.args[-1:]
                is_well = isinstance(node.args[1], ast.Constant) and node.args[1].value == "ok"
                made += [] if is_well else [each.value if isinstance(each, ast.Constant) else None for each in said]
    assert sorted(made) == sorted(get_args(Finding))


def test_the_documentation_names_every_finding() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "pages" / "operations.md").read_text()
    assert [finding for finding in get_args(Finding) if f"`{finding}`" not in page] == []


def test_no_command_is_named_where_no_backup_is(paths: Paths) -> None:
    torn_database(paths)
    (found,) = [check for check in look(paths) if check.finding == "database_damaged"]
    assert found.command is None and "none is in .starpod/backups" in str(found.fix)


def test_the_command_for_a_lost_database_brings_it_back(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(paths.instance_root)
    run = [sys.executable, "-m", "starpod"]
    subprocess.run([*run, "backup"], check=True, capture_output=True)
    foreign_database(paths)
    (found,) = [check for check in look(paths) if check.finding == "database_foreign"]
    assert found.command
    program, *arguments = shlex.split(found.command)
    assert program == "starpod"
    subprocess.run([*run, *arguments], check=True, capture_output=True)
    assert [check.state for check in look(paths) if check.name == "database"] == ["ok"]


def test_an_installation_without_its_pages_is_told(paths: Paths, tmp_path: Path) -> None:
    """The program without `static/dist` beside it, in an environment where nobody installed it."""
    shutil.copytree(
        Path(starpod.__file__).parent, tmp_path / "bare" / "starpod", ignore=shutil.ignore_patterns("*.pyc")
    )
    (tmp_path / "home").mkdir()
    libraries = os.pathsep.join(path for path in sys.path if path.endswith(("site-packages", "dist-packages")))
    done = subprocess.run(
        [sys.executable, "-S", "-m", "starpod", "doctor", "--json", "--offline", "--dir", str(paths.instance_root)],
        cwd=tmp_path / "bare",
        env={"PYTHONPATH": libraries, "PATH": os.environ["PATH"], "PYTHONUSERBASE": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    (found,) = [check for check in json.loads(done.stdout)["checks"] if check["finding"] == "ui_missing"]
    assert (found["name"], found["state"], "not built" in found["cause"]) == ("installation", "warn", True)


@pytest.mark.parametrize(("options", "part"), [("size=20m", "GB are free"), ("size=1g,nr_inodes=500", "more files")])
def test_a_disk_that_is_really_full_is_told(paths: Paths, tmp_path: Path, options: str, part: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        shutil.copytree(paths.instance_root, disk / "agent")
        (found,) = [check for check in look(resolve_paths(disk / "agent")) if check.name == "disk"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert (found.finding, found.state, part in found.cause) == ("disk_full", "fail", True)


@pytest.mark.parametrize(
    ("zone", "state"), [("Nowhere/Land", "warn"), (":/nowhere", "warn"), ("Europe/Berlin", "ok"), (":Asia/Tokyo", "ok")]
)
def test_a_variable_that_names_no_zone_is_told(paths: Paths, zone: str, state: str) -> None:
    """In a process of its own, as the zone of a process is asked for once."""
    done = subprocess.run(
        [sys.executable, "-m", "starpod", "doctor", "--json", "--offline", "--dir", str(paths.instance_root)],
        env={**os.environ, "TZ": zone},
        capture_output=True,
        text=True,
        check=False,
    )
    (found,) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "time zone"]
    assert (found["state"], zone.removeprefix(":") in found["cause"]) == (state, True)


@pytest.mark.parametrize(
    ("status", "state", "part"), [(200, "ok", "takes the key"), (404, "ok", "answers"), (429, "warn", "429")]
)
def test_a_providers_answer_is_judged(paths: Paths, status: int, state: str, part: str) -> None:
    with answering(status) as url:
        provider(paths, url)
        (found,) = [check for check in look(paths) if check.name == "model local"]
    assert (found.state, part in found.cause) == (state, True)


def test_a_bot_whose_token_works_is_well(paths: Paths) -> None:
    with contextmanager(bot_answered)(paths, 200):
        checks = look(paths)
    assert [check.state for check in checks if check.name == "telegram"] == ["ok"]
    assert SECRET not in str(checks)


def test_a_clock_that_agrees_with_the_providers_is_well(paths: Paths) -> None:
    with answering(200, date=format_datetime(NOW, usegmt=True)) as url:
        provider(paths, url)
        assert [check.state for check in look(paths, moment=NOW) if check.name == "model local"] == ["ok"]


def test_offline_asks_nobody(paths: Paths) -> None:
    provider(paths, f"http://127.0.0.1:{free_port()}")
    (found,) = [check for check in look(paths, ask=False) if check.name == "model local"]
    assert (found.state, "not tried" in found.cause) == ("ok", True)


def test_the_command_prints_text_and_json_and_its_status_tells(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    folder = ["--offline", "--dir", str(paths.instance_root)]
    assert main(["doctor", *folder]) == 0
    assert "ok   database: core.db is whole" in capsys.readouterr().out
    lost_vault_key(paths)
    assert main(["doctor", *folder]) == 1
    text = capsys.readouterr().out
    assert "fail vault: its key is missing" in text
    assert "$ starpod vault list" in text
    assert main(["doctor", "--json", *folder]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["status"] == "fail"
    assert {"name", "state", "cause", "fix", "command", "finding"} == set(report["checks"][0])
    assert main(["doctor", "--dir", str(paths.instance_root.parent)]) == 2


@pytest.mark.gen_test
async def test_admins_see_it_over_http_and_others_do_not(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        assert (await gateway.client(key).get("/api/doctor")).status_code == 403
        assert (await gateway.client().get("/api/doctor")).status_code == 401
        answer = await gateway.http.get("/api/doctor", params={"offline": "true"})
        assert answer.status_code == 200
        by_name = {check["name"]: check for check in answer.json()["checks"]}
        assert by_name["port"]["state"] == by_name["database"]["state"] == "ok"
        assert str(tmp_path) not in answer.text
        assert ADMIN_KEY not in answer.text


@pytest.mark.gen_test
async def test_files_that_a_running_gateway_does_not_find_are_told(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await gateway.state.memory_index.ready()
        with closing(sqlite3.connect(gateway.state.paths.db_dir / "memory.db", timeout=10)) as index, index:
            index.execute("UPDATE source SET mtime_ns = 1, size_bytes = 1 WHERE mtime_ns > 0")
        soul = gateway.state.paths.config_dir / "SOUL.md"
        age(soul, 0.1)
        answer = await gateway.http.get("/api/doctor", params={"offline": "true"})
        (found,) = [check for check in answer.json()["checks"] if check["name"] == "memory index"]
        assert (found["state"], "not found yet" in found["cause"]) == ("warn", True)


def test_the_whole_is_as_bad_as_its_worst_part() -> None:
    assert worst([]) == "ok"
    assert worst([Check("a", "ok", ""), Check("b", "warn", "")]) == "warn"
    assert worst([Check("a", "fail", ""), Check("b", "warn", "")]) == "fail"
