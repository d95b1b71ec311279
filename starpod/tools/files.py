"""Read, Write, Edit, FileRead, FileWrite, FileList, FileDelete, Attach: the files of the user's home."""

from __future__ import annotations

import asyncio
import json
import mimetypes
import os
import stat
from typing import BinaryIO

from pydantic import Field

from starpod.tools import home as homes
from starpod.tools.home import resolve
from starpod.tools.search import SEARCH_TOOLS
from starpod.tools.types import Arguments, OutgoingFile, ToolContext, ToolFailure, ToolImage, ToolOutput, ToolSpec

__all__ = ["FILE_TOOLS", "STANDARD_FOLDERS", "resolve"]

STANDARD_FOLDERS = ("desktop", "documents", "projects", "downloads", "scripts", "temp")
MAX_IMAGE_BYTES = 20 * 1_048_576
MAX_EDIT_BYTES = 10 * 1_048_576
MAX_TEXT_BYTES = 45_000
"""What one Read shows, below the 50,000 bytes to which a tool result is cut by default."""
MAX_LINE_CHARS = 2_000
MAX_ENTRIES = 1_000
_SNIFF_BYTES = 8_192
_SKIP_BYTES = 1_048_576


class ReadArguments(Arguments):
    file_path: str = Field(description="File in the home directory, e.g. documents/plan.md")
    offset: int = Field(default=1, ge=1, description="First line to show, counted from 1")
    limit: int = Field(default=2_000, ge=1, le=100_000, description="How many lines to show")


class WriteArguments(Arguments):
    file_path: str = Field(description="File in the home directory; missing folders are made")
    content: str = Field(description="The whole new content")


class EditArguments(Arguments):
    file_path: str
    old_string: str = Field(
        description="Text to replace, exactly as it stands in the file, with enough around it to be unique"
    )
    new_string: str
    replace_all: bool = Field(default=False, description="Replace every occurrence instead of a unique one")


class PathArguments(Arguments):
    path: str = Field(description="Path in the home directory")


class FileWriteArguments(PathArguments):
    content: str
    append: bool = Field(default=False, description="Add to the end of the file instead of replacing it")


class FileListArguments(Arguments):
    path: str = Field(default=".", description="Directory in the home directory")


def read(context: ToolContext, arguments: ReadArguments) -> ToolOutput:
    """The lines from `offset` on, each with its number, or the image. Cut lines and left out ones are told."""
    path = resolve(context.home, arguments.file_path)
    with homes.explained(arguments.file_path), os.fdopen(homes.open_file(context.home, path), "rb") as file:
        head = file.read(_SNIFF_BYTES)
        if media_type := _image_type(head):
            return _image(arguments.file_path, file, media_type)
        _refuse_binary(arguments.file_path, head)
        file.seek(0)
        return _numbered(arguments, file)


def file_read(context: ToolContext, arguments: PathArguments) -> str:
    """The text as it is; only its beginning when it is too long for one result."""
    path = resolve(context.home, arguments.path)
    with homes.explained(arguments.path), os.fdopen(homes.open_file(context.home, path), "rb") as file:
        data = file.read(MAX_TEXT_BYTES + 1)
    _refuse_binary(arguments.path, data[:_SNIFF_BYTES])
    text = data[:MAX_TEXT_BYTES].decode(errors="replace")
    if len(data) <= MAX_TEXT_BYTES:
        return text
    return f"{text.rstrip('�')}\n[only the first {MAX_TEXT_BYTES} bytes; Read with offset shows the rest]"


def write(context: ToolContext, arguments: WriteArguments) -> str:
    return _replace(context, arguments.file_path, arguments.content)


def file_write(context: ToolContext, arguments: FileWriteArguments) -> str:
    """Write or append; warns about files that do not go into one of the standard folders."""
    if arguments.append:
        path = resolve(context.home, arguments.path)
        data = _encoded(arguments.content)
        with homes.lock(path), homes.explained(arguments.path):
            homes.append_file(context.home, path, data)
        done = f"Added {len(data)} bytes to {homes.shown(context.home, path)}."
    else:
        done = _replace(context, arguments.path, arguments.content)
    name = homes.shown(context.home, resolve(context.home, arguments.path))
    if name.split("/")[0] in STANDARD_FOLDERS:
        return done
    return f"{done} Note: it is outside the standard folders ({', '.join(STANDARD_FOLDERS)})."


