"""SkillActivate, SkillRead, SkillList for everybody; SkillCreate, SkillUpdate, SkillDelete for admins' turns."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from starpod.errors import StarpodError
from starpod.memory.scan import find_problem
from starpod.skills.folders import resources
from starpod.skills.service import Skills
from starpod.skills.types import Skill
from starpod.tools import home as homes
from starpod.tools.files import ReadArguments, read
from starpod.tools.types import Arguments, ToolContext, ToolFailure, ToolOutput, ToolSpec

MAX_COPY_BYTES = 20 * 1_048_576


class ListArguments(Arguments):
    pass


class NameArguments(Arguments):
    name: str = Field(description="Name of the skill, e.g. weekly-report")


class SkillReadArguments(NameArguments):
    path: str = Field(description="File of the skill as SkillActivate lists it, e.g. references/format.md")
    offset: int = Field(default=1, ge=1, description="First line to show, counted from 1")
    limit: int = Field(default=2_000, ge=1, le=100_000, description="How many lines to show")
    save_as: str | None = Field(
        default=None, description="Copy the file to this place in the home directory instead of showing it"
    )


class UpdateArguments(NameArguments):
    description: str = Field(description="When to use the skill, in one or two sentences")
    body: str = Field(description="The instructions, Markdown")


class CreateArguments(UpdateArguments):
    name: str = Field(description="Lower-case letters, digits and single hyphens, e.g. weekly-report")
    connectors: list[str] = Field(default_factory=list, max_length=50, description="Services that it needs")


def skill_tools(skills: Skills, *, is_admin: bool) -> tuple[ToolSpec, ...]:
    """The tools that work on `skills`. They belong to everybody who uses the agent, so only admins' turns may change them."""
    return _using(skills) + (_changing(skills) if is_admin else ())


def _using(skills: Skills) -> tuple[ToolSpec, ...]:

    async def activate(context: ToolContext, arguments: NameArguments) -> str:
        with _told():
            return await skills.activate(arguments.name)

    async def read_file(context: ToolContext, arguments: SkillReadArguments) -> ToolOutput:
        with _told():
            skill = await skills.get_offered(arguments.name)
        if arguments.save_as is not None:
            return await asyncio.to_thread(_copy, context, skill, arguments.path, arguments.save_as)
        return await asyncio.to_thread(_show, context, skill, arguments)

    async def list_(context: ToolContext, arguments: ListArguments) -> str:
        offered = await skills.list_offered()
        listed = [
            {"name": skill.name, "description": skill.description}
            | ({"version": skill.document.version} if skill.document.version else {})
            for skill in offered
        ]
        return json.dumps(listed, ensure_ascii=False)

    return (
        ToolSpec("SkillActivate", "Get the instructions of a skill, to follow them.", NameArguments, activate),
        ToolSpec("SkillRead", "Show a file that belongs to a skill, or copy it home.", SkillReadArguments, read_file),
        ToolSpec("SkillList", "List the skills as JSON: name and description.", ListArguments, list_),
    )


def _changing(skills: Skills) -> tuple[ToolSpec, ...]:
    async def create(context: ToolContext, arguments: CreateArguments) -> str:
        await _require_clean(arguments)
        with _told():
            await skills.create(arguments.name, arguments.description, arguments.body, arguments.connectors)
        return f"Created the skill '{arguments.name}'. People can start it by /{arguments.name}."

    async def update(context: ToolContext, arguments: UpdateArguments) -> str:
        await _require_clean(arguments)
        with _told():
            await skills.update(arguments.name, arguments.description, arguments.body)
        return f"Updated the skill '{arguments.name}'."

    async def delete(context: ToolContext, arguments: NameArguments) -> str:
        with _told():
            await skills.delete(arguments.name)
        return f"Deleted the skill '{arguments.name}'."

    return (
        ToolSpec(
            "SkillCreate",
            "Make a new skill: instructions that are found again whenever a task fits the description.",
            CreateArguments,
            create,
            sequential=True,
        ),
        ToolSpec(
            "SkillUpdate", "Replace the description and body of a skill.", UpdateArguments, update, sequential=True
        ),
        ToolSpec("SkillDelete", "Delete a skill with all its files.", NameArguments, delete, sequential=True),
    )


async def _require_clean(arguments: UpdateArguments) -> None:
    """A skill is read again as instructions, so the agent keeps none that it was talked into by hidden or disguised text."""
    for text in (arguments.description, arguments.body):
        if problem := await asyncio.to_thread(find_problem, text):
            raise ToolFailure(f"The skill is not kept: it holds {problem}. Leave that out and write it again.")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turns the errors of the service, which are fit to show, into failures that the model sees."""
    try:
        yield
    except StarpodError as error:
        raise ToolFailure(str(error)) from error


def _show(context: ToolContext, skill: Skill, arguments: SkillReadArguments) -> ToolOutput:
    _inside(skill, arguments.path)
    wanted = ReadArguments(file_path=arguments.path, offset=arguments.offset, limit=arguments.limit)
    return read(replace(context, home=skill.folder), wanted)


def _copy(context: ToolContext, skill: Skill, path: str, save_as: str) -> str:
    source = _inside(skill, path)
    target = homes.resolve(context.home, save_as)
    with homes.explained(path), os.fdopen(homes.open_file(skill.folder, source), "rb") as file:
        data = file.read(MAX_COPY_BYTES + 1)
    if len(data) > MAX_COPY_BYTES:
        raise ToolFailure(f"'{path}' is larger than {MAX_COPY_BYTES // 1_048_576} MB and cannot be copied.")
    with homes.lock(target), homes.explained(save_as):
        homes.write_file(context.home, target, data)
    return f"Copied {path} to {homes.shown(context.home, target)} ({len(data)} bytes)."


def _inside(skill: Skill, path: str) -> Path:
    """Where the file lies. Whatever leads out of the skill's folder is no file of it."""
    try:
        return homes.resolve(skill.folder, path)
    except ToolFailure as error:
        known = ", ".join(resources(skill.folder)[:50]) or "none"
        raise ToolFailure(f"That is no file of the skill '{skill.name}'. Its files are: {known}.") from error
