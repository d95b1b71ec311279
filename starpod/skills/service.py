"""The rules of skills: which are offered, who may change them, and how the model hears of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from starpod.clock import Clock
from starpod.config.schema import Config
from starpod.errors import InvalidInput, NotFound
from starpod.skills import document, folders
from starpod.skills.types import BrokenSkill, Skill, SkillDocument

MOST_OFFERED = 200
"""Skills that stand in the prompt; more would cost more than they help."""
COMMAND = re.compile(r"/([a-z0-9-]{1,64})(?:\s+(.*))?", re.DOTALL)

CATALOG_INTRODUCTION = (
    "Skills are instructions for particular tasks. When a task fits a description below, call SkillActivate with the skill's "
    "name before you begin, and do what it says."
)


@dataclass(frozen=True, slots=True)
class SkillCommand:
    """A message that began with `/name`: the skill, and the message as the model is to hear it."""

    name: str
    text: str


class Skills:
    """Skills of the agent. They belong to the agent, not to a user: everybody may use them, admins change them."""

    def __init__(self, root: Path, config: Callable[[], Config], clock: Clock) -> None:
        self._folders = folders.Folders(root)
        self._config = config
        self._clock = clock
        self._lock = asyncio.Lock()

    async def list_all(self) -> list[Skill | BrokenSkill]:
        """Every skill by name, also those that are broken or not offered."""
        async with self._lock:
            return await asyncio.to_thread(self._folders.scan)

    async def list_offered(self) -> list[Skill]:
        """The usable skills that the setting `skills` lets through, by name."""
        chosen = self._config().skills
        return [
            skill
            for skill in await self.list_all()
            if isinstance(skill, Skill) and (not chosen or skill.name in chosen)
        ]

    async def get(self, name: str) -> Skill | BrokenSkill:
        """The skill, offered or not. NotFound."""
        for skill in await self.list_all():
            if skill.name == name:
                return skill
        raise NotFound(f"Skill '{name}' not found")

    async def get_offered(self, name: str) -> Skill:
        """The skill when the agent may use it. NotFound names those that it may use."""
        offered = await self.list_offered()
        for skill in offered:
            if skill.name == name:
                return skill
        known = ", ".join(skill.name for skill in offered[:MOST_OFFERED]) or "none"
        raise NotFound(f"There is no skill named {name[:100]!r}. The skills are: {known}.")

    async def create(self, name: str, description: str, body: str, connectors: Sequence[str] = ()) -> Skill:
        """Make a skill. InvalidInput when something is not usable or the name is taken, Unavailable when the disk refuses."""
        front = {
            **({"connectors": [str(connector) for connector in connectors]} if connectors else {}),
            "metadata": {"created_at": self._clock.now().isoformat(timespec="seconds")},
        }
        made = SkillDocument(
            document.check_name(name), document.check_description(description), document.check_body(body), front
        )
        await self._write(made, is_new=True)
        return await self._usable(name)

    async def update(self, name: str, description: str, body: str) -> Skill:
        """Replace description and body; the rest of its front matter stays. InvalidInput when it is missing or not usable."""
        current = await self._existing(name)
        description, body = document.check_description(description), document.check_body(body)
        if isinstance(current, Skill):
            changed = replace(current.document, description=description, body=body)
        else:
            changed = SkillDocument(document.check_name(name), description, body)
        await self._write(changed, is_new=False)
        return await self._usable(name)

    async def delete(self, name: str) -> None:
        """Delete a skill with all its files. InvalidInput when it is missing."""
        await self._existing(name)
        async with self._lock:
            await asyncio.to_thread(self._folders.delete, name)

    async def catalog(self, *, hidden: str | None = None) -> str:
        """What the model is told of the offered skills: names and descriptions, without the one named `hidden`; empty when none is left."""
        offered = [skill for skill in await self.list_offered() if skill.name != hidden][:MOST_OFFERED]
        if not offered:
            return ""
        entries = "\n".join(
            f"<skill>\n<name>{escape(skill.name, quote=False)}</name>\n<description>{_one_line(skill.description)}</description>\n</skill>"
            for skill in offered
        )
        return f"{CATALOG_INTRODUCTION}\n<available_skills>\n{entries}\n</available_skills>"

    async def activate(self, name: str) -> str:
        """The instructions of a skill for the model, with the files that come with it. NotFound."""
        return await self._content(await self.get_offered(name))

    async def command(self, text: str) -> SkillCommand | None:
        """What a message that starts with `/name` asks for; None when it names no skill and is a message like any other."""
        found = COMMAND.fullmatch(text.strip())
        if found is None:
            return None
        name, arguments = found[1], (found[2] or "").strip()
        skill = next((skill for skill in await self.list_offered() if skill.name == name), None)
        if skill is None:
            return None
        request = f"They added:\n{arguments}" if arguments else "They added nothing more."
        return SkillCommand(
            name,
            f"The person called the skill {name!r}. Execute it now: follow its instructions below, without asking whether to "
            f"begin and without activating it again.\n\n{await self._content(skill)}\n\n{request}",
        )

    async def _content(self, skill: Skill) -> str:
        listed = await asyncio.to_thread(folders.resources, skill.folder)
        files = ""
        if listed:
            names = "\n".join(f"<file>{escape(name, quote=False)}</file>" for name in listed)
            files = f"\n<skill_resources>\n{names}\n</skill_resources>\nSkillRead shows one of these files."
        return f'<skill_content name="{escape(skill.name, quote=False)}">\n{skill.body}\n</skill_content>{files}'

    async def _write(self, made: SkillDocument, *, is_new: bool) -> None:
        async with self._lock:
            await asyncio.to_thread(self._folders.write, made, is_new=is_new)

    async def _existing(self, name: str) -> Skill | BrokenSkill:
        try:
            return await self.get(name)
        except NotFound as error:
            # The settings pages answer 400 for this.
            raise InvalidInput(str(error)) from error

    async def _usable(self, name: str) -> Skill:
        skill = await self.get(name)
        if isinstance(skill, BrokenSkill):
            raise InvalidInput(f"Skill '{name}' is not usable: {skill.error}")
        return skill


def _one_line(text: str) -> str:
    return escape(" ".join(text.split()), quote=False)
