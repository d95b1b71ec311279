"""The files of a person's home as the page shows and changes them. Paths are relative to the home, and stricter than the tools' ones."""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import mimetypes
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Literal

from starpod.errors import Conflict, InvalidInput, NotFound, Unavailable
from starpod.tools import home as homes
from starpod.tools.types import ToolFailure

MAX_TEXT_BYTES = 5 * 1_048_576
MAX_RAW_BYTES = 50 * 1_048_576
_SNIFF_BYTES = 8_192
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder in a listing. A link counts as what it points to; one that leads nowhere, or out of the home, `is_broken`."""

    name: str
    type: Literal["file", "directory"]
    size: int
    modified_at: datetime
    is_broken: bool = False


@dataclass(frozen=True, slots=True)
class Info:
    """What there is to know about a file or folder without reading it; `is_text` goes by how it begins."""

    path: str
    type: Literal["file", "directory"]
    size: int
    modified_at: datetime
    mime_type: str
    is_text: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A text file. `hash` is what `write` takes as `expected_hash`."""

    path: str
    content: str
    size: int
    hash: str
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Raw:
    """An open file: whoever gets it closes it."""

    file: BinaryIO
    name: str
    mime_type: str
    size: int


def list_folder(home: Path, path: str) -> list[Entry]:
    """What is in a folder, by name; names of folders end in a slash. Raises InvalidInput, NotFound."""
    with _told(path):
        folder = _resolve(home, path)
        if folder.exists() and not folder.is_dir():
            raise InvalidInput(f"{_quoted(path)} is a file, not a folder")
        with homes.open_directory(home, folder) as descriptor:
            names = sorted(name for name in os.listdir(descriptor) if name.casefold() != homes.PRIVATE_NAME)
            entries = [_entry(home, folder, name, descriptor) for name in names]
        return [entry for entry in entries if entry is not None]


def describe(home: Path, path: str) -> Info:
    """A file or folder. Raises InvalidInput, NotFound."""
    with _told(path):
        target = _resolve(home, path)
        status = target.stat()
        if target.is_dir():
            return Info(path, "directory", 0, _time(status.st_mtime), "inode/directory", is_text=False)
        with _opened(home, path) as file:
            head = file.read(_SNIFF_BYTES)
    return Info(path, "file", status.st_size, _time(status.st_mtime), _mime_type(target.name), is_text=_is_text(head))


def read_text(home: Path, path: str) -> Text:
    """A text file. Raises InvalidInput (with `fields` when it is no text, or too much of it), NotFound."""
    with _told(path), _opened(home, path) as file:
        data = file.read(MAX_TEXT_BYTES + 1)
        status = os.fstat(file.fileno())
    if len(data) > MAX_TEXT_BYTES:
        raise _unusable(f"{_quoted(path)} is larger than {MAX_TEXT_BYTES // 1_048_576} MB; download it instead")
    try:
        content = data.decode()
    except UnicodeDecodeError as error:
        raise _unusable(f"{_quoted(path)} is not a text file; download it instead") from error
    if "\0" in content:
        raise _unusable(f"{_quoted(path)} is not a text file; download it instead")
    return Text(path, content, len(data), _digest(data), _time(status.st_mtime))


def open_raw(home: Path, path: str) -> Raw:
    """A file's bytes. Raises InvalidInput, NotFound."""
    with _told(path):
        name = _resolve(home, path).name
        file = _open(home, path)
        size = os.fstat(file.fileno()).st_size
    if size > MAX_RAW_BYTES:
        file.close()
        raise _unusable(
            f"{_quoted(path)} is larger than {MAX_RAW_BYTES // 1_048_576} MB; take it from the machine itself"
        )
    return Raw(file, name, _mime_type(name), size)


def write(home: Path, path: str, data: bytes, *, expected_hash: str | None = None, may_replace: bool = True) -> bool:
    """Write a whole file, making missing folders; True when it is new. Raises InvalidInput, Unavailable.

    Conflict when it is not as `expected_hash` says ("" = no file yet), or is there already and must not be replaced.
    """
    with _told(path):
        target = _resolve(home, path)
        if target.is_dir():
            raise InvalidInput(f"{_quoted(path)} is a folder; give the file a name of its own")
        with homes.lock(target):
            if expected_hash is not None and expected_hash != _hash_of(home, path):
                raise Conflict(f"{_quoted(path)} was changed since you opened it")
            if not may_replace and target.exists():
                raise Conflict(f"{_quoted(path)} is there already")
            return homes.write_file(home, target, data)


