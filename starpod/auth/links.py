"""Which Telegram account belongs to which user: by number for good, by name until its first message."""

from __future__ import annotations

import re

from starpod.auth import link_store
from starpod.auth.types import OPERATOR, Actor, TelegramLink, User
from starpod.clock import Clock
from starpod.db.database import Database
from starpod.errors import InvalidInput

USERNAME = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
LARGEST_ID = 2**53 - 1


class TelegramLinks:
    """One link a user at most, one user a Telegram account."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, user_id: str) -> TelegramLink | None:
        """The user's link, None for one without and for an unknown user."""
        return await self._database.read(link_store.find_link, user_id)

    async def set(
        self, user_id: str, telegram_id: int | None, username: str | None, *, actor: Actor = OPERATOR
    ) -> TelegramLink:
        """Link a user; whoever had that account loses it. Raises InvalidInput, NotFound."""
        name = (username or "").strip().removeprefix("@") or None
        if telegram_id is None and name is None:
            raise InvalidInput("Provide a Telegram ID or username")
        if telegram_id is not None and not 0 < telegram_id <= LARGEST_ID:
            raise InvalidInput("telegram_id is not usable", {"telegram_id": "must be a positive number"})
        if name is not None and not USERNAME.fullmatch(name):
            raise InvalidInput(
                "username is not usable", {"username": "has up to 64 letters, digits and underscores, without the @"}
            )
        return await self._database.run(link_store.set_link, user_id, telegram_id, name, self._clock.now(), actor)

    async def remove(self, user_id: str, *, actor: Actor = OPERATOR) -> None:
        """Unlink a user; nothing happens for one without a link."""
        await self._database.run(link_store.delete_link, user_id, self._clock.now(), actor)

    async def user_of(self, telegram_id: int, username: str | None) -> User | None:
        """The active user behind a Telegram account, else None. A link by name gets the account's number now.

        Raises Unavailable when it cannot be known.
        """
        user = await self._database.read(link_store.find_linked, telegram_id)
        if user is None and username:
            user = await self._database.run(link_store.claim_link, telegram_id, username, self._clock.now())
        return user if user is not None and user.is_active else None
