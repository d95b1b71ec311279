"""Carries out a job: its prompt goes to the agent as a message of its owner, and the answer is the result."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starpod.agent.service import Agent
from starpod.agent.turns import Submitted
from starpod.agent.types import Published, StreamEnded, TextDelta, TurnRequest
from starpod.cron import store
from starpod.cron.types import HEARTBEAT, Claim, Outcome
from starpod.db.database import Database
from starpod.sessions.types import SessionKey, Viewer

HEARTBEAT_OWNER = "heartbeat"
NOBODY = Viewer(None, True)


class JobRunner:
    """Runs claims as turns. A run that is tried again after a crash first asks whether the answer is stored already."""

    def __init__(self, agent: Agent, database: Database, heartbeat_file: Path) -> None:
        self._agent = agent
        self._database = database
        self._heartbeat_file = heartbeat_file

    async def run(self, claim: Claim) -> Outcome:
        """The outcome of a claim. StarpodError when it cannot be begun; a cancelled run stops its turn."""
        job = claim.job
        owner, is_admin = store.owner_of(job), True
        if job.user_id is not None:
            state = await self._database.read(store.owner_state, job.user_id)
            if state is None or not state[0]:
                return Outcome("", None, "The owner of the job may not sign in any more")
            is_admin = state[1]
        prompt = job.prompt
        if job.name == HEARTBEAT and job.user_id is None:
            prompt, owner = await asyncio.to_thread(read_prompt, self._heartbeat_file), HEARTBEAT_OWNER
            if not prompt:
                return Outcome("skipped", None, is_silent=True)
        key = SessionKey("main", "main" if job.session_mode == "main" else f"job-{claim.run_id}", owner)
        for attempt in dict.fromkeys((0, claim.attempt)):
            submitted = await self._agent.submit(
                TurnRequest(
                    prompt,
                    key,
                    is_admin=is_admin,
                    model=job.model,
                    client_message_id=f"job-{job.id}-{claim.due_at}-{attempt}",
                    follow_up="queue",
                    triggered_by=job.name,
                )
            )
            outcome = await self._outcome(submitted)
            if not submitted.is_duplicate or outcome.error is None:
                return outcome
        return outcome

    async def _outcome(self, submitted: Submitted) -> Outcome:
        events = await self._events(submitted)
        end = next((each.event for each in reversed(events) if isinstance(each.event, StreamEnded)), None)
        texts = [each.event.text for each in events if isinstance(each.event, TextDelta)]
        cost = await self._database.read(store.cost_of_turn, submitted.turn_id)
        await self._database.run(store.mark_unread, submitted.session_id)
        error = None
        if end is None or end.interrupted:
            error = "The run was cut off"
        elif end.is_error:
            error = "; ".join(end.errors) or "The agent failed"
        elif end.stopped:
            error = "The run was stopped"
        return Outcome("".join(texts).strip(), submitted.session_id, error, cost)

    async def _events(self, submitted: Submitted) -> list[Published]:
        turn = submitted.turn
        if turn is None:
            return await self._agent.replay(NOBODY, submitted.session_id, submitted.turn_id)
        try:
            await turn.ended.wait()
        except asyncio.CancelledError:
            self._agent.turns.stop(submitted.session_id, submitted.turn_id)
            raise
        return turn.events


def read_prompt(path: Path) -> str:
    """What a prompt file asks for; empty when it has nothing but headings, comments and blank lines, or cannot be read."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
    return text.strip() if has_content(text) else ""


def has_content(text: str) -> bool:
    """Whether a prompt file says anything beside headings, HTML comments, empty list items and blank lines."""
    while (start := text.find("<!--")) >= 0:
        end = text.find("-->", start)
        text = text[:start] + (text[end + 3 :] if end >= 0 else "")
    lines = (line.strip() for line in text.splitlines())
    return any(line.strip("-*+ []xX\t") for line in lines if not line.startswith("#"))