def edit(context: ToolContext, arguments: EditArguments) -> str:
    """Replace a text that occurs once (or every occurrence). Line endings of the file are kept."""
    if not arguments.old_string:
        raise ToolFailure("old_string is empty; use Write to make a file or to replace all of it.")
    if arguments.old_string == arguments.new_string:
        raise ToolFailure("old_string and new_string are the same: nothing to change.")
    path = resolve(context.home, arguments.file_path)
    with homes.lock(path), homes.explained(arguments.file_path):
        text = _editable(context, arguments.file_path)
        old, new = arguments.old_string, arguments.new_string
        if "\r\n" in text and "\r\n" not in old:
            old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
        count = text.count(old)
        if count == 0:
            raise ToolFailure(
                f"old_string was not found in '{arguments.file_path}'. Read the file and copy the text exactly."
            )
        if count > 1 and not arguments.replace_all:
            raise ToolFailure(
                f"old_string occurs {count} times in '{arguments.file_path}'. Add more of the text around it, or set replace_all."
            )
        homes.write_file(context.home, path, _encoded(text.replace(old, new)))
    return f"Replaced {count} occurrence{'s' if count > 1 else ''} in {homes.shown(context.home, path)}."


def file_list(context: ToolContext, arguments: FileListArguments) -> str:
    """A JSON list of `{"name", "size", "type"}` by name; type is file, directory, symlink or other; size in bytes."""
    path = resolve(context.home, arguments.path)
    with homes.explained(arguments.path), os.scandir(path) as scan:
        found = sorted(
            (entry for entry in scan if entry.name.casefold() != homes.PRIVATE_NAME), key=lambda entry: entry.name
        )
        entries = [_entry(entry) for entry in found[:MAX_ENTRIES]]
    listing = json.dumps(entries, ensure_ascii=False)
    if len(found) > MAX_ENTRIES:
        listing += f"\n[only the first {MAX_ENTRIES} of {len(found)} entries]"
    return listing


def file_delete(context: ToolContext, arguments: PathArguments) -> str:
    """Delete a file, or a directory with everything in it; of a link the link itself."""
    path = homes.resolve_entry(context.home, arguments.path)
    with homes.explained(arguments.path):
        was_directory = homes.delete_entry(context.home, path)
    return f"Deleted {'the directory ' if was_directory else ''}{homes.shown(context.home, path)}."


async def attach(context: ToolContext, arguments: PathArguments) -> str:
    """Queue a file to be sent with the answer."""
    file = await asyncio.to_thread(_outgoing, context, arguments.path)
    context.attach(file)
    return f"Attached {file.file_name} ({file.size_bytes} bytes). It is sent together with the answer."


def _outgoing(context: ToolContext, name: str) -> OutgoingFile:
    path = resolve(context.home, name)
    with homes.explained(name):
        descriptor = homes.open_file(context.home, path)
        size = os.fstat(descriptor).st_size
        os.close(descriptor)
    if size > context.max_attachment_bytes:
        raise ToolFailure(
            f"'{name}' is {size / 1_048_576:.1f} MB; at most {context.max_attachment_bytes / 1_048_576:.1f} MB can be attached."
        )
    mime_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return OutgoingFile(file_name=path.name, mime_type=mime_type, path=path, size_bytes=size, home=context.home)


def _entry(entry: os.DirEntry[str]) -> dict[str, str | int]:
    name = entry.name.encode(errors="replace").decode()
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:  # deleted since the directory was read
        return {"name": name, "size": 0, "type": "other"}
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink"}
    kind = kinds.get(stat.S_IFMT(status.st_mode), "other")
    return {"name": name, "size": status.st_size if kind == "file" else 0, "type": kind}


def _image_type(head: bytes) -> str | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if head.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None


def _image(name: str, file: BinaryIO, media_type: str) -> ToolImage:
    size = os.fstat(file.fileno()).st_size
    if size > MAX_IMAGE_BYTES:
        raise ToolFailure(f"'{name}' is an image of {size / 1_048_576:.1f} MB; at most 20 MB can be shown.")
    file.seek(0)
    return ToolImage(text=f"{name}: {media_type}, {size} bytes", data=file.read(MAX_IMAGE_BYTES), media_type=media_type)


