"""A gateway with the channel on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starpod.auth.types import User
from starpod.clock import Clock
from starpod.state import AppState
from tests.channels.telegram.bot_api import TOKEN, BotApi
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer


@contextlib.asynccontextmanager
async def chatting(
    folder: Path, provider: OpenAIServer | None = None, **settings: Any
) -> AsyncIterator[tuple[BotApi, Gateway, User]]:
    """A gateway with the channel on, and a user who is linked as 7."""
    async with BotApi() as telegram:
        clock: Clock | None = settings.pop("clock", None)
        mode = settings.pop("stream_mode", "final_only")
        channel: dict[str, Any] = {"enabled": False, "api_url": telegram.url, "stream_mode": mode}
        async with Gateway(
            folder, provider, settings={"channels": {"telegram": channel}, **settings}, clock=clock
        ) as gateway:
            user, _ = await gateway.user(name="Ann")
            await gateway.state.auth.links.set(user.id, 7, None)
            await gateway.state.vault.set("TELEGRAM_BOT_TOKEN", TOKEN)
            channel["enabled"] = True
            response = await gateway.http.put("/api/settings/channels", json={"telegram": {"enabled": True}})
            assert response.status_code == 200
            await telegram.until(lambda: telegram.polls > 0)
            yield telegram, gateway, user


async def settled(gateway: Gateway, state: str, problem: str = "") -> None:
    """Wait until the channel is in a state."""

    def is_there() -> bool:
        status = gateway.state.telegram.status
        return status.state == state and problem in (status.problem or "")

    async with asyncio.timeout(10.0):
        while not is_there():  # noqa: ASYNC110 - nobody tells when it changes
            await asyncio.sleep(0.01)


def rows(state: AppState, sql: str) -> list[Any]:
    """What the database holds."""
    return list(state.database.read_here(lambda db: db.execute_sql(sql).fetchall()))
