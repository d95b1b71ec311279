"""Settings of the MCP servers whose tools the agent may use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from starpod.config.section import Section
from starpod.config.types import BlankIsNone, OptionalUrl, Positive, Strings

REFERENCE = re.compile(r"\$\{([^}]*)\}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
SERVER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")


def references(text: str) -> tuple[str, ...]:
    """The names that `text` refers to as `${NAME}`."""
    return tuple(REFERENCE.findall(text))


def _server_name(name: str) -> str:
    if not SERVER_NAME.fullmatch(name):
        raise ValueError("a server's name has 1 to 32 lower-case letters, digits and hyphens, e.g. [mcp.servers.files]")
    return name


def _with_references(text: str) -> str:
    if "\n" in text or "\r" in text or "\0" in text:
        raise ValueError("must be one line")
    for name in references(text):
        if not VARIABLE.fullmatch(name):
            raise ValueError("between ${ and } stands the name of a variable, e.g. ${GITHUB_TOKEN}")
        if name.startswith("STARPOD_"):
            raise ValueError("the gateway's own secrets are not given away")
    return text


def _variable(name: str) -> str:
    if not VARIABLE.fullmatch(name):
        raise ValueError("must be the name of a variable, e.g. GITHUB_TOKEN")
    return name


def _header(name: str) -> str:
    if not HEADER.fullmatch(name):
        raise ValueError("must be the name of a header, e.g. Authorization")
    return name


ValueText = Annotated[str, AfterValidator(_with_references)]
ServerName = Annotated[str, AfterValidator(_server_name)]


class McpServerConfig(Section):
    enabled: bool = Field(default=True, description="Use this server")
    command: Annotated[str | None, BlankIsNone] = Field(
        default=None, description="Program to run; the gateway talks to it over its input and output"
    )
    args: Strings = Field(default=(), description="Its arguments")
    env: Mapping[Annotated[str, AfterValidator(_variable)], ValueText] = Field(
        default_factory=dict,
        description="Variables it gets beside PATH, HOME and the like; ${NAME} stands for a secret of the vault or .env",
    )
    cwd: Annotated[str | None, BlankIsNone] = Field(
        default=None, description="Folder it runs in; none = the agent's home"
    )
    url: OptionalUrl = Field(default=None, description="Address of a server that is reached by streamable HTTP instead")
    headers: Mapping[Annotated[str, AfterValidator(_header)], ValueText] = Field(
        default_factory=dict, description="Headers for it; ${NAME} stands for a secret of the vault or .env"
    )
    timeout_s: Positive = Field(default=60, description="Longest time for one call of a tool")
    start_timeout_s: Positive = Field(default=60, description="Longest time for it to be ready")
    tools: Strings = Field(default=(), description="Tools to offer, by the server's own names; [] = all")
    admins_only: bool = Field(
        default=True, description="Offer it in admins' turns only: it acts with its own rights, not with a user's"
    )

    @model_validator(mode="after")
    def _is_one_kind(self) -> McpServerConfig:
        if (self.command is None) == (self.url is None):
            raise PydanticCustomError("one_of", "needs either a command or a url")
        if self.command is not None and "\0" in "".join((self.command, *self.args, self.cwd or "")):
            raise PydanticCustomError("nul", "cannot hold NUL characters")
        return self


class McpConfig(Section):
    servers: Mapping[ServerName, McpServerConfig] = Field(
        default_factory=dict, description="Servers by name; their tools are called name_tool"
    )
