"""`python -m tests.install`: get the programs of the system that tests need where that is possible, else say what is left out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.browser import chromium


def missing() -> list[str]:
    """Debian's packages that are not installed."""
    bubblewrap = [] if shutil.which("bwrap") else ["bubblewrap"]
    return bubblewrap if chromium.find() else [*bubblewrap, "chromium"]


def main() -> None:
    """Install what is missing, quietly. Fails when Chromium is required and cannot be had."""
    packages = missing()
    if packages and shutil.which("apt-get") and os.geteuid() == 0:
        environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(
                ["apt-get", "-qq", *command],
                check=False,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environ,
            )
        packages = missing()
    if "bubblewrap" in packages:
        sys.stderr.write("Bubblewrap is not installed, so the tests of confined commands are left out.\n")
    if "chromium" in packages:
        sys.stderr.write("Chromium is not installed, so the tests of the browser UI (tests/browser) are left out.\n")
        raise SystemExit(1 if chromium.REQUIRED else 0)


if __name__ == "__main__":
    main()
