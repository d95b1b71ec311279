"""Files that come with a message: checked before anything is stored, kept in the sender's home, shown to the model."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from starpod.agent import history
from starpod.agent.types import IncomingFile
from starpod.config.schema import AttachmentsConfig
from starpod.errors import InvalidInput

IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")
MEGABYTE = 1_048_576
RECENT_NAMES = 20
PIECE = 262_144
"""Characters of base64 that are decoded at a time, a multiple of 4: a few tenths of a millisecond."""


def check(files: Sequence[tuple[str, int]], config: AttachmentsConfig) -> None:
    """Refuse a message whose files (name, size in bytes) may not come in. InvalidInput has a line for each of them."""
    problems = {name: problem for name, size in files if (problem := _problem(name, size, config))}
    if problems:
        raise InvalidInput("; ".join(problems.values()), fields=problems)


def decode_base64(text: str, *, piece: int = PIECE) -> bytes:
    """The bytes of a base64 text (RFC 4648), which may have nothing else in it. ValueError when it is none.

    Decoded in one call, a large file would keep the interpreter from every other thread, wherever it is done.
    """
    if len(text) <= piece:
        return base64.b64decode(text, validate=True)
    pieces = [base64.b64decode(text[at : at + piece], validate=True) for at in range(0, len(text), piece)]
    if any(len(each) != piece // 4 * 3 for each in pieces[:-1]):
        raise ValueError("padding before the end")
    return b"".join(pieces)


def save(files: Sequence[IncomingFile], home: Path, now: datetime) -> tuple[str, ...]:
    """Write the files to `home`/downloads and return their paths relative to `home`, in order. Blocks; run it in a thread."""
    folder = home / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    return tuple(
        f"downloads/{_write(folder, f'{now:%Y%m%d_%H%M%S}_{safe_name(file.file_name)}', file.data)}" for file in files
    )


def recent(home: Path) -> list[str]:
    """Names of the newest files in `home`/downloads. Blocks; run it in a thread."""
    try:
        paths = [path for path in (home / "downloads").iterdir() if path.is_file()]
        paths.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    except OSError:
        return []
    return [path.name for path in paths[:RECENT_NAMES]]


def describe(files: Sequence[IncomingFile], saved_as: Sequence[str], names: Sequence[str]) -> str:
    """The lines that tell the model what came along and where it is."""
    lines = [
        f"[Attached file: {safe_name(file.file_name)} ({media_type(file)}, {len(file.data)} bytes), saved as ~/{path}]"
        for file, path in zip(files, saved_as, strict=True)
    ]
    if names:
        lines.append(f"[Newest files in ~/downloads: {', '.join(names)}]")
    return "\n".join(lines)


def user_json(
    files: Sequence[IncomingFile], text: str, saved_as: Sequence[str], names: Sequence[str], *, shows_images: bool
) -> str:
    """The message for the model: text, a line for each file, and images where the model can see them. Blocks."""
    from pydantic_ai.messages import BinaryContent, ModelRequest, UserContent, UserPromptPart

    text = "\n\n".join(filter(None, (text, describe(files, saved_as, names))))
    content: list[UserContent] = [text]
    for file in files:
        if shows_images and media_type(file) in IMAGE_TYPES:
            content.append(BinaryContent(data=file.data, media_type=media_type(file)))
    return history.dump(ModelRequest(parts=[UserPromptPart(content if len(content) > 1 else text)]))


def media_type(file: IncomingFile) -> str:
    """The declared type, else a guess from the name."""
    declared = file.mime_type.split(";")[0].strip().lower()
    if re.fullmatch(r"[\w.+-]+/[\w.+-]+", declared):
        return declared
    return mimetypes.guess_type(file.file_name)[0] or "application/octet-stream"


def safe_name(name: str) -> str:
    """A file name that means no other place: `/ \\ : NUL` and `..` become `_`; at most 120 characters, the extension kept."""
    name = re.sub(r"[/\\:\x00-\x1f]", "_", name).replace("..", "_").strip() or "file"
    stem, dot, extension = name.rpartition(".")
    if len(name) <= 120:
        return name
    return f"{stem[:100]}.{extension[:19]}" if dot and stem else name[:120]


def _problem(name: str, size: int, config: AttachmentsConfig) -> str | None:
    if not config.enabled:
        return "Attachments are disabled"
    if size > config.max_file_size:
        limit, actual = config.max_file_size / MEGABYTE, size / MEGABYTE
        return f"File '{name}' exceeds {limit:.1f} MB limit ({actual:.1f} MB)"
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    allowed = [entry.lower().lstrip(".") for entry in config.allowed_extensions]
    if allowed and extension not in allowed:
        return f"File extension '{extension}' is not allowed (allowed: {', '.join(allowed)})"
    return None


def _write(folder: Path, name: str, data: bytes) -> str:
    for number in range(1, 1000):
        candidate = name if number == 1 else f"{number}_{name}"
        try:
            with (folder / candidate).open("xb") as file:
                file.write(data)
        except FileExistsError:
            continue
        return candidate
    raise InvalidInput("Too many files of the same name were sent in the same second")