def _refuse_binary(name: str, head: bytes) -> None:
    if b"\0" in head:
        raise ToolFailure(f"'{name}' is not a text file and cannot be shown.")


def _numbered(arguments: ReadArguments, file: BinaryIO) -> str:
    lines: list[str] = []
    number = used = 0
    while line := _line(file):
        number += 1
        if number < arguments.offset:
            continue
        shown = f"{number:>6}\t{line[:-1]}"
        used += len(shown.encode()) + 1
        if len(lines) == arguments.limit or (used > MAX_TEXT_BYTES and lines):
            lines.append(f"[more lines follow; Read with offset={number} goes on]")
            break
        lines.append(shown)
    if not lines:
        had = f"the file has only {number} line{'' if number == 1 else 's'}" if number else "the file is empty"
        return f"[{had}]"
    return "\n".join(lines)


def _line(file: BinaryIO) -> str:
    """The next line, ending in a newline and cut when very long; empty at the end. Never holds a whole huge line in memory."""
    data = file.readline(_SKIP_BYTES)
    if not data:
        return ""
    ended, size, rest = data.endswith(b"\n"), len(data), data
    while not ended and (rest := file.readline(_SKIP_BYTES)):
        ended, size = rest.endswith(b"\n"), size + len(rest)
    text = data[: MAX_LINE_CHARS * 4].decode(errors="replace").rstrip("\r\n")
    if len(text) > MAX_LINE_CHARS:
        text = f"{text[:MAX_LINE_CHARS]} [line cut: it has {size} bytes]"
    return text + "\n"


def _editable(context: ToolContext, name: str) -> str:
    path = resolve(context.home, name)
    with os.fdopen(homes.open_file(context.home, path), "rb") as file:
        data = file.read(MAX_EDIT_BYTES + 1)
    if len(data) > MAX_EDIT_BYTES:
        raise ToolFailure(f"'{name}' is larger than {MAX_EDIT_BYTES // 1_048_576} MB and cannot be edited.")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ToolFailure(f"'{name}' is not UTF-8 text; editing it would damage it.") from error


def _replace(context: ToolContext, name: str, content: str) -> str:
    path = resolve(context.home, name)
    data = _encoded(content)
    with homes.lock(path), homes.explained(name):
        created = homes.write_file(context.home, path, data)
    return f"{'Created' if created else 'Replaced'} {homes.shown(context.home, path)} ({len(data)} bytes)."


def _encoded(content: str) -> bytes:
    try:
        return content.encode()
    except UnicodeEncodeError as error:
        raise ToolFailure("The content holds characters that are not valid text (lone surrogates).") from error


_WRITE = "Write a text file in the user's home, replacing what it had. Missing folders are made."
_READ = "Read a text file of the user's home as numbered lines, or look at a PNG, JPEG, GIF or WebP image."
_EDIT = "Replace a text that occurs exactly once in a file (or every occurrence with replace_all)."
_DELETE = "Delete a file, or a directory with everything in it. It cannot be undone."

FILE_TOOLS: tuple[ToolSpec, ...] = (
    ToolSpec("Read", _READ, ReadArguments, read),
    ToolSpec("Write", _WRITE, WriteArguments, write, sequential=True),
    ToolSpec("Edit", _EDIT, EditArguments, edit, sequential=True),
    *SEARCH_TOOLS,
    ToolSpec("FileRead", "Read a text file of the user's home as it is.", PathArguments, file_read),
    ToolSpec(
        "FileWrite",
        "Write or append to a text file in the user's home.",
        FileWriteArguments,
        file_write,
        sequential=True,
    ),
    ToolSpec(
        "FileList",
        "List a directory of the user's home as JSON: name, size in bytes, type.",
        FileListArguments,
        file_list,
    ),
    ToolSpec("FileDelete", _DELETE, PathArguments, file_delete, sequential=True),
    ToolSpec(
        "Attach",
        "Send a file of the user's home to the user, together with the answer.",
        PathArguments,
        attach,
        sequential=True,
    ),
)
