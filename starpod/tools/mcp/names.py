"""What a server offers, under names that every provider of models accepts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

if TYPE_CHECKING:
    from pydantic_ai.tools import ToolDefinition
    from pydantic_ai.toolsets.abstract import ToolsetTool

NAME_LENGTH = 64
MOST_TOOLS = 100
DESCRIPTION_CHARS = 2_000
SCHEMA_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool under the name that the model knows; `remote_name` is the server's own."""

    remote_name: str
    definition: ToolDefinition


def offered_tools(
    server: str, listed: Mapping[str, ToolsetTool[Any]], chosen: Collection[str]
) -> tuple[dict[str, OfferedTool], tuple[str, ...]]:
    """The tools by their new names, and notes on what was left out."""
    notes = [f"it has no tool named {name[:100]!r}" for name in chosen if name not in listed]
    offered: dict[str, OfferedTool] = {}
    for remote_name, tool in listed.items():
        if chosen and remote_name not in chosen:
            continue
        if len(offered) >= MOST_TOOLS:
            notes.append(f"only its first {MOST_TOOLS} tools are offered; choose others by the setting tools")
            break
        definition = tool.tool_def
        schema = definition.parameters_json_schema
        if len(to_json(schema, fallback=str)) > SCHEMA_BYTES:
            notes.append(f"its tool {remote_name[:100]!r} is left out: the schema is too large")
            continue
        name = offered_name(server, remote_name)
        offered[name] = OfferedTool(
            remote_name,
            replace(
                definition,
                name=name,
                description=(definition.description or "")[:DESCRIPTION_CHARS],
                parameters_json_schema=schema if schema.get("type") == "object" else {**schema, "type": "object"},
                metadata=None,
                return_schema=None,
            ),
        )
    return offered, tuple(notes)


def offered_name(server: str, tool: str) -> str:
    """`server_tool`, of letters, digits, `_` and `-`, 64 characters at most; two tools of a server never share it by being cut."""
    name = f"{server}_{re.sub(r'[^A-Za-z0-9_-]', '_', tool)}"
    if name == f"{server}_{tool}" and len(name) <= NAME_LENGTH:
        return name
    mark = hashlib.sha256(tool.encode(errors="replace")).hexdigest()[:6]
    return f"{name[: NAME_LENGTH - 7]}_{mark}"
