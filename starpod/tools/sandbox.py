"""How a shell command is started: its environment, its limits, and bubblewrap around it where that works.

Inside bubblewrap a command sees the system's programs read-only, an empty /tmp and the user's home; the gateway's own folder is not
there at all. Without it a command runs with the rights of the gateway's account, so everything that account may read is open to it,
the gateway's folder included: `[tools] shell_sandbox = "required"` refuses to run it then.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Everything else stays behind: keys of providers and clouds, tokens, whatever the gateway was started with.
PASSED_ON = ("PATH", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME")
MARK = "STARPOD_RUN"
"""Names the run in the environment of all its processes, by which those that left its process group are found."""
SYSTEM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix", "/run/systemd/resolve")
# Of /etc only what programs need to run: other things there may hold passwords and private keys.
SYSTEM_FILES = """
    passwd group hosts host.conf hostname resolv.conf nsswitch.conf gai.conf services protocols localtime timezone
    ssl/certs ssl/openssl.cnf ssl/cert.pem pki/tls/certs pki/ca-trust/extracted ca-certificates alternatives ld.so.cache
    ld.so.conf ld.so.conf.d profile bash.bashrc bashrc inputrc terminfo fonts mime.types magic os-release locale.alias
"""
TEMPORARY = "/tmp"  # noqa: S108 - in the sandbox it is the command's own
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Set by the shell itself, so that the gateway need not run code between fork and exec. $1 KiB of memory, $2 processes ("" = as it is).
LIMITED = 'ulimit -c 0; ulimit -v "$1"; [ -z "$2" ] || ulimit -u "$2"; shift 2; exec "$@"'


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one command: seconds, MiB of memory for all its processes, how many of these, bytes of output that are kept."""

    timeout_s: float
    memory_mb: int
    processes: int
    output_bytes: int


def environment(home: Path, run_id: str, environ: os._Environ[str] | dict[str, str] | None = None) -> dict[str, str]:
    """What a command finds in its environment."""
    source = os.environ if environ is None else environ
    passed = {name: value for name, value in source.items() if name in PASSED_ON or name.startswith("LC_")}
    own = {"HOME": str(home), "PWD": str(home), "SHELL": shell(), "TERM": "dumb", "TMPDIR": TEMPORARY, MARK: run_id}
    return {"PATH": PATH} | passed | own


def command_line(
    command: str, home: Path, limits: Limits, *, sandboxed: bool, network: bool, hidden: Path | None = None
) -> list[str]:
    """The arguments of the process to start. `network`, and `hidden`, the gateway's folder, only have a meaning in the sandbox."""
    kib = str(limits.memory_mb * 1024)
    inner = [shell(), "-c", LIMITED, "shell", kib, _process_limit(limits), *_niced(), shell(), "-c", command]
    if not sandboxed:
        return inner
    mounts: list[str] = []
    for folder in SYSTEM_FOLDERS:
        mounts += ["--ro-bind-try", folder, folder]
    for name in SYSTEM_FILES.split():
        mounts += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    if hidden is not None and any(hidden.is_relative_to(folder) for folder in SYSTEM_FOLDERS):
        mounts += ["--tmpfs", str(hidden)]
    mounts += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", TEMPORARY, "--bind", str(home), str(home)]
    shared = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    alone = [] if network else ["--unshare-net"]
    return [
        "bwrap",
        *mounts,
        *shared,
        *alone,
        "--cap-drop",
        "ALL",
        "--die-with-parent",
        "--chdir",
        str(home),
        "--",
        *inner,
    ]


@cache
def shell() -> str:
    """The shell that reads commands."""
    return shutil.which("bash", path=PATH) or "/bin/sh"


@cache
def sandbox_works() -> bool:
    """Whether bubblewrap is installed and the system lets it make its namespaces. Blocks up to seconds the first time."""
    if shutil.which("bwrap") is None:
        return False
    probe = [
        "bwrap",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--unshare-pid",
        "--",
        "/bin/sh",
        "-c",
        ":",
    ]
    try:
        return subprocess.run(probe, capture_output=True, timeout=5, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _niced() -> list[str]:
    """Commands yield to the gateway."""
    nice = shutil.which("nice", path=PATH)
    return [nice, "-n", "5"] if nice else []


def _process_limit(limits: Limits) -> str:
    """The system counts all threads of an account, so those that are there already are added. It never limits root."""
    if not hasattr(os, "geteuid") or os.geteuid() == 0 or not shell().endswith("bash"):
        return ""
    # Not for gateways that never run a command: it is large.
    import psutil

    mine = os.geteuid()
    running = 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        if process.info["uids"] is not None and process.info["uids"].real == mine:
            running += process.info["num_threads"] or 1
    return str(running + limits.processes)
