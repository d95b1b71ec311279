"""Prompts of the gateway's start: BOOTSTRAP.md once in an agent's life, then BOOT.md at every start. Nobody waits for them."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from starpod.agent.service import Agent
from starpod.agent.turns import Submitted
from starpod.agent.types import StreamEnded, TurnRequest
from starpod.config.schema import Config
from starpod.cron.prompts import read_prompt
from starpod.errors import Conflict, StarpodError
from starpod.memory.files import hash_of
from starpod.memory.versions import Writer
from starpod.sessions.types import SessionKey, Viewer

logger = logging.getLogger(__name__)

OFFLINE = "offline/assistant"
MOST_STARTS = 20
"""So often a failing BOOTSTRAP.md is tried, at one start each; an edit of it counts anew."""
NOBODY = Viewer(None, True)

Ending = Literal["done", "failed", "cut off"]


class Lifecycle:
    """Runs the two files of `folder`, in order. A failure is logged and nothing else."""

    def __init__(self, agent: Agent, folder: Path, config: Callable[[], Config]) -> None:
        self._agent = agent
        self._folder = folder
        self._config = config

    async def run(self) -> None:
        """Run what the files ask for; nothing when they ask for nothing, or when no model is configured that could do it."""
        for step in (self._bootstrap, self._boot):
            try:
                await step()
            except StarpodError as error:
                logger.warning("%s did not run: %s", step.__name__.strip("_").upper() + ".md", error)

    async def _bootstrap(self) -> None:
        prompt = await self._prompt("BOOTSTRAP.md")
        if not prompt:
            return
        raw = await asyncio.to_thread((self._folder / "BOOTSTRAP.md").read_bytes)
        digest = hash_of(raw)
        for number in range(MOST_STARTS):
            submitted = await self._submit(prompt, "bootstrap", f"bootstrap-{digest}-{number}")
            ending = await self._ending(submitted)
            if ending == "done":
                return await self._empty(digest)
            if ending == "cut off" and submitted.is_duplicate:
                # It may have done most of its work, and been paid for: that is not done again without being asked.
                return logger.warning(
                    "BOOTSTRAP.md was cut off when the gateway stopped; edit it to have it run again, or empty it"
                )
            if not submitted.is_duplicate:
                return logger.warning("BOOTSTRAP.md failed; it stays for the next start")
        logger.warning("BOOTSTRAP.md failed %d times; edit it to have it tried again", MOST_STARTS)

    async def _boot(self) -> None:
        prompt = await self._prompt("BOOT.md")
        if prompt and await self._ending(await self._submit(prompt, "boot", f"boot-{uuid.uuid4()}")) != "done":
            logger.warning("BOOT.md failed")

    async def _prompt(self, name: str) -> str:
        prompt = await asyncio.to_thread(read_prompt, self._folder / name)
        if prompt and self._config().models[0] == OFFLINE:
            logger.info("%s is not run: there is no language model yet", name)
            return ""
        return prompt

    async def _submit(self, prompt: str, user: str, known_as: str) -> Submitted:
        key = SessionKey("main", "main", user)
        return await self._agent.submit(
            TurnRequest(
                prompt, key, is_admin=True, client_message_id=known_as, follow_up="queue", triggered_by=f"__{user}__"
            )
        )

    async def _ending(self, submitted: Submitted) -> Ending:
        turn = submitted.turn
        if turn is not None:
            await turn.ended.wait()
            events = turn.events
        else:
            events = await self._agent.replay(NOBODY, submitted.session_id, submitted.turn_id)
        end = next((each.event for each in reversed(events) if isinstance(each.event, StreamEnded)), None)
        if end is None or end.interrupted:
            return "cut off"
        return "failed" if end.is_error or end.stopped else "done"

    async def _empty(self, digest: str) -> None:
        writer = Writer("bootstrap", True, "tool")
        try:
            await self._agent.memory.write(writer, "BOOTSTRAP.md", "", expected_hash=digest)
        except Conflict:
            logger.info("BOOTSTRAP.md was edited while it ran; the new text runs at the next start")
