"""The tools that MCP clients get. They act as the person whose key the client has, with that person's rights, as the agent's own do."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace

from pydantic import Field

from starpod.agent.service import Agent
from starpod.agent.turn import Turn
from starpod.agent.types import TurnRequest
from starpod.errors import StarpodError
from starpod.sessions.service import Sessions, session_key
from starpod.sessions.types import SessionKey, Viewer
from starpod.tools.cron import cron_tools
from starpod.tools.memory import memory_tools
from starpod.tools.memory_search import memory_search_tools
from starpod.tools.types import Arguments, ToolContext, ToolFailure, ToolSpec

NOBODY = "admin"
# What the agent's own tools are called here, and what they are good for to somebody who is not the agent.
OFFERED = {
    "MemorySearch": ("memory_search", "Search what the agent remembers: memory files, daily logs and conversations."),
    "MemoryRead": ("memory_read", "Read a memory file of the person's, or some of its lines."),
    "MemoryWrite": (
        "memory_write",
        "Write a memory file of the person's. Replacing needs the whole content: read it first.",
    ),
    "MemoryAppendDaily": ("memory_append_daily", "Add an entry to the person's log of today."),
    "CronList": ("list_jobs", "The jobs that the agent does by itself, with their next runs."),
    "CronRun": ("run_job", "Run a job now, in the background."),
    "CronRuns": ("job_runs", "How the last runs of a job went."),
}
CHANGING = frozenset({"memory_write", "memory_append_daily", "run_job", "ask_agent"})


class SessionSearchArguments(Arguments):
    query: str = Field(description="Words of the title or of what was said")
    limit: int = Field(default=10, ge=1, le=50, description="How many sessions at most")


class AskArguments(Arguments):
    message: str = Field(description="What to say to the agent")
    session: str | None = Field(
        default=None, description="Name of a conversation to go on with; each name has one. A new one when left out"
    )
    model: str | None = Field(
        default=None, description="provider/model of the gateway's list; its default when left out"
    )


class McpTools:
    """All tools by name, in the order in which clients see them."""

    def __init__(self, agent: Agent, sessions: Sessions) -> None:
        self._agent = agent
        self._sessions = sessions
        own = (
            *memory_search_tools(agent.memory_index),
            *memory_tools(agent.memory),
            *cron_tools(agent.jobs, is_admin=False),
        )
        specs = [
            replace(spec, name=OFFERED[spec.name][0], description=OFFERED[spec.name][1])
            for spec in own
            if spec.name in OFFERED
        ]
        specs += [
            ToolSpec("session_search", "Search conversations by words.", SessionSearchArguments, self._search_sessions),
            ToolSpec("ask_agent", "Say something to the agent and get its answer.", AskArguments, self._ask),
        ]
        self.by_name = {spec.name: spec for spec in specs}

    def context(self, viewer: Viewer) -> ToolContext:
        """On whose behalf a call acts. No session and no turn stand behind it."""
        user_id = viewer.user_id or NOBODY
        return ToolContext(
            user_id=user_id,
            session_id="",
            turn_id="",
            home=self._agent.home_of(user_id, is_admin=viewer.is_admin),
            role="admin" if viewer.is_admin else "user",
            attach=lambda file: None,
            max_attachment_bytes=0,
        )

    async def _search_sessions(self, context: ToolContext, arguments: SessionSearchArguments) -> str:
        viewer = Viewer(context.user_id, context.role == "admin")
        hits = await self._sessions.search(viewer, arguments.query, limit=arguments.limit)
        shown = ("session_id", "title", "last_message_at", "role", "snippet")
        found = [{name: value for name, value in asdict(hit).items() if name in shown} for hit in hits]
        return json.dumps(found, ensure_ascii=False)

    async def _ask(self, context: ToolContext, arguments: AskArguments) -> str:
        key = session_key("main", arguments.session, context.user_id)
        request = TurnRequest(
            text=arguments.message,
            key=key,
            is_admin=context.role == "admin",
            model=arguments.model,
            follow_up="queue",
        )
        try:
            submitted = await self._agent.submit(request)
        except StarpodError as error:
            raise ToolFailure(str(error)) from error
        assert submitted.turn is not None  # only a message with an id of the client's can be known already
        return await self._answer(submitted.turn, None if arguments.session else key)

    async def _answer(self, turn: Turn, new_key: SessionKey | None) -> str:
        """Wait for the turn. A call that its client cancels stops it."""
        unfollow = turn.follow(lambda published: None)
        try:
            await turn.ended.wait()
        except asyncio.CancelledError:
            self._agent.turns.stop(turn.session_id, turn.id)
            raise
        finally:
            unfollow()
        if turn.end is None or turn.end.is_error:
            raise ToolFailure("; ".join(filter(None, (turn.text, turn.error or "the agent did not answer"))))
        if new_key is None:
            return turn.text
        return f"{turn.text}\n\n[To go on with this conversation, call ask_agent with the session {new_key.key}]"
