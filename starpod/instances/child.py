"""The folder and the process of one instance on this machine. All functions block: call them off the event loop."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from starpod.clock import Clock
from starpod.config.files import create_atomically, write_atomically
from starpod.config.scaffold import create_agent
from starpod.errors import Conflict, Upstream
from starpod.instances.types import StoredInstance
from starpod.paths import resolve_paths

LAUNCHER = Path(__file__).with_name("launcher.py")
LOG = "instance.log"
LOG_BYTES = 8 * 1024 * 1024
ENDING_S = 12.0
PASSED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "VIRTUAL_ENV",
    "PYTHONPATH",
)


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be taken for a later one of the same number: `started` is when the system started it."""

    pid: int
    started: float

    def find(self) -> psutil.Process | None:
        """The living process, None when it has ended."""
        try:
            found = psutil.Process(self.pid)
            is_same = abs(found.create_time() - self.started) < 0.05 and found.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return None
        return found if is_same else None


def prepare_folder(folder: Path, instance: StoredInstance, given: Mapping[str, str], clock: Clock) -> None:
    """Make what is missing of an instance: its files from the templates, its key, the secrets `given`. Raises Upstream."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        paths = resolve_paths(folder)
        paths.agent_home.mkdir(exist_ok=True, mode=0o700)
        values = {"STARPOD_API_KEY": f"sp_live_{secrets.token_hex(20)}"} | dict(given)
        text = "".join(f"{name}={_quoted(value)}\n" for name, value in values.items())
        create_atomically(paths.env_file, text.encode(), 0o600)
        if not paths.agent_toml.exists():
            create_agent(folder, values, clock)
            toml = paths.agent_toml.read_text("utf-8")
            # The name holds no quote nor backslash: see types.NAME.
            toml = re.sub(r"(?m)^#? ?agent_name = .*$", lambda found: f'agent_name = "{instance.name}"', toml, count=1)
            write_atomically(paths.agent_toml, toml.encode())
    except OSError as error:
        raise Upstream(f"The files of the instance cannot be made: {error.strerror}") from error


def read_key(folder: Path) -> str:
    """The admin key of an instance. Raises Conflict when it has none."""
    from dotenv import dotenv_values

    key = dotenv_values(resolve_paths(folder).env_file, interpolate=False).get("STARPOD_API_KEY")
    if not key:
        raise Conflict("The instance has no key of its own in its .env file any more")
    return key


def find_process(folder: Path) -> Process | None:
    """The process that holds the folder's lock, whoever started it; None when there is none.

    A process that has the lock but has not yet said who it is, is waited for by asking again.
    """
    try:
        file = (folder / "instance.pid").open("r+")
    except OSError:
        return None
    with file:
        try:
            # Shared, so that one who looks never keeps another who looks from seeing the truth.
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = file.read(20).strip()
            return identify(int(text)) if text.isdigit() else None
    return None


def identify(pid: int) -> Process | None:
    """The process that has this number now."""
    try:
        return Process(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def spawn(folder: Path, *, port: int, memory_mb: int, open_files: int) -> subprocess.Popen[bytes]:
    """Start the gateway of a folder, in a session of its own so that it outlives this process. Raises Conflict, Upstream."""
    check_port(port)
    paths = resolve_paths(folder)
    try:
        paths.db_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Else the address of the run before would be taken for this one's.
        (paths.db_dir / "gateway.lock").write_text("")
        log = folder / LOG
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(folder / f"{LOG}.1")
        environ = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(LAUNCHER.parents[2]), environ.get("PYTHONPATH")]))
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
            return subprocess.Popen(
                [sys.executable, "-S", str(LAUNCHER), str(folder), str(port), str(memory_mb), str(open_files)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
                env=environ,
                start_new_session=True,
            )
    except OSError as error:
        raise Upstream(f"The instance cannot be started: {error.strerror}") from error


def check_port(port: int) -> None:
    """Raises Conflict when something listens on the port of this machine already; 0 is any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Conflict(f"Port {port} is taken or may not be used; choose another") from error


def read_address(folder: Path) -> str:
    """Where the gateway of the folder listens; empty while it starts. It does not touch the lock, which the gateway is about to take."""
    try:
        return (resolve_paths(folder).db_dir / "gateway.lock").read_text("utf-8")[:200].strip()
    except OSError:
        return ""


def end(process: Process, *, at_once: bool = False) -> None:
    """End a process, asked at first, then made to."""
    found = process.find()
    if found is None:
        return
    try:
        if not at_once:
            found.terminate()
            try:
                found.wait(ENDING_S)
                return
            except psutil.TimeoutExpired:
                pass
        found.kill()
        found.wait(5.0)
    except psutil.Error:
        return


def remove_folder(folder: Path) -> None:
    """Remove the data of an instance. Raises Upstream when something of it stays."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise Upstream("The data of the instance could not be removed; check the permissions of its folder")


def discard_folder(folder: Path) -> None:
    """Remove what can be removed of an instance that could not be made."""
    shutil.rmtree(folder, ignore_errors=True)


def disk_bytes(folder: Path) -> int:
    """What the files of a folder take."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512
            except OSError:
                continue
    return total


def _quoted(value: str) -> str:
    """As python-dotenv reads it back: in single quotes only the quote and the backslash are special."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
