"""The vault's key: in `STARPOD_VAULT_KEY`, else in a file that only the gateway's user may read. Blocks: run it in a thread."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from starpod.errors import Unavailable
from starpod.vault.cipher import KEY_BYTES

VARIABLE = "STARPOD_VAULT_KEY"
FILE = ".vault_key"
SHOWN = ".starpod/db/.vault_key"


class KeyFile:
    """Where the key comes from. Every refusal is an Unavailable that says the cure in one line."""

    def __init__(self, db_dir: Path, environ: Mapping[str, str]) -> None:
        self._path = db_dir / FILE
        self._next = db_dir / f"{FILE}.new"
        self._given = environ.get(VARIABLE, "").strip()

    @property
    def is_given(self) -> bool:
        """Whether the key stands in the environment; then no file is read or written."""
        return bool(self._given)

    def read(self) -> bytes | None:
        """The key, None when there is none yet."""
        return parse_key(self._given, VARIABLE) if self._given else _read(self._path)

    def read_next(self) -> bytes | None:
        """The key of a rotation that was cut off, None without one."""
        if self._given:
            return None
        try:
            return _read(self._next)
        except Unavailable:
            return None

    def create(self) -> bytes:
        """A new key, or the one that another process made at the same time."""
        if self._given:
            return parse_key(self._given, VARIABLE)
        draft = self._path.with_name(f"{FILE}.{os.getpid()}")
        try:
            _write(draft, os.urandom(KEY_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(draft, self._path)  # never over an existing key
            _sync(self._path.parent)
        finally:
            draft.unlink(missing_ok=True)
        key = _read(self._path)
        assert key is not None
        return key

    def prepare(self, key: bytes) -> None:
        """Put the next key beside the present one, safely on disk."""
        self.discard()
        _write(self._next, key)
        _sync(self._path.parent)

    def swap(self) -> None:
        """Make the next key the present one."""
        os.replace(self._next, self._path)
        _sync(self._path.parent)

    def discard(self) -> None:
        """Drop the next key."""
        self._next.unlink(missing_ok=True)


def parse_key(text: str, variable: str) -> bytes:
    """32 bytes from 64 hexadecimal digits or from base64. Unavailable for anything else."""
    for decode in (bytes.fromhex, _from_base64):
        try:
            key = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == KEY_BYTES:
            return key
    raise Unavailable(
        f"{variable} is no key: it must be 32 bytes as 64 hexadecimal digits or as base64, e.g. from `openssl rand -hex 32`."
    )


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)


def _read(path: Path) -> bytes | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(
            f"The vault's key file {SHOWN} cannot be read. Make it readable for the gateway's user: chmod 600 {SHOWN}"
        ) from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise Unavailable(f"{SHOWN} is no file. Put the vault's key file back in its place.")
        if found.st_mode & 0o077:
            raise Unavailable(
                f"The vault's key file {SHOWN} can be read by others. Run chmod 600 {SHOWN}, and rotate the key."
            )
        key = os.read(handle, KEY_BYTES + 1)
    finally:
        os.close(handle)
    if len(key) != KEY_BYTES:
        raise Unavailable(
            f"The vault's key file {SHOWN} is damaged: it must have {KEY_BYTES} bytes. Restore it from a backup."
        )
    return key


def _write(path: Path, key: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(handle, 0o600)
        os.write(handle, key)
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
