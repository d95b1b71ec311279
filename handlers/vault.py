"""The vault, for admins: what is in it, never what it says."""

from __future__ import annotations

from handlers.admin_answers import VaultLine
from handlers.admin_schemas import VaultBody, VaultHostsBody
from handlers.base import BaseHandler
from starpod.auth.types import UNSET
from starpod.errors import InvalidInput, NotFound
from starpod.vault.types import VaultEntry


class VaultHandler(BaseHandler):
    """What all routes here share."""

    @property
    def by(self) -> dict[str, str | None]:
        """Who asks, for the audit log."""
        return {"by": self.user.id if self.user is not None else None, "address": self.address}


class VaultListHandler(VaultHandler):
    """`GET /api/settings/vault`: the names; 503 with the cure while the vault cannot be opened."""

    def get(self) -> None:
        entries = [_shown(entry) for entry in self.state.vault.entries()]
        self.send_json({"entries": entries, "proxy_enabled": self.state.config.proxy.enabled})


class VaultEntryHandler(VaultHandler):
    """`PUT` and `DELETE /api/settings/vault/:key`: hosts that are left out stay as they were."""

    async def put(self, name: str) -> None:
        body = self.read_body(VaultBody)
        hosts = body.allowed_hosts if "allowed_hosts" in body.model_fields_set else UNSET
        await self.state.vault.set(name, body.value, allowed_hosts=hosts, **self.by)
        self.set_status(200)

    async def delete(self, name: str) -> None:
        await self.state.vault.delete(name, **self.by)
        self.set_status(200)


class VaultHostsHandler(VaultHandler):
    """`PUT /api/settings/vault/:key/meta`: where a secret may be sent."""

    async def put(self, name: str) -> None:
        body = self.read_body(VaultHostsBody)
        try:
            await self.state.vault.set_hosts(name, body.allowed_hosts, **self.by)
        except NotFound as error:
            raise InvalidInput(str(error)) from error
        self.set_status(200)


def _shown(entry: VaultEntry) -> VaultLine:
    body: VaultLine = {
        "key": entry.name,
        "has_value": True,
        "is_system": entry.is_system,
        "updated_at": entry.updated_at,
    }
    if entry.allowed_hosts is not None:
        body["allowed_hosts"] = entry.allowed_hosts
    if entry.tail is not None:
        body["masked"] = f"…{entry.tail}"
    if entry.is_damaged:
        body["is_damaged"] = True
    return body
