"""Where an agent is found, where its files lie, and where shipped files lie."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from starpod.errors import NotFound
from starpod.paths import find_root, resolve_paths, shipped


def make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_an_agent_is_found_from_a_folder_below_it(tmp_path: Path) -> None:
    make(tmp_path / ".starpod" / "config" / "agent.toml")
    deep = tmp_path / "home" / "projects" / "one"
    deep.mkdir(parents=True)
    assert find_root(deep) == tmp_path


def test_the_nearest_of_nested_agents_is_found(tmp_path: Path) -> None:
    make(tmp_path / ".starpod" / "config" / "agent.toml")
    inner = tmp_path / "inner"
    make(inner / ".starpod" / "config" / "agent.toml")
    assert find_root(inner) == inner


def test_a_folder_without_agent_has_no_root(tmp_path: Path) -> None:
    (tmp_path / ".starpod").mkdir()
    assert find_root(tmp_path) is None


def test_a_relative_start_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / ".starpod" / "config" / "agent.toml")
    monkeypatch.chdir(tmp_path)
    assert find_root(Path()) == tmp_path


def test_the_older_place_of_the_settings_is_used_until_there_is_a_newer_one(tmp_path: Path) -> None:
    older = tmp_path / ".starpod" / "agent.toml"
    make(older)
    assert find_root(tmp_path) == tmp_path
    assert resolve_paths(tmp_path).agent_toml == older
    newer = tmp_path / ".starpod" / "config" / "agent.toml"
    make(newer)
    assert resolve_paths(tmp_path).agent_toml == newer


def test_a_folder_or_broken_link_named_agent_toml_still_marks_the_agent(tmp_path: Path) -> None:
    (tmp_path / "a" / ".starpod" / "config" / "agent.toml").mkdir(parents=True)
    assert find_root(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "b" / ".starpod" / "config").mkdir(parents=True)
    os.symlink("nowhere", tmp_path / "b" / ".starpod" / "config" / "agent.toml")
    assert find_root(tmp_path / "b") == tmp_path / "b"


def test_the_layout(tmp_path: Path) -> None:
    paths = resolve_paths(tmp_path)
    home = tmp_path / ".starpod"
    assert paths.agent_toml == home / "config" / "agent.toml"
    assert paths.core_db == home / "db" / "core.db"
    assert (paths.skills_dir, paths.users_dir) == (home / "skills", home / "users")
    assert paths.home_dir == paths.project_root == tmp_path / "home"
    assert not home.exists()


def test_the_shipped_templates_are_found_in_a_checkout() -> None:
    assert (shipped("conf") / "agent.toml").is_file()


def test_a_missing_shipped_folder_says_what_to_do() -> None:
    with pytest.raises(NotFound, match="install starpod again"):
        shipped("no-such-folder")


def test_the_shipped_templates_are_found_in_an_installation(tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "starpod"
    package.mkdir(parents=True)
    source = Path(__file__).parent.parent / "starpod"
    for name in ("__init__.py", "errors.py", "paths.py", "version.py"):
        (package / name).write_bytes((source / name).read_bytes())
    make(tmp_path / "site-packages" / "conf" / "of-somebody-else")
    make(tmp_path / "site-packages" / "share" / "starpod" / "conf" / "agent.toml")
    program = "from starpod.paths import shipped; print(shipped('conf'))"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site-packages")}
    # -P: not the checkout that the tests run in.
    found = subprocess.run(
        [sys.executable, "-P", "-c", program], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()) == tmp_path / "site-packages" / "share" / "starpod" / "conf"
