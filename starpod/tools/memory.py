"""MemoryRead, MemoryWrite, MemoryAppendDaily: the memory files of the turn's user."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pydantic import Field

from starpod.errors import StarpodError
from starpod.memory.files import MemoryFiles
from starpod.memory.versions import Origin, Writer
from starpod.tools.types import Arguments, ToolContext, ToolFailure, ToolSpec

MAX_TEXT_BYTES = 45_000
"""What one MemoryRead shows, below the 50,000 bytes to which a tool result is cut by default."""


class ReadArguments(Arguments):
    file: str = Field(description="Memory file, e.g. MEMORY.md, USER.md or memory/2026-03-20.md")
    start_line: int = Field(default=1, ge=1, description="First line to show, counted from 1")
    end_line: int | None = Field(default=None, ge=1, description="Last line to show; the end of the file when left out")


class WriteArguments(Arguments):
    file: str = Field(
        description="USER.md (who the person is), MEMORY.md (lasting facts), or a file in memory/, e.g. memory/projects.md"
    )
    content: str = Field(description="The whole new content, or what to add")
    append: bool = Field(
        default=False,
        description="Add to the end of the file instead of replacing it; what it says already is not added again",
    )


class AppendDailyArguments(Arguments):
    text: str = Field(description="What happened or was said today, in a few sentences")


def memory_tools(memory: MemoryFiles, *, origin: Origin = "tool") -> tuple[ToolSpec, ...]:
    """The tools that work on `memory`; what they write is recorded as by `origin`."""

    async def read(context: ToolContext, arguments: ReadArguments) -> str:
        if arguments.end_line is not None and arguments.start_line > arguments.end_line:
            raise ToolFailure(
                f"start_line {arguments.start_line} is behind end_line {arguments.end_line}: give the smaller number first."
            )
        with _told():
            text = (await memory.read(context.user_id, arguments.file)).content
        if not text.strip():
            return f"{arguments.file} is empty or does not exist."
        lines = text.split("\n")
        if arguments.start_line > len(lines):
            raise ToolFailure(
                f"{arguments.file} has {len(lines)} lines; start_line {arguments.start_line} is behind them."
            )
        return _cut("\n".join(lines[arguments.start_line - 1 : arguments.end_line]))

    async def write(context: ToolContext, arguments: WriteArguments) -> str:
        with _told():
            written = await memory.write(
                writer_of(context, origin), arguments.file, arguments.content, append=arguments.append
            )
        if written.version is None:
            return (
                f"{written.file} {'says' if arguments.append else 'holds exactly'} that already; nothing was written."
            )
        return (
            f"{'Added to' if arguments.append else 'Wrote'} {written.file}, which now has {written.size_bytes} bytes."
        )

    async def append_daily(context: ToolContext, arguments: AppendDailyArguments) -> str:
        with _told():
            written = await memory.append_daily(writer_of(context, origin), arguments.text)
        return f"Added to the daily log {written.file}."

    return (
        ToolSpec("MemoryRead", "Read a memory file, or some of its lines.", ReadArguments, read),
        ToolSpec(
            "MemoryWrite",
            "Write a memory file. Replacing needs the whole content: read the file first and keep what still holds.",
            WriteArguments,
            write,
            sequential=True,
        ),
        ToolSpec(
            "MemoryAppendDaily",
            "Add an entry to today's log, for events and details that need not stand in MEMORY.md.",
            AppendDailyArguments,
            append_daily,
            sequential=True,
        ),
    )


def writer_of(context: ToolContext, origin: Origin) -> Writer:
    """Who writes when a tool of this turn does."""
    return Writer(context.user_id, context.role == "admin", origin, context.session_id or None, context.turn_id or None)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what a person would be told into what the model is told."""
    try:
        yield
    except StarpodError as error:
        raise ToolFailure(str(error)) from error


def _cut(text: str) -> str:
    raw = text.encode()
    if len(raw) <= MAX_TEXT_BYTES:
        return text
    shown = raw[:MAX_TEXT_BYTES].decode(errors="ignore")
    return f"{shown}\n[only the first {MAX_TEXT_BYTES} bytes; read the rest by start_line]"
