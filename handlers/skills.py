"""Skills: the list for everybody's slash menu, and the pages on which admins change them."""

from __future__ import annotations

import asyncio

from handlers.admin_answers import SkillDetail, SkillLine
from handlers.admin_schemas import (
    SkillBody,
    SkillChangeBody,
    SkillDraftBody,
)
from handlers.base import BaseHandler, Refused
from starpod.errors import StarpodError
from starpod.skills.folders import resources
from starpod.skills.types import BrokenSkill, Skill


class SkillMenuHandler(BaseHandler):
    """`GET /api/skills`: what can be called by `/name`."""

    async def get(self) -> None:
        offered = await self.state.agent.skills.list_offered()
        self.send_json([{"name": skill.name, "description": skill.description} for skill in offered])


class SkillListHandler(BaseHandler):
    """`GET` and `POST /api/settings/skills`. Broken ones are listed with an `error`."""

    async def get(self) -> None:
        skills = self.state.agent.skills
        offered = {skill.name for skill in await skills.list_offered()}
        self.send_json([{**_line(skill), "offered": skill.name in offered} for skill in await skills.list_all()])

    async def post(self) -> None:
        body = self.read_body(SkillBody)
        skill = await self.state.agent.skills.create(body.name, body.description, body.body, body.connectors)
        await _audit(self, f"skill {skill.name} created")
        self.send_json(await _detail(skill), 201)


class SkillHandler(BaseHandler):
    """`GET`, `PUT` and `DELETE /api/settings/skills/:name`."""

    async def get(self, name: str) -> None:
        self.send_json(await _detail(await self.state.agent.skills.get(name)))

    async def put(self, name: str) -> None:
        body = self.read_body(SkillChangeBody)
        skill = await self.state.agent.skills.update(name, body.description, body.body)
        await _audit(self, f"skill {name} changed")
        self.send_json({"status": "ok", **await _detail(skill)})

    async def delete(self, name: str) -> None:
        await self.state.agent.skills.delete(name)
        await _audit(self, f"skill {name} deleted")
        self.set_status(204)
        self.finish()


class SkillDraftHandler(BaseHandler):
    """`POST /api/settings/skills/generate`: a draft by the default model; nothing is stored."""

    async def post(self) -> None:
        body = self.read_body(SkillDraftBody)
        try:
            draft = await self.state.agent.draft_skill(body.name, body.description or "", body.prompt or "")
        except StarpodError as error:
            raise Refused(500, f"The skill could not be written: {error}") from error
        self.send_json({"description": draft.description, "body": draft.body})


async def _audit(handler: BaseHandler, what: str) -> None:
    user_id = handler.user.id if handler.user is not None else None
    await handler.state.auth.audit("settings_changed", user_id, what, handler.address)


def _line(skill: Skill | BrokenSkill) -> SkillLine:
    name, created_at = skill.name, skill.created_at
    if isinstance(skill, BrokenSkill):
        return {"name": name, "created_at": created_at, "description": "", "version": None, "error": skill.error}
    version = skill.document.version
    return {"name": name, "created_at": created_at, "description": skill.description, "version": version}


async def _detail(skill: Skill | BrokenSkill) -> SkillDetail:
    line = _line(skill)
    if isinstance(skill, BrokenSkill):
        return {**line, "body": "", "raw_content": skill.raw, "connectors": [], "resources": []}
    files = await asyncio.to_thread(resources, skill.folder)
    connectors = skill.document.connectors
    return {**line, "body": skill.body, "raw_content": skill.raw, "connectors": connectors, "resources": files}