def make_folder(home: Path, path: str) -> None:
    """Make a folder and its parents; one that is there stays. Raises InvalidInput, Conflict, Unavailable."""
    with _told(path):
        target = _resolve(home, path)
        if target.exists() and not target.is_dir():
            raise Conflict(f"{_quoted(path)} is a file")
        with homes.open_directory(home, target, create=True):
            pass


def move(home: Path, path: str, to: str) -> None:
    """Give a file or folder another name or place. Raises InvalidInput, NotFound, Conflict when something is there already."""
    with _told(path):
        source, target = _resolve_entry(home, path), _resolve_entry(home, to)
        homes.move_entry(home, source, target)


def delete(home: Path, path: str) -> None:
    """Delete a file, or a folder with all that is in it; of a link the link itself. Raises InvalidInput, NotFound."""
    with _told(path):
        homes.delete_entry(home, _resolve_entry(home, path))


def check(path: str) -> None:
    """Raises InvalidInput for what is no path inside a home."""
    parts = re.split(r"[/\\]", path)
    if not path.strip():
        raise InvalidInput("The path is empty. Name a file or folder, e.g. documents/notes.md")
    if path.startswith(("/", "\\")):
        raise InvalidInput("The path begins with a slash. Paths are relative to the home, e.g. documents/notes.md")
    if ".." in parts:
        raise InvalidInput("The path may not hold '..'")
    if any(part.casefold() == homes.PRIVATE_NAME for part in parts):
        raise InvalidInput("The folder .starpod belongs to the gateway itself")


def _resolve(home: Path, path: str) -> Path:
    check(path)
    return homes.resolve(home, f"./{path}")


def _resolve_entry(home: Path, path: str) -> Path:
    check(path)
    return homes.resolve_entry(home, f"./{path}")


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """What goes wrong inside, in words without the machine's paths."""
    try:
        yield
    except OSError as error:
        words = _reason(path, error)
        if error.errno == errno.ENOENT:
            raise NotFound(words) from error
        if error.errno in _FULL:
            raise Unavailable(words) from error
        raise (Conflict if error.errno == errno.EEXIST else InvalidInput)(words) from error
    except ToolFailure as error:
        raise InvalidInput(str(error)) from error


def _reason(path: str, error: OSError) -> str:
    try:
        with homes.explained(path):
            raise error
    except ToolFailure as failure:
        return str(failure)


@contextlib.contextmanager
def _opened(home: Path, path: str) -> Iterator[BinaryIO]:
    with _open(home, path) as file:
        yield file


def _open(home: Path, path: str) -> BinaryIO:
    target = _resolve(home, path)
    if target.is_dir():
        raise InvalidInput(f"{_quoted(path)} is a folder")
    return os.fdopen(homes.open_file(home, target), "rb")


def _hash_of(home: Path, path: str) -> str:
    """The hash of what is there; "" when nothing is. What is too large for `read_text` has been given none, so it is not read either."""
    try:
        with _opened(home, path) as file:
            data = file.read(MAX_TEXT_BYTES + 1)
            return _digest(data) if len(data) <= MAX_TEXT_BYTES else "too large"
    except FileNotFoundError:
        return ""


def _entry(home: Path, folder: Path, name: str, descriptor: int) -> Entry | None:
    try:
        status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        shown = name.encode(errors="replace").decode()
        if stat.S_ISLNK(status.st_mode):
            try:
                status = homes.resolve(home, str(folder / name)).stat()
            except (OSError, ToolFailure):
                return Entry(shown, "file", 0, _time(status.st_mtime), is_broken=True)
    except OSError:  # deleted since the folder was read
        return None
    if stat.S_ISDIR(status.st_mode):
        return Entry(f"{shown}/", "directory", 0, _time(status.st_mtime))
    return Entry(shown, "file", status.st_size, _time(status.st_mtime))


def _unusable(words: str) -> InvalidInput:
    return InvalidInput(words, {"path": words})


def _mime_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _is_text(head: bytes) -> bool:
    """Whether a file that begins so is one of text. A character that is cut off at the end of a full `head` does not count."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) < _SNIFF_BYTES)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _quoted(path: str) -> str:
    path = "".join(character if character.isprintable() else "?" for character in path)
    return f"'{path if len(path) <= 200 else path[:200] + '…'}'"
