"""Kills a real gateway with SIGKILL while Telegram messages come in: `python -m tests.crash_telegram --rounds 50`.

After each restart: every message is stored once, was given to the model once at most, and has an answer in its chat. An answer that
is there twice is counted, not refused: when the gateway dies between Telegram's taking a message and its own note of that, nobody can know.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx2
import tomlkit

from tests.channels.telegram.bot_api import TOKEN, BotApi
from tests.crash import KEY, GatewayProcess
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Say, script

SENDER = 7
AT_ONCE = 4
CUT_OFF = "The gateway was stopped before"
ANSWER = "An answer in a few words."


@dataclass
class Outcome:
    """What happened over all rounds."""

    messages: int = 0
    cut_off: int = 0
    twice: int = 0


class TelegramProcess(GatewayProcess):
    """A gateway process with the channel on."""

    def __init__(self, folder: Path, base_url: str, api_url: str, mode: str) -> None:
        super().__init__(folder, base_url)
        self._environ["TELEGRAM_BOT_TOKEN"] = TOKEN
        path = folder / ".starpod" / "config" / "agent.toml"
        document = tomlkit.parse(path.read_text())
        document["channels"]["telegram"].update({"enabled": True, "api_url": api_url, "stream_mode": mode})  # type: ignore[index, union-attr]
        path.write_text(tomlkit.dumps(document))

    async def link(self) -> None:
        """Let the sender be the admin."""
        (user,) = await self.get("/api/settings/auth/users")
        async with httpx2.AsyncClient(headers={"X-API-Key": KEY}) as client:
            url = f"http://127.0.0.1:{self.port}/api/settings/auth/users/{user['id']}/telegram"
            (await client.put(url, json={"telegram_id": SENDER})).raise_for_status()


def is_whole(texts: list[str]) -> bool:
    """Whether a chat shows the whole answer, or that it was cut off."""
    return any(text.replace(" ", "") == ANSWER.replace(" ", "") or CUT_OFF in text for text in texts)


async def run_round(
    gateway: TelegramProcess, telegram: BotApi, provider: OpenAIServer, number: int, kill_after_s: float
) -> Outcome:
    """Some messages, each in a chat of its own, one kill among them, one restart. AssertionError when one was lost or done twice."""
    provider.play(script(Say(tuple(ANSWER.split(" ")), 0.08)))
    chats = [-(number * 10 + place + 1) for place in range(AT_ONCE)]
    for chat in chats:
        telegram.write(f"question {-chat}", sender=SENDER, chat=chat)
        await asyncio.sleep(kill_after_s / AT_ONCE)
    await gateway.kill()
    telegram.drop_polls()
    await gateway.start()
    await telegram.until(lambda: all(map(is_whole, map(telegram.texts, chats))), 30.0)
    await telegram.until(lambda: not telegram.updates, 30.0)
    with closing(sqlite3.connect(gateway.folder / ".starpod" / "db" / "core.db")) as database:
        for chat in chats:
            sql = "SELECT count(*) FROM session_messages WHERE role = 'user' AND content = ?"
            assert database.execute(sql, (f"question {-chat}",)).fetchone() == (1,), "a message is stored not once"
    assert len(provider.requests) <= len(chats), "the model was asked twice"
    shown = [telegram.texts(chat) for chat in chats]
    return Outcome(
        len(chats),
        sum(CUT_OFF in text for texts in shown for text in texts),
        sum(len(texts) - len(set(texts)) for texts in shown),
    )


async def run(rounds: int, seed: int, folder: Path, mode: str = "final_only") -> Outcome:
    """All rounds on one folder."""
    chance = random.Random(seed)
    total = Outcome()
    async with BotApi() as telegram:
        with OpenAIServer() as provider:
            gateway = TelegramProcess(folder, f"{provider.url}/v1", telegram.url, mode)
            await gateway.start()
            await gateway.link()
            try:
                for number in range(rounds):
                    one = await run_round(gateway, telegram, provider, number, chance.uniform(0.01, 1.2))
                    total.messages += one.messages
                    total.cut_off += one.cut_off
                    total.twice += one.twice
            finally:
                await gateway.kill()
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--mode", default="final_only", choices=["final_only", "all_messages", "live"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        total = asyncio.run(run(given.rounds, given.seed, Path(folder), given.mode))
    print(
        f"seed {given.seed}: {given.rounds} kills, {total.messages} messages, none lost, none handled twice; "
        f"{total.cut_off} answers cut off and told so, {total.twice} sent twice"
    )


if __name__ == "__main__":
    main()
