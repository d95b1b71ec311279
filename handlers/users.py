"""People and their keys, for admins."""

from __future__ import annotations

from pydantic import TypeAdapter

from handlers.base import BaseHandler
from handlers.schemas import KeyBody, UserBody, UserChangeBody
from starpod.auth.types import UNSET, Actor, UserChanges

USER, CHANGE, KEY = TypeAdapter(UserBody), TypeAdapter(UserChangeBody), TypeAdapter(KeyBody)


class AccountHandler(BaseHandler):
    """What all routes here share."""

    @property
    def actor(self) -> Actor:
        """Who asks, for the audit log."""
        return Actor(self.user.id if self.user is not None else None, self.address)


class UserListHandler(AccountHandler):
    """`GET` and `POST /api/settings/auth/users`."""

    async def get(self) -> None:
        self.send_json(await self.state.auth.list_users())

    async def post(self) -> None:
        body = self.read_body(USER)
        user = await self.state.auth.create_user(
            body.email, body.display_name, body.role, body.filesystem_enabled, actor=self.actor
        )
        self.send_json(user, 201)


class UserHandler(AccountHandler):
    """`GET` and `PUT /api/settings/auth/users/:id`: null empties email and name, what is left out stays."""

    async def get(self, user_id: str) -> None:
        self.send_json(await self.state.auth.get_user(user_id))

    async def put(self, user_id: str) -> None:
        body = self.read_body(CHANGE)
        changes = UserChanges(
            body.email if "email" in body.model_fields_set else UNSET,
            body.display_name if "display_name" in body.model_fields_set else UNSET,
            UNSET if body.role is None else body.role,
            UNSET if body.filesystem_enabled is None else body.filesystem_enabled,
        )
        self.send_json(await self.state.auth.update_user(user_id, changes, actor=self.actor))


class UserActiveHandler(AccountHandler):
    """`POST /api/settings/auth/users/:id/activate` and `/deactivate`."""

    async def post(self, user_id: str, verb: str) -> None:
        await self.state.auth.set_active(user_id, verb == "activate", actor=self.actor)
        self.send_json({"status": "ok"})


class KeyListHandler(AccountHandler):
    """`GET` and `POST /api/settings/auth/users/:id/api-keys`: the answer to POST is the one chance to see the key."""

    async def get(self, user_id: str) -> None:
        self.send_json(await self.state.auth.list_keys(user_id))

    async def post(self, user_id: str) -> None:
        body = self.read_body(KEY)
        meta, key = await self.state.auth.create_key(user_id, body.label, body.expires_at, actor=self.actor)
        self.send_json({"meta": meta, "key": key}, 201)


class KeyRevokeHandler(AccountHandler):
    """`POST /api/settings/auth/api-keys/:id/revoke`."""

    async def post(self, key_id: str) -> None:
        await self.state.auth.revoke_key(key_id, actor=self.actor)
        self.send_json({"status": "ok"})
