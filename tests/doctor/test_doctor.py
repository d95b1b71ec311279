"""An agent is broken in each way the doctor knows, and the doctor says so."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from starpod.cli import main
from starpod.clock import SystemClock, format_time
from starpod.db.database import Database
from starpod.db.lock import GatewayLock
from starpod.doctor.service import examine
from starpod.doctor.types import Check, worst
from starpod.paths import Paths, resolve_paths
from starpod.vault.service import Vault
from tests.gateway import ADMIN_KEY, Gateway

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECRET = "provider-key-that-nobody-may-see"
Break = Callable[[Paths], None]


class At:
    """A clock that stands."""

    def __init__(self, moment: datetime = NOW) -> None:
        self.moment = moment

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return 0.0


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


def look(paths: Paths, *, moment: datetime | None = None, ask: bool = True) -> list[Check]:
    environ = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_proxy", "_PROXY"))}
    return examine(paths, environ, At(moment or datetime.now(UTC)), ask=ask)


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


BROKEN: list[tuple[Break, str, str, str]] = [
    (bad_toml, "config", "fail", "agent.toml, line"),
    (unknown_key, "config", "warn", "max_turnz"),
    (bad_frontend, "config", "warn", "greeting"),
    (bad_models, "config", "warn", "models.toml"),
    (bad_logging, "config", "fail", "logging.yaml, line"),
    (open_folder, "permissions", "warn", ".starpod/db"),
    (open_database, "permissions", "warn", "core.db"),
    (no_folder, "permissions", "fail", ".starpod/users cannot be written"),
    (foreign_database, "database", "fail", "no SQLite database"),
    (torn_database, "database", "fail", "damaged"),
    (newer_database, "database", "fail", "newer"),
    (torn_index, "memory index", "warn", "memory.db"),
    (torn_vectors, "memory by meaning", "warn", "damaged"),
    (no_admin, "users", "fail", "no active admin"),
    (no_key, "users", "fail", "key that works"),
    (nobody_yet_public, "users", "fail", "nobody can sign in"),
    (lost_vault_key, "vault", "fail", "missing"),
    (wrong_vault_key, "vault", "fail", "not the one"),
    (short_vault_key, "vault", "fail", "damaged"),
    (open_vault_key, "vault", "fail", "read by others"),
    (damaged_secret, "vault", "warn", "LOCAL_API_KEY"),
    (cut_rotation, "vault", "warn", "rotation"),
    (dead_delivery, "outbox", "warn", "given up"),
    (clock_set_back, "clock", "warn", "future"),
    (never_backed_up, "backup", "warn", "none"),
    (old_backup, "backup", "warn", "90 days"),
    (leftovers, "leftovers", "warn", "home.replaced-20260101-000000"),
    (no_provider_key, "model openai", "fail", "OPENAI_API_KEY"),
    (provider_off, "model openai", "fail", "switched off"),
    (provider_gone, "model local", "fail", "cannot be reached"),
    (stand_in_without_key, "model groq", "warn", "GROQ_API_KEY"),
    (no_telegram_token, "telegram", "fail", "TELEGRAM_BOT_TOKEN"),
    (telegram_gone, "telegram", "fail", "cannot be reached"),
]


@pytest.mark.parametrize(("spoil", "name", "state", "part"), BROKEN, ids=[each[0].__name__ for each in BROKEN])
def test_what_is_broken_is_told_with_its_cure(paths: Paths, spoil: Break, name: str, state: str, part: str) -> None:
    spoil(paths)
    before = sorted((str(path), path.read_bytes()) for path in paths.config_dir.rglob("*") if path.is_file())
    checks = look(paths)
    (found,) = [check for check in checks if check.name == name and check.state != "ok" and part in check.cause]
    assert found.state == state
    assert found.fix
    assert SECRET not in str(checks)
    assert str(paths.instance_root) not in str(checks)
    assert sorted((str(path), path.read_bytes()) for path in paths.config_dir.rglob("*") if path.is_file()) == before


@pytest.mark.parametrize(
    ("status", "state", "part"),
    [(200, "ok", "takes the key"), (404, "ok", "answers"), (401, "fail", "LOCAL_API_KEY"), (503, "warn", "503"), (429, "warn", "429")],
)  # fmt: skip
def test_a_providers_answer_is_judged(paths: Paths, status: int, state: str, part: str) -> None:
    with answering(status) as url:
        provider(paths, url)
        (found,) = [check for check in look(paths) if check.name == "model local"]
    assert (found.state, part in found.cause) == (state, True)


@pytest.mark.parametrize(("status", "state"), [(200, "ok"), (401, "fail"), (500, "warn")])
def test_the_bots_token_is_tried(paths: Paths, status: int, state: str) -> None:
    set_secret(paths.instance_root, "TELEGRAM_BOT_TOKEN", "123:" + SECRET)
    with answering(status) as url:
        configure(paths, f'models = ["offline/assistant"]\n[channels.telegram]\nenabled = true\napi_url = "{url}"\n')
        checks = look(paths)
    (found,) = [check for check in checks if check.name == "telegram"]
    assert found.state == state
    assert SECRET not in str(checks)


def test_a_clock_that_differs_from_the_providers_is_told(paths: Paths) -> None:
    with answering(200, date="Mon, 01 Jun 2026 12:00:00 GMT") as url:
        provider(paths, url)
        assert [c.state for c in look(paths, moment=NOW) if c.name == "model local"] == ["ok"]
        (found,) = [c for c in look(paths, moment=NOW + timedelta(minutes=10)) if c.name == "model local"]
    assert (found.state, "600 s" in found.cause) == ("warn", True)


def test_a_clock_before_all_releases_is_told(paths: Paths) -> None:
    (found,) = [check for check in look(paths, moment=datetime(1970, 1, 2, tzinfo=UTC)) if check.name == "clock"]
    assert found.state == "fail"


def test_a_taken_port_is_told(paths: Paths) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        configure(paths, f'models = ["offline/assistant"]\nserver_addr = "127.0.0.1:{other.getsockname()[1]}"\n')
        (found,) = [check for check in look(paths) if check.name == "port"]
    assert found.state == "fail"


def test_a_gateway_that_does_not_answer_is_told(paths: Paths) -> None:
    lock = GatewayLock(paths.db_dir)
    lock.acquire()
    try:
        lock.announce(f"http://127.0.0.1:{free_port()}")
        (found,) = [check for check in look(paths) if check.name == "port"]
    finally:
        lock.release()
    assert (found.state, "does not answer" in found.cause) == ("fail", True)


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
    assert {"name", "state", "cause", "fix", "command"} == set(report["checks"][0])
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
