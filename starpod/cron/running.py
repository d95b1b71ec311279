"""Carries out a job: its prompt goes to the agent as a message of its owner, and the answer is the result."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starpod.agent.service import Agent
from starpod.agent.turns import Submitted
from starpod.agent.types import Published, StreamEnded, TextDelta, TurnRequest
from starpod.cron import store
from starpod.cron.prompts import read_prompt
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
        for known_as in _names(claim):
            submitted = await self._agent.submit(
                TurnRequest(
                    prompt,
                    key,
                    is_admin=is_admin,
                    model=job.model,
                    client_message_id=known_as,
                    follow_up="queue",
                    triggered_by=job.name,
                )
            )
            outcome = await self._outcome(submitted)
            if not submitted.is_duplicate or outcome.error is None:
                break
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


def _names(claim: Claim) -> list[str]:
    """What the message may be known as already. An earlier attempt that was cut off may have been answered whole."""
    if claim.trigger == "manual":
        return [f"job-{claim.run_id}"]
    return [f"job-{claim.job.id}-{claim.due_at}-{attempt}" for attempt in range(claim.attempt + 1)]
