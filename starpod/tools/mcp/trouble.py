"""Why a server cannot be used, in plain words."""

from __future__ import annotations

import asyncio

from starpod.config.mcp import McpServerConfig
from starpod.errors import StarpodError
from starpod.tools.mcp.types import ServerTrouble

MAX_CHARS = 300
MOST_CAUSES = 20
HINTS = {
    401: "it refuses the credentials: check its headers",
    403: "it refuses the credentials: check its headers",
    404: "there is no MCP server at this address: check the url",
    405: "there is no MCP server at this address: check the url",
}


def explain(error: BaseException, config: McpServerConfig, http_status: int | None = None) -> str:
    """What went wrong and, where it is known, what to do. `http_status` is that of the last answer."""
    causes = _causes(error)
    for cause in causes:
        match cause:
            case ServerTrouble() | StarpodError():
                return str(cause)
            case FileNotFoundError():
                return "its program was not found: check command, and that it is installed"
            case PermissionError():
                return "its program may not be run: check its permissions"
    kinds = {type(cause).__name__ for cause in causes}
    if kinds & {"ConnectError", "ConnectTimeout"}:
        return "it cannot be reached: check the url, and that it runs"
    if any(isinstance(cause, TimeoutError) for cause in causes) or "ReadTimeout" in kinds:
        return f"it was not ready within {config.start_timeout_s} s"
    if http_status is not None and http_status >= 300:
        return HINTS.get(http_status, f"it answers with status {http_status}: check the url")
    if kinds & {"BrokenResourceError", "ClosedResourceError"} or any(
        "connection closed" in str(cause).lower() for cause in causes
    ):
        return "it ended before it was ready" if config.command else "it closed the connection"
    innermost = next((each for each in reversed(causes) if not isinstance(each, BaseExceptionGroup)), error)
    said = "".join(letter if letter.isprintable() else " " for letter in str(innermost))[:MAX_CHARS]
    return f"it failed ({type(innermost).__name__}): {said}"


def _causes(error: BaseException) -> list[BaseException]:
    """The error, what it was raised from, and what a group of them holds, outermost first."""
    found: list[BaseException] = []
    waiting = [error]
    for _ in range(MOST_CAUSES):
        if not waiting:
            break
        current = waiting.pop(0)
        if not isinstance(current, asyncio.CancelledError) and not any(current is each for each in found):
            found.append(current)
        if isinstance(current, BaseExceptionGroup):
            waiting += current.exceptions
        waiting += [each for each in (current.__cause__, current.__context__) if each is not None]
    return found or [error]
