"""The settings pages, all by one table (`starpod.config.sections`), what can be chosen on them, and the log of who changed what."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from handlers.admin_answers import SettingsStatus
from handlers.admin_schemas import DocumentBody, page_type
from handlers.base import BaseHandler, Refused
from handlers.queries import AuditQuery
from starpod.auth.types import AuditFilter
from starpod.config import sections
from starpod.config.documents import LARGEST_BYTES, check_name, read_document
from starpod.config.problems import ConfigError
from starpod.config.providers import KEYED_PROVIDERS, PROVIDERS, key_variable
from starpod.errors import InvalidInput, NotFound
from starpod.memory.places import NOBODY
from starpod.memory.versions import Writer
from starpod.vault.types import check_value, tail_of

MASK = "••••"
OFFLINE_PROVIDER = "offline"


class SectionHandler(BaseHandler):
    """`GET` and `PUT /api/settings/:section`. A secret of the page lives in the vault, and only its end is shown."""

    def get(self, section: str) -> None:
        body = sections.show(section, self.state.config)
        if section in sections.SECRETS and (shown := self.shown_secret(section)) is not None:
            sections.put_in(body, sections.SECRETS[section].field, shown)
        self.send_json(body)

    async def put(self, section: str) -> None:
        body = self.read_body(page_type(section))
        secret = self.new_secret(section, body)
        edits = sections.read(section, body)
        try:
            changed = await self.state.writer.save(edits)
        except ConfigError as error:
            raise sections.in_fields(section, error) from error
        user_id = self.user.id if self.user is not None else None
        if secret is not None:
            await self.save_secret(sections.SECRETS[section].name, secret, user_id)
        if changed:
            await self.state.auth.audit("settings_changed", user_id, ", ".join(changed), self.address)
        waiting = [key for key in self.state.watcher.restart_needed if key in changed]
        self.send_json({"status": "ok"} | ({"restart_needed": waiting} if waiting else {}))

    def shown_secret(self, section: str) -> str | None:
        """The end of the page's secret behind dots; None when there is none, neither in the vault nor in the environment."""
        value = self.state.vault.over(self.state.watcher.current.environ).get(sections.SECRETS[section].name)
        return None if not value else f"{MASK}{tail_of(value) or ''}"

    def new_secret(self, section: str, body: Mapping[str, Any]) -> str | None:
        """What the page wants to keep, "" to forget it, None to leave it. Raises InvalidInput, Unavailable while the vault is shut."""
        secret = sections.SECRETS.get(section)
        value = sections.value_in(body, secret.field) if secret is not None else None
        # A page sends back what it was shown.
        if secret is None or value is None or value == self.shown_secret(section):
            return None
        if not isinstance(value, str):
            raise InvalidInput(f"{secret.field}: must be text", {secret.field: "must be text"})
        self.state.vault.entries()
        if value:
            check_value(value)
        return value.strip()

    async def save_secret(self, name: str, value: str, user_id: str | None) -> None:
        """Put it into the vault, or take it out."""
        if value:
            await self.state.vault.set(name, value, by=user_id, address=self.address)
        else:
            with contextlib.suppress(NotFound):
                await self.state.vault.delete(name, by=user_id, address=self.address)


class StatusHandler(BaseHandler):
    """`GET /api/settings/status`: what is wrong with the files, what waits for a restart, how the channels are doing."""

    def get(self) -> None:
        watcher = self.state.watcher
        rejected = [watcher.last_error] if watcher.last_error is not None else []
        body: SettingsStatus = {
            "rejected": [*rejected, *watcher.problems.values()],
            "warnings": watcher.current.warnings,
            "restart_needed": watcher.restart_needed,
            "telegram": self.state.telegram.status,
        }
        self.send_json(body)


class SchemaHandler(BaseHandler):
    """`GET /api/settings/schema`: every setting with type, bounds, default and help."""

    def get(self) -> None:
        self.send_json(sections.schema())


class ModelListHandler(BaseHandler):
    """`GET /api/settings/models`: every known model by provider; what each provider's key is called, and whether it is there."""

    def get(self) -> None:
        known, models = self.state.agent.known_models(), self.state.agent.models
        keys = {each.name: each.key_variable for each in KEYED_PROVIDERS}
        configured = {each.partition("/")[0] for each in self.state.config.models}
        providers = {
            name: {
                "key": keys.get(name) or (None if name in PROVIDERS else key_variable(name)),
                "is_ready": models.has_key(f"{name}/{next(iter(known.get(name, [])), 'm')}"),
            }
            for name in sorted({*known, *configured} - {OFFLINE_PROVIDER})
        }
        self.send_json({"models": known, "providers": providers})


class DocumentHandler(BaseHandler):
    """`GET` and `PUT /api/settings/files/:name`."""

    async def get(self, name: str) -> None:
        self.send_json({"content": await asyncio.to_thread(read_document, self.state.paths, name)})

    async def put(self, name: str) -> None:
        content = self.read_body(DocumentBody).content
        if len(content.encode()) > LARGEST_BYTES:
            raise Refused(413, f"The file may have {LARGEST_BYTES} bytes at most")
        check_name(name)
        user_id = self.user.id if self.user is not None else None
        writer = Writer(user_id or NOBODY, self.viewer.is_admin, "settings")
        await self.state.memory.write(writer, name, content)
        await self.state.auth.audit("settings_changed", user_id, name, self.address)
        if name == self.state.heartbeat.file.name:
            await self.state.heartbeat.settle()
        self.send_json({"status": "ok"})


class AuditHandler(BaseHandler):
    """`GET /api/settings/audit?limit=100&before=&event_type=&user_id=&since=&until=`: lines of the audit log, the newest first.

    `before` is the id of the last line of the page before; times are RFC 3339.
    """

    async def get(self) -> None:
        query = self.read_query(AuditQuery)
        wanted = AuditFilter(**query.model_dump(exclude={"limit"}))
        self.send_json(await self.state.auth.list_audit(query.limit, wanted))
