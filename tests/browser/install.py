"""`python -m tests.browser.install`: get Debian's Chromium where that is possible, else say in one line what is left out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.browser import chromium


def main() -> None:
    if chromium.find() is not None:
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
        ):
            subprocess.run(
                command, check=False, stdout=subprocess.DEVNULL, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            )
    if chromium.find() is None:
        sys.stderr.write("Chromium is not installed, so the tests of the browser UI (tests/browser) are left out.\n")
        raise SystemExit(1 if chromium.REQUIRED else 0)


if __name__ == "__main__":
    main()
