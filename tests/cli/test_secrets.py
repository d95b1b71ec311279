"""`starpod vault` on a real database; the command line runs in this process."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from starpod.cli import main
from starpod.paths import resolve_paths

SECRET = "sk-a-secret-of-some-length-4321"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the agent in `tmp_path` with this standard input; gives its exit code, stdout and stderr."""

    def run_command(*argv: str, given: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        code = main([*argv, "--dir", str(tmp_path)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    assert run_command("init")[0] == 0
    return run_command


def test_a_secret_is_kept_listed_and_deleted(run: Run) -> None:
    assert run("vault", "list") == (0, "", "")
    assert run("vault", "set", "OPENAI_API_KEY", given=f"{SECRET}\n") == (0, "kept OPENAI_API_KEY\n", "")
    assert run("vault", "set", "PIN", given="1234") == (0, "kept PIN\n", "")
    assert run("vault", "list") == (0, "OPENAI_API_KEY\t…4321\nPIN\tset\n", "")
    assert run("vault", "delete", "PIN") == (0, "deleted PIN\n", "")
    assert run("vault", "list") == (0, "OPENAI_API_KEY\t…4321\n", "")


def test_the_key_is_rotated(run: Run, tmp_path: Path) -> None:
    run("vault", "set", "OPENAI_API_KEY", given=SECRET)
    key_file = resolve_paths(tmp_path).db_dir / ".vault_key"
    before = key_file.read_bytes()
    assert run("vault", "rotate-key") == (0, "sealed 1 secret with a new key\n", "")
    assert key_file.read_bytes() != before
    assert run("vault", "list") == (0, "OPENAI_API_KEY\t…4321\n", "")


def test_what_cannot_be_done_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    for code, out, error in (
        run("vault", "set", "PATH", given="x"),
        run("vault", "set", "TOKEN", given="\n"),
        run("vault", "delete", "TOKEN"),
    ):
        assert (code, out, error.count("\n")) == (2, "", 1)
    run("vault", "set", "TOKEN", given="x")
    (resolve_paths(tmp_path).db_dir / ".vault_key").chmod(0o640)
    code, out, error = run("vault", "list")
    assert (code, out) == (2, "") and "chmod 600" in error
