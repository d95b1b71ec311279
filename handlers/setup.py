"""What the settings pages show beside agent.toml: heartbeat, greeting, folders of users, and how far the setup has come."""

from __future__ import annotations

import asyncio

from handlers.admin_answers import Folder, SetupStatus, SetupSteps
from handlers.admin_schemas import (
    DocumentBody,
    FolderBody,
    FrontendBody,
    HeartbeatBody,
)
from handlers.base import BaseHandler
from starpod.config import pages
from starpod.config.documents import read_document
from starpod.errors import InvalidInput, StarpodError
from starpod.memory.places import NOBODY
from starpod.memory.versions import Writer

INTERVAL = ("cron", "heartbeat_interval_minutes")
LEAST_PERSONALITY = 50


class PageHandler(BaseHandler):
    """What the pages here share."""

    def writer(self, owner: str | None = None) -> Writer:
        """On whose behalf a memory file is written."""
        return Writer(owner or (self.user.id if self.user is not None else NOBODY), self.viewer.is_admin, "settings")

    async def audit(self, what: str) -> None:
        """Note the change in the audit log."""
        user_id = self.user.id if self.user is not None else None
        await self.state.auth.audit("settings_changed", user_id, what, self.address)


class HeartbeatHandler(PageHandler):
    """`GET` and `PUT /api/settings/heartbeat`: both parts are checked before either is written."""

    async def get(self) -> None:
        content = await asyncio.to_thread(read_document, self.state.paths, "HEARTBEAT.md")
        minutes = self.state.config.cron.heartbeat_interval_minutes
        self.send_json({"enabled": bool(content.strip()), "interval_minutes": minutes, "content": content})

    async def put(self) -> None:
        body = self.read_body(HeartbeatBody)
        if body.enabled and not body.content.strip():
            raise InvalidInput("Heartbeat content cannot be empty when enabled")
        before = await asyncio.to_thread(read_document, self.state.paths, "HEARTBEAT.md")
        await self.state.memory.write(self.writer(), "HEARTBEAT.md", body.content if body.enabled else "")
        try:
            await self.state.writer.save({INTERVAL: max(1, body.interval_minutes)})
        except StarpodError:
            await self.state.memory.write(self.writer(), "HEARTBEAT.md", before)
            raise
        await self.state.heartbeat.settle()
        await self.audit("heartbeat")
        self.send_json({"status": "ok"})


class FrontendHandler(PageHandler):
    """`GET` and `PUT /api/settings/frontend`."""

    async def get(self) -> None:
        frontend = await self.state.frontend()
        self.send_json({"greeting": frontend.greeting, "prompts": frontend.prompts})

    async def put(self) -> None:
        body = self.read_body(FrontendBody)
        await asyncio.to_thread(pages.write_frontend, self.state.paths, body.greeting, body.prompts)
        await self.audit("frontend")
        self.send_json({"status": "ok"})


class FolderListHandler(PageHandler):
    """`GET` and `POST /api/settings/users`: folders, whether or not somebody of that id may sign in."""

    async def get(self) -> None:
        self.send_json(await asyncio.to_thread(pages.list_folders, self.state.paths))

    async def post(self) -> None:
        folder = await asyncio.to_thread(pages.create_folder, self.state.paths, self.read_body(FolderBody).id)
        await self.audit(f"folder of {folder.id} made")
        self.send_json(folder, 201)


class FolderHandler(PageHandler):
    """`GET`, `PUT` and `DELETE /api/settings/users/:id`."""

    async def get(self, user_id: str) -> None:
        folder = await asyncio.to_thread(pages.get_folder, self.state.paths, user_id)
        user_md = await self.state.memory.read(user_id, "USER.md")
        memory_md = await self.state.memory.read(user_id, "MEMORY.md")
        body: Folder = {
            "id": user_id,
            "user_md": user_md.content,
            "memory_md": memory_md.content,
            "daily_log_count": folder.daily_log_count,
        }
        self.send_json(body)

    async def put(self, user_id: str) -> None:
        content = self.read_body(DocumentBody).content
        await asyncio.to_thread(pages.get_folder, self.state.paths, user_id)
        await self.state.memory.write(self.writer(user_id), "USER.md", content)
        await self.audit(f"USER.md of {user_id}")
        self.send_json({"status": "ok"})

    async def delete(self, user_id: str) -> None:
        await asyncio.to_thread(pages.get_folder, self.state.paths, user_id)
        await self.state.memory.forget_user(user_id)
        await self.audit(f"folder of {user_id} deleted")
        self.set_status(204)


class SetupStatusHandler(BaseHandler):
    """`GET /api/settings/setup-status`: what a new agent still needs."""

    async def get(self) -> None:
        config = self.state.config
        soul = await asyncio.to_thread(read_document, self.state.paths, "SOUL.md")
        steps: SetupSteps = {
            "identity": bool(config.agent_name.strip()),
            "model": self.state.agent.models.has_key(config.models[0]),
            "personality": len(soul.strip()) > LEAST_PERSONALITY,
        }
        body: SetupStatus = {
            "complete": steps["identity"] and steps["model"],
            "steps": steps,
            "agent_name": config.agent_name,
            "provider": config.models[0].partition("/")[0],
        }
        self.send_json(body)
