"""Records of skills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SkillDocument:
    """What a SKILL.md says. `front_matter` holds every key of it, also those that mean nothing to us."""

    name: str
    description: str
    body: str
    front_matter: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> str | None:
        """The version that the author gave, if any."""
        return str(self.front_matter["version"]) if self.front_matter.get("version") else None

    @property
    def connectors(self) -> tuple[str, ...]:
        """Names of the services that the skill wants to use."""
        found = self.front_matter.get("connectors")
        return tuple(str(name) for name in found) if isinstance(found, list) else ()


@dataclass(frozen=True, slots=True)
class Skill:
    """A usable skill in its folder. `raw` is the whole SKILL.md."""

    document: SkillDocument
    folder: Path
    raw: str
    created_at: datetime

    @property
    def name(self) -> str:
        """The name, which is also that of the folder."""
        return self.document.name

    @property
    def description(self) -> str:
        """When to use it, in one or a few sentences."""
        return self.document.description

    @property
    def body(self) -> str:
        """The instructions, Markdown."""
        return self.document.body


@dataclass(frozen=True, slots=True)
class BrokenSkill:
    """A folder that is no usable skill, and why. It is listed for admins and never offered to the agent."""

    name: str
    error: str
    raw: str
    created_at: datetime
