"""Records of MCP servers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from starpod.config.mcp import McpServerConfig

ServerState = Literal["off", "waiting", "starting", "connected", "failed"]
"""`waiting`: nobody has needed it yet."""


class ServerTrouble(Exception):
    """A server cannot be used; the message says why in plain words, without secrets."""


@dataclass(frozen=True, slots=True)
class Launch:
    """All that is needed to reach a server: its settings with the secrets filled in, and the folder it runs in."""

    name: str
    config: McpServerConfig
    env: Mapping[str, str]
    headers: Mapping[str, str]
    cwd: Path


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """How a server is doing, for admins. It holds no value of a variable or header; `since` is when the state began."""

    name: str
    transport: Literal["stdio", "http"]
    enabled: bool
    state: ServerState
    since: datetime
    tools: tuple[str, ...]
    error: str | None
    notes: tuple[str, ...]
    attempts: int
    admins_only: bool
    target: str
    env: tuple[str, ...]
    headers: tuple[str, ...]
