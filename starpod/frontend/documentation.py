"""Builds the documentation: `python -m starpod.frontend.documentation [--force]`, from `docs/` into `site/`.

Does nothing when `site/` is newer than its sources. Uses the standard library alone, so that packaging can load this file by its path;
mkdocs comes with the extra `docs`.
"""

from __future__ import annotations

import gzip
import importlib.util
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 300
COMPRESSED = frozenset((".html", ".css", ".js", ".json", ".svg", ".xml"))
SMALLEST_BYTES = 1024


class DocumentationFailed(Exception):
    """The documentation could not be built; the text says what to do."""


def is_current(root: Path) -> bool:
    """Whether `site/` is there and no source is newer than it."""
    built = root / "site" / "index.html"
    if not built.is_file():
        return False
    then = built.stat().st_mtime
    sources = [root / "CHANGELOG.md", *(root / "docs").rglob("*"), *(root / "starpod" / "config").glob("*.py")]
    return all(path.stat().st_mtime <= then for path in sources if path.is_file() and "__pycache__" not in path.parts)


def build(root: Path = ROOT, *, force: bool = False) -> bool:
    """Build `site/` when it is missing, older than its sources, or `force` says so. Returns whether it did. Raises DocumentationFailed."""
    if not (root / "docs" / "mkdocs.yml").is_file() or (not force and is_current(root)):
        return False
    if importlib.util.find_spec("material") is None:
        raise DocumentationFailed("The documentation needs mkdocs-material: pip install 'starpod[docs]'")
    # Built aside: a build that fails leaves the pages that are there.
    made = root / "build" / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--config-file", "docs/mkdocs.yml"]
    environ = {**os.environ, "PYTHONPATH": str(root), "NO_MKDOCS_2_WARNING": "1"}
    try:
        subprocess.run([*command, "--site-dir", str(made)], cwd=root, env=environ, timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise DocumentationFailed(f"The documentation could not be built: {error}") from error
    _compress(made)
    shutil.rmtree(root / "site", ignore_errors=True)
    made.rename(root / "site")
    return True


def _compress(site: Path) -> None:
    """Write `.gz` beside every file that gets smaller by it, so that the server never compresses."""
    for path in sorted(site.rglob("*")):
        if path.suffix in COMPRESSED and path.stat().st_size >= SMALLEST_BYTES:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def main() -> None:
    """Build as the arguments say; a failure is told in one line, with status 1."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        done = build(force="--force" in sys.argv[1:])
    except DocumentationFailed as error:
        raise SystemExit(str(error)) from error
    logger.info("The documentation %s.", "is built" if done else "is up to date")


if __name__ == "__main__":
    main()
