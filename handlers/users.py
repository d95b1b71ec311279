"""People and their keys, for admins."""

from __future__ import annotations

from handlers.admin_schemas import (
    TelegramLinkBody,
    UserBody,
    UserChangeBody,
)
from handlers.base import BaseHandler
from handlers.queries import UserDeleteQuery
from handlers.schemas import KeyBody, RotateBody
from starpod.auth.types import UNSET, Actor, User, UserChanges
from starpod.errors import Conflict


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
        body = self.read_body(UserBody)
        user = await self.state.auth.create_user(
            body.email, body.display_name, body.role, body.filesystem_enabled, actor=self.actor
        )
        self.send_json(user, 201)


class UserHandler(AccountHandler):
    """`GET`, `PUT` and `DELETE /api/settings/auth/users/:id`: null empties email and name, what is left out stays.

    `?data=erase` deletes what the user owns, too.
    """

    async def get(self, user_id: str) -> None:
        self.send_json(await self.state.auth.get_user(user_id))

    async def put(self, user_id: str) -> None:
        body = self.read_body(UserChangeBody)
        changes = UserChanges(
            body.email if "email" in body.model_fields_set else UNSET,
            body.display_name if "display_name" in body.model_fields_set else UNSET,
            UNSET if body.role is None else body.role,
            UNSET if body.filesystem_enabled is None else body.filesystem_enabled,
        )
        self.send_json(await self.state.auth.update_user(user_id, changes, actor=self.actor))

    async def delete(self, user_id: str) -> None:
        erase = self.read_query(UserDeleteQuery).data == "erase"
        await self.state.delete_user(user_id, erase=erase, actor=self.actor)
        self.set_status(204)


class UserActiveHandler(AccountHandler):
    """`POST /api/settings/auth/users/:id/activate` and `/deactivate`."""

    async def post(self, user_id: str, verb: str) -> None:
        await self.state.set_user_active(user_id, verb == "activate", actor=self.actor)
        self.send_json({"status": "ok"})


class KeyListHandler(AccountHandler):
    """`GET` and `POST /api/settings/auth/users/:id/api-keys`: the answer to POST is the one chance to see the key."""

    async def get(self, user_id: str) -> None:
        self.send_json(await self.state.auth.list_keys(user_id))

    async def post(self, user_id: str) -> None:
        body = self.read_body(KeyBody)
        meta, key = await self.state.auth.create_key(user_id, body.label, body.expires_at, actor=self.actor)
        self.send_json({"meta": meta, "key": key}, 201)


class KeyRevokeHandler(AccountHandler):
    """`POST /api/settings/auth/api-keys/:id/revoke`."""

    async def post(self, key_id: str) -> None:
        await self.state.auth.revoke_key(key_id, actor=self.actor)
        self.send_json({"status": "ok"})


class KeyRotateHandler(AccountHandler):
    """`POST /api/settings/auth/api-keys/:id/rotate`: a new key; the old one still works for `overlap_s` seconds."""

    async def post(self, key_id: str) -> None:
        overlap_s = self.read_body(RotateBody).overlap_s
        meta, key = await self.state.auth.rotate_key(key_id, overlap_s, actor=self.actor)
        self.send_json({"meta": meta, "key": key}, 201)


class TelegramLinkHandler(AccountHandler):
    """`GET`, `PUT` and `DELETE /api/settings/auth/users/:id/telegram`."""

    async def get(self, user_id: str) -> None:
        link = await self.state.auth.links.find(user_id)
        self.send_json({} if link is None else link)

    async def put(self, user_id: str) -> None:
        body = self.read_body(TelegramLinkBody)
        self.send_json(await self.state.auth.links.set(user_id, body.telegram_id, body.username, actor=self.actor))

    async def delete(self, user_id: str) -> None:
        await self.state.auth.links.remove(user_id, actor=self.actor)
        self.send_json({"status": "ok"})


class OwnKeyHandler(AccountHandler):
    """What the routes for one's own keys share. Somebody else's key is as unknown as one that never was."""

    @property
    def owner(self) -> User:
        """Who asks. Raises Conflict while there are no users."""
        if self.user is None:
            raise Conflict("Nobody is signed in, so there is nobody to have keys. Create a user first.")
        return self.user


class OwnKeyListHandler(OwnKeyHandler):
    """`GET` and `POST /api/keys`."""

    async def get(self) -> None:
        self.send_json(await self.state.auth.list_keys(self.owner.id))

    async def post(self) -> None:
        body = self.read_body(KeyBody)
        meta, key = await self.state.auth.create_key(self.owner.id, body.label, body.expires_at, actor=self.actor)
        self.send_json({"meta": meta, "key": key}, 201)


class OwnKeyEndHandler(OwnKeyHandler):
    """`POST /api/keys/:id/revoke`."""

    async def post(self, key_id: str) -> None:
        await self.state.auth.get_key(key_id, owner_id=self.owner.id)
        await self.state.auth.revoke_key(key_id, actor=self.actor)
        self.send_json({"status": "ok"})


class OwnKeyRotateHandler(OwnKeyHandler):
    """`POST /api/keys/:id/rotate`."""

    async def post(self, key_id: str) -> None:
        overlap_s = self.read_body(RotateBody).overlap_s
        await self.state.auth.get_key(key_id, owner_id=self.owner.id)
        meta, key = await self.state.auth.rotate_key(key_id, overlap_s, actor=self.actor)
        self.send_json({"meta": meta, "key": key}, 201)
