"""What a wheel holds, and that a program installed from it finds its files away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import starpod

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a copy of what git would check out, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(copy_of_the_sources(folder)))
    return next(folder.glob("starpod-*.whl"))


def copy_of_the_sources(folder: Path) -> Path:
    """Building in place would leave `build/` and stale files behind."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    copy = folder / "source"
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    return copy


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_wheel_ships_code_settings_and_the_page(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shared = f"starpod-{starpod.__version__}.data/data/share/starpod"
    assert f"{shared}/conf/agent.toml" in names
    assert any(name.startswith(f"{shared}/static/") for name in names)
    assert "starpod/py.typed" in names
    assert "starpod/db/migrations/m0001_initial.py" in names
    assert "handlers/__init__.py" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


def test_an_installed_program_finds_what_was_shipped(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    pip("install", "--no-deps", "--target", str(target), str(wheel))
    code = "import starpod.paths as p; print(p.__file__); print(p.shipped('conf')); print(p.shipped('static'))"
    environ = os.environ | {"PYTHONPATH": str(target)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    places = [Path(line) for line in done.stdout.splitlines()]
    assert [place.is_relative_to(target) for place in places] == [True, True, True]
    assert (places[1] / "agent.toml").is_file()
