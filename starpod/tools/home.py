"""Paths and files of a user's home. Nothing here reaches a file outside of it, also when a link is swapped in between.

`resolve` decides on a path; the other functions then open it component by component without following links, so that what was
decided still holds when the file is touched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from starpod.tools.types import OutgoingFile, ToolFailure

MAX_PATH_BYTES = 4096
MAX_NAME_BYTES = 255
PRIVATE_NAME = ".starpod"
"""The gateway's own folder (database, vault, settings); refused even where a home should contain it."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_REASONS = {
    errno.ENOENT: "does not exist",
    errno.EISDIR: "is a directory, not a file",
    errno.ENOTDIR: "is not inside a directory: a part of the path is a file",
    errno.EEXIST: "already exists",
    errno.EACCES: "cannot be used: permission denied",
    errno.EPERM: "cannot be used: permission denied",
    errno.ELOOP: "goes through a symbolic link that cannot be followed",
    errno.ENAMETOOLONG: "is too long a path",
    errno.ENOSPC: "cannot be written: the disk is full",
    errno.EROFS: "cannot be written: the file system is read-only",
}
_locks = tuple(threading.Lock() for _ in range(64))


def resolve(home: Path, path: str) -> Path:
    """The absolute path, links resolved, that `path` names inside `home`; it need not exist yet.

    `path` is relative to the home, starts with `~/`, or is absolute and inside the home. ToolFailure when it would leave the home,
    lexically or through a link, when it lies in `.starpod`, or when it is no path at all.
    """
    base = Path(os.path.realpath(home))
    wanted = _wanted(base, path)
    return _inside(base, Path(os.path.realpath(wanted)), path)


def resolve_entry(home: Path, path: str) -> Path:
    """Like `resolve`, but a link in the last place is named itself, not what it points to (to delete it, for instance)."""
    base = Path(os.path.realpath(home))
    wanted = Path(os.path.normpath(_wanted(base, path)))
    if wanted == base:
        return base
    return _inside(base, Path(os.path.realpath(wanted.parent)) / wanted.name, path)


def shown(home: Path, path: Path) -> str:
    """`path` as people and models see it: relative to the home, `.` for the home itself."""
    return path.relative_to(os.path.realpath(home)).as_posix()


@contextlib.contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns an OSError about the file called `name` into a ToolFailure that says what is wrong, without the machine's paths."""
    try:
        yield
    except OSError as error:
        reason = (
            _REASONS.get(error.errno or 0)
            or f"failed: {os.strerror(error.errno) if error.errno else 'input/output error'}"
        )
        raise ToolFailure(f"{_quoted(name)} {reason}.") from error


def open_file(home: Path, path: Path) -> int:
    """A descriptor to read the regular file at the resolved `path`. ToolFailure when it is anything else; OSError."""
    name = "." if path == Path(os.path.realpath(home)) else path.name
    with _parent(home, path) as directory:
        # Non-blocking: opening a pipe would otherwise wait for its writer for ever.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise ToolFailure(f"{_quoted(shown(home, path))} is a directory; FileList shows what is in it.")
    raise ToolFailure(f"{_quoted(shown(home, path))} is not a regular file.")


@contextlib.contextmanager
def open_directory(home: Path, path: Path, *, create: bool = False) -> Iterator[int]:
    """A descriptor of the directory at the resolved `path`, reached from the home without following any link. OSError.

    With `create` it is made where it is missing, and so are its parents.
    """
    base = Path(os.path.realpath(home))
    if create:
        base.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(base, _DIRECTORY)
    try:
        for name in path.relative_to(base).parts:
            if create:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=descriptor)
            below = os.open(name, _DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def write_file(home: Path, path: Path, data: bytes) -> bool:
    """Replace the file at the resolved `path` atomically, making missing parents; True when it is new. Keeps its mode. OSError."""
    with _parent(home, path, create=True) as directory:
        mode = _writable_mode(home, path, directory)
        temporary = f".{secrets.token_hex(8)}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o644 if mode is None else stat.S_IMODE(mode), dir_fd=directory)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            os.replace(temporary, path.name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=directory)
            raise
    return mode is None


def append_file(home: Path, path: Path, data: bytes) -> None:
    """Add to the end of the file at the resolved `path`, making it and its parents when missing. OSError."""
    with _parent(home, path, create=True) as directory:
        _writable_mode(home, path, directory)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(path.name, flags, 0o644, dir_fd=directory), "ab") as file:
            file.write(data)


