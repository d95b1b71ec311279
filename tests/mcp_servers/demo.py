"""A well-behaved server. `python demo.py LOG` speaks over stdio, `python demo.py LOG http PORT` over streamable HTTP.

It appends a line to LOG for its start and for what happens in `slow`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver import Image

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 16
server = MCPServer("demo")


def log(line: str) -> None:
    with open(sys.argv[1], "a") as file:
        file.write(f"{line}\n")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail() -> str:
    """Always fails."""
    raise ValueError("no good")


@server.tool()
def die() -> str:
    """Ends the process in the middle of the call."""
    os._exit(3)


@server.tool()
async def slow() -> str:
    """Takes long."""
    log("slow began")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        log("slow cancelled")
        raise
    return "done"


@server.tool()
def variables() -> dict[str, str]:
    """The environment."""
    return dict(os.environ)


@server.tool()
def noise() -> str:
    """Writes to its output what does not belong there."""
    sys.stdout.buffer.write(b"debug: hello\n\xff\xfe\n{}\n[1,2]\n" + b"x" * 100_000 + b"\n")
    sys.stdout.buffer.flush()
    return "still here"


@server.tool()
def picture() -> Any:
    """A text and an image."""
    return ["look", Image(data=PNG, format="png")]


@server.tool()
def grow() -> str:
    """Gains another tool."""
    server.add_tool(lambda: "new", name="grown", description="Came later.")
    return "grown"


@server.tool()
def flood() -> str:
    """A large result."""
    return "word " * 200_000


if __name__ == "__main__":
    log(f"start {os.getpid()}")
    if len(sys.argv) > 2:
        server.run("streamable-http", port=int(sys.argv[3]))
    else:
        server.run()
