"""Carries out a job: its prompt goes to the agent as a message of its owner, and the answer is the result."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from starpod.agent.service import Agent
from starpod.agent.turns import Submitted
from starpod.agent.types import Published, StreamEnded, TextDelta, TurnRequest
from starpod.cron import store
from starpod.cron.prompts import read_prompt
from starpod.cron.types import HEARTBEAT, Claim, Outcome, message_name
from starpod.db.database import Database
from starpod.sessions.types import SessionKey, Viewer

STOPS_WITHIN_S = 10.0
NOBODY = Viewer(None, True)


class JobRunner:
    """Runs claims as turns. A run that is tried again after a crash first asks whether the answer is stored already."""

    def __init__(self, agent: Agent, database: Database, heartbeat_file: Path) -> None:
        self._agent = agent
        self._database = database
        self._heartbeat_file = heartbeat_file

    async def run(self, claim: Claim) -> Outcome:
        """The outcome of a claim, when the job's time is over at the latest. A cancelled run stops its turn.

        StarpodError when it cannot be begun.
        """
        job = claim.job
        until = asyncio.get_running_loop().time() + job.timeout_secs
        owner, is_admin = store.owner_of(job), True
        if job.user_id is not None:
            state = await self._database.read(store.owner_state, job.user_id)
            if state is None or not state[0]:
                return Outcome("", None, "The owner of the job may not sign in any more")
            is_admin = state[1]
        prompt = job.prompt
        if job.name == HEARTBEAT and job.user_id is None:
            prompt = await asyncio.to_thread(read_prompt, self._heartbeat_file)
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
            outcome = await self._outcome(submitted, claim, until)
            is_late = asyncio.get_running_loop().time() >= until
            if not submitted.is_duplicate or outcome.error is None or is_late:
                break
        return outcome

    async def _outcome(self, submitted: Submitted, claim: Claim, until: float) -> Outcome:
        events, is_late = await self._events(submitted, claim.run_id, until)
        end = next((each.event for each in reversed(events) if isinstance(each.event, StreamEnded)), None)
        texts = [each.event.text for each in events if isinstance(each.event, TextDelta)]
        cost = await self._database.read(store.cost_of_turn, submitted.turn_id)
        await self._database.run(store.mark_unread, submitted.session_id)
        error = None
        if is_late:
            error = f"Timed out after {claim.job.timeout_secs} s"
        elif end is None or end.interrupted:
            error = "The run was cut off"
        elif end.is_error:
            error = "; ".join(end.errors) or "The agent failed"
        elif end.stopped:
            error = "The run was stopped"
        return Outcome("".join(texts).strip(), submitted.session_id, error, cost)

    async def _events(self, submitted: Submitted, run_id: str, until: float) -> tuple[list[Published], bool]:
        """What a turn did, and whether it was stopped because its time was over."""
        turn, is_late = submitted.turn, False
        if turn is None:
            return await self._agent.replay(NOBODY, submitted.session_id, submitted.turn_id), False
        try:
            async with asyncio.timeout_at(until):
                await self._database.run(store.note_session, run_id, submitted.session_id)
                await turn.ended.wait()
        except TimeoutError:
            # What it said and cost until now is stored as it ends.
            is_late = self._agent.turns.stop(submitted.session_id, submitted.turn_id)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOPS_WITHIN_S):
                    await turn.ended.wait()
        except asyncio.CancelledError:
            self._agent.turns.stop(submitted.session_id, submitted.turn_id)
            raise
        return turn.events, is_late


def _names(claim: Claim) -> list[str]:
    """What the message may be known as already. An earlier attempt that was cut off may have been answered whole."""
    attempts = [claim.attempt] if claim.trigger == "manual" else range(claim.attempt + 1)
    return [message_name(claim.job.id, claim.run_id, claim.due_at, attempt, claim.trigger) for attempt in attempts]