def delete_entry(home: Path, path: Path) -> bool:
    """Delete the file, link or directory with all that is in it; True when it was a directory. Never the home itself. OSError."""
    if path == Path(os.path.realpath(home)):
        raise ToolFailure("The home directory itself cannot be deleted.")
    with _parent(home, path) as directory:
        if not stat.S_ISDIR(os.stat(path.name, dir_fd=directory, follow_symlinks=False).st_mode):
            os.unlink(path.name, dir_fd=directory)
            return False
        shutil.rmtree(path.name, dir_fd=directory)
        return True


def move_entry(home: Path, path: Path, to: Path) -> None:
    """Move what stands at the resolved `path`, making missing parents of `to`. Nothing is replaced: FileExistsError. OSError else."""
    base = Path(os.path.realpath(home))
    if base in (path, to):
        raise ToolFailure("The home directory itself cannot be moved.")
    if to.is_relative_to(path) and to != path:
        raise ToolFailure(f"{_quoted(shown(home, path))} cannot be moved into itself.")
    with _parent(home, path) as source, _parent(home, to, create=True) as target:
        os.stat(path.name, dir_fd=source, follow_symlinks=False)
        with contextlib.suppress(FileNotFoundError):
            os.stat(to.name, dir_fd=target, follow_symlinks=False)
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        os.rename(path.name, to.name, src_dir_fd=source, dst_dir_fd=target)


def lock(path: Path) -> threading.Lock:
    """Held while a file is read, changed and written back, so that two turns do not lose each other's change."""
    return _locks[hash(path) % len(_locks)]


def read_outgoing(file: OutgoingFile) -> bytes:
    """What is to be sent. ToolFailure when another file, or a link to one, took its place since it was attached; OSError."""
    with os.fdopen(open_file(file.home, file.path), "rb") as opened:
        data = opened.read(file.size_bytes + 1)
    if len(data) > file.size_bytes:
        raise ToolFailure("The file has grown since it was attached.")
    return data


def _wanted(base: Path, path: str) -> Path:
    """`path` joined to the home, links not yet resolved; refuses what is no path or climbs out by `..`."""
    if not path.strip():
        raise ToolFailure("The path is empty.")
    if "\0" in path:
        raise ToolFailure("The path holds a NUL character.")
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise ToolFailure("The path is not valid text.") from error
    if size > MAX_PATH_BYTES or any(len(part.encode()) > MAX_NAME_BYTES for part in path.split("/")):
        raise ToolFailure(f"The path is too long: at most {MAX_NAME_BYTES} bytes a name and {MAX_PATH_BYTES} in all.")
    if path == "~" or path.startswith("~/"):
        path = "." + path[1:]
    if path.startswith("/"):
        return Path(path)
    if os.path.normpath(path).split("/")[0] == "..":
        raise _outside(path)
    return base / path


def _inside(base: Path, resolved: Path, path: str) -> Path:
    if not resolved.is_relative_to(base):
        raise _outside(path)
    if any(part.casefold() == PRIVATE_NAME for part in resolved.relative_to(base).parts):
        raise ToolFailure(f"{_quoted(path)} belongs to the gateway itself and is not open to tools.")
    return resolved


def _outside(path: str) -> ToolFailure:
    return ToolFailure(
        f"{_quoted(path)} is outside the home directory. Use a path inside it, such as documents/notes.md."
    )


def _parent(home: Path, path: Path, *, create: bool = False) -> contextlib.AbstractContextManager[int]:
    """A descriptor of the directory that holds the resolved `path`; of the home for the home itself."""
    return open_directory(home, path if path == Path(os.path.realpath(home)) else path.parent, create=create)


def _writable_mode(home: Path, path: Path, directory: int) -> int | None:
    """The mode of the file that is about to be written, None when it is new. ToolFailure when it is not a regular file."""
    if path == Path(os.path.realpath(home)):
        raise ToolFailure("The home directory is not a file.")
    try:
        mode = os.stat(path.name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
        raise ToolFailure(f"{_quoted(shown(home, path))} is {kind} and cannot be written.")
    return mode


def _quoted(name: str) -> str:
    name = "".join(character if character.isprintable() else "?" for character in name)
    return f"'{name if len(name) <= 200 else name[:200] + '…'}'"
