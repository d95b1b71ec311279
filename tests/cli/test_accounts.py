"""`starpod users`, `starpod keys` and `starpod init` on a real database; the command line runs in this process."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

from starpod.auth.service import Auth
from starpod.auth.types import User
from starpod.cli import main
from starpod.clock import SystemClock
from starpod.db.database import Database
from starpod.db.migrate import migrate
from starpod.paths import resolve_paths

T = TypeVar("T")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command on the agent in `tmp_path`; gives its exit code, stdout and stderr."""

    def run_command(*argv: str) -> tuple[int, str, str]:
        code = main([*argv, "--dir", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    assert run_command("init")[0] == 0
    return run_command


@pytest.fixture
def admin(run: Run, tmp_path: Path) -> User:
    """The admin that a first start makes."""
    bootstrap = with_auth(tmp_path, lambda auth: auth.bootstrap({}))
    assert bootstrap is not None
    return bootstrap.user


def with_auth(folder: Path, work: Callable[[Auth], Coroutine[Any, Any, T]]) -> T:
    database = Database(resolve_paths(folder).core_db)
    try:
        migrate(database)
        return asyncio.run(work(Auth(database, SystemClock())))
    finally:
        database.close()


def test_init_makes_an_agent_and_never_a_second_one(tmp_path: Path, run: Run) -> None:
    assert resolve_paths(tmp_path).agent_toml.is_file()
    code, _, err = run("init")
    assert code == 2
    assert err.count("\n") == 1


def test_a_lost_admin_key_is_replaced(run: Run, admin: User, tmp_path: Path) -> None:
    code, out, _ = run("keys", "create", "--label", "new laptop")
    assert code == 0
    assert re.fullmatch(r"sp_live_[0-9a-f]{40}\n", out)
    assert with_auth(tmp_path, lambda auth: auth.authenticate(out.strip())) == admin


def test_a_revoked_key_opens_nothing(run: Run, admin: User, tmp_path: Path) -> None:
    key = run("keys", "create", "--label", "spare")[1].strip()
    listed = run("keys", "list")[1]
    assert key not in listed
    key_id = next(line.split("\t")[0] for line in listed.splitlines() if "spare" in line)
    assert run("keys", "revoke", key_id)[0] == 0
    assert with_auth(tmp_path, lambda auth: auth.authenticate(key)) is None


def test_a_user_is_added_shut_out_and_let_in_again(run: Run, admin: User, tmp_path: Path) -> None:
    code, user_id, _ = run("users", "add", "--name", "Ann", "--email", "ann@example.com")
    assert code == 0
    key = run("keys", "create", "ann@example.com")[1].strip()
    assert run("users", "deactivate", "Ann") == (0, "Ann is deactivated\n", "")
    assert with_auth(tmp_path, lambda auth: auth.authenticate(key)) is None
    assert run("users", "activate", user_id.strip()[:8])[0] == 0
    assert with_auth(tmp_path, lambda auth: auth.authenticate(key)) is not None
    rows = [line.split("\t") for line in run("users", "list")[1].splitlines()]
    assert [(row[1], row[3], row[4]) for row in rows] == [("Admin", "admin", "yes"), ("Ann", "user", "yes")]


@pytest.mark.parametrize(
    "argv",
    [
        ("users", "deactivate", "nobody"),
        ("users", "deactivate", "Admin"),
        ("users", "add"),
        ("keys", "revoke", "nothing"),
        ("keys", "create", "nobody"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(run: Run, admin: User, argv: tuple[str, ...]) -> None:
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_name_that_two_people_have_is_not_guessed(run: Run, admin: User) -> None:
    run("users", "add", "--name", "Ann")
    run("users", "add", "--name", "ann")
    code, _, err = run("keys", "create", "Ann")
    assert code == 2
    assert "2 users" in err


def test_a_database_that_is_none_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    path = resolve_paths(tmp_path).core_db
    path.write_bytes(b"this is no database at all, only some text" * 100)
    code, _, err = run("users", "list")
    assert code == 2
    assert err.count("\n") == 1
    assert path.read_bytes().startswith(b"this is no database")


def test_without_an_agent_the_commands_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["users", "list", "--dir", str(tmp_path)]) == 2
    assert "starpod init" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["nonsense"], ["chat"], ["users", "add", "--role", "king"], ["--nonsense"]])
def test_a_wrong_command_line_exits_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert "Traceback" not in capsys.readouterr().err
