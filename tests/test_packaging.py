"""What sdist and wheel hold, and that a program installed from the wheel alone, away from the checkout, serves page and documentation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import time
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

import starpod

ROOT = Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what `python -m build` makes of what git would check out: the sdist, and from it the wheel, each in isolation."""
    folder = tmp_path_factory.mktemp("built")
    source = copy_of_the_sources(folder)
    run(sys.executable, "-m", "build", "--outdir", str(folder), str(source))
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("starpod-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment in which nothing but the wheel, and what it asks for, was installed."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    run(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel))
    return folder / "bin"


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


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_wheel_ships_code_settings_page_and_documentation(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shared = f"starpod-{starpod.__version__}.data/data/share/starpod"
    assert f"{shared}/conf/agent.toml" in names
    assert f"{shared}/static/index.html" in names and f"{shared}/static/assets/licenses.txt" in names
    assert (
        f"{shared}/docs/quickstart.html" in names
        and f"{shared}/docs/fonts/jetbrains-mono-latin-wght-normal.woff2" in names
    )
    assert "starpod/py.typed" in names
    assert "starpod/db/migrations/m0001_initial.py" in names
    assert "handlers/__init__.py" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]


def test_the_sdist_holds_the_sources_and_no_dependencies(built: Path) -> None:
    with tarfile.open(next(built.glob("starpod-*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "setup.py",
        "static/package-lock.json",
        "static/src/main.tsx",
        "docs/pages/quickstart.md",
        "LICENSE",
    } <= names
    assert not [name for name in names if "node_modules/" in name or name.startswith((".venv", ".starpod"))]


def test_what_is_shipped_built_names_its_licences(wheel: Path) -> None:
    shared = f"starpod-{starpod.__version__}.data/data/share/starpod"
    with zipfile.ZipFile(wheel) as archive:
        notices = archive.read(f"{shared}/static/assets/licenses.txt").decode()
        assert "mkdocs-material" in archive.read(f"{shared}/docs/licenses.html").decode()
    for name in ("preact", "marked", "lowlight", "highlight.js", "@fontsource-variable/hanken-grotesk"):
        assert re.search(rf"^{re.escape(name)} [\d.]+ \(", notices, re.MULTILINE), name
    assert "Permission is hereby granted" in notices and "SIL OPEN FONT LICENSE" in notices.upper()


def test_installed_alone_it_serves_page_documentation_and_answers(installed: Path, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("STARPOD_", "PYTHON"))}
    key = "sp_live_" + "b2" * 20
    with (tmp_path / "log").open("w+") as log:
        server = subprocess.Popen(
            [installed / "starpod", "serve", "--port", "0"],
            cwd=tmp_path,
            env=environ | {"STARPOD_API_KEY": key},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = listening(tmp_path / "log", server)
            assert "window.__STARPOD__" in fetch(f"{url}/")
            assert "Quickstart" in fetch(f"{url}/docs/quickstart")
            assert '"openapi"' in fetch(f"{url}/api/openapi.json")
            answer = fetch(
                f"{url}/api/chat", b'{"text": "what is 6 * 7?"}', {"X-API-Key": key, "Content-Type": "application/json"}
            )
            assert "42" in answer
        finally:
            server.terminate()
            assert server.wait(30) == 0
    assert (tmp_path / ".starpod" / "config" / "agent.toml").is_file()


def listening(log: Path, server: subprocess.Popen[bytes]) -> str:
    """The address that a starting gateway prints."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and server.poll() is None:
        found = re.search(r"listening on (\S+)", log.read_text())
        if found is not None:
            return found[1]
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def fetch(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> str:
    request = urllib.request.Request(url, data=body, headers=headers or {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())
