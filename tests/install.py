"""`python -m tests.install`: get the programs of the system that tests need where that is possible, else say what is left out."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.browser import chromium

LEFT_OUT = {
    "bubblewrap": "Bubblewrap is not installed, so the tests of confined commands are left out.",
    "nginx": "Nginx is not installed, so the tests of its settings in conf/ are left out.",
    "caddy": "Caddy is not installed, so the tests of its settings in conf/ are left out.",
    "chromium": "Chromium is not installed, so the tests of the browser UI (tests/browser) are left out.",
}
"""Debian's packages, and what is said without them."""
SERVICES = frozenset({"nginx", "caddy"})
"""What a machine with systemd would start at once and at every boot: it is installed in containers only."""
POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    """Debian's packages that are not installed."""
    found = {
        "bubblewrap": shutil.which("bwrap"),
        "nginx": shutil.which("nginx"),
        "caddy": shutil.which("caddy"),
        "chromium": chromium.find(),
    }
    return [name for name in LEFT_OUT if not found[name]]


def install(packages: list[str]) -> None:
    """Install what can be had, one by one: a package that Debian's servers do not know keeps no other away."""
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], *(["install", "-y", "--no-install-recommends", name] for name in packages)):
        subprocess.run(
            ["apt-get", "-qq", *command],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environ,
        )


@contextlib.contextmanager
def without_services() -> Iterator[None]:
    """Nothing that is installed meanwhile is started, by the file that Debian asks for that."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def main() -> None:
    """Install what is missing, quietly. Fails when Chromium is required and cannot be had."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        is_machine = Path("/run/systemd/system").exists()
        if wanted := [name for name in missing() if not (is_machine and name in SERVICES)]:
            with without_services():
                install(wanted)
    left = missing()
    for name in left:
        sys.stderr.write(f"{LEFT_OUT[name]}\n")
    if "chromium" in left and chromium.REQUIRED:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
