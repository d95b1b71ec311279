"""Asks people about tool calls, waits for their word, and remembers it where they want that.

What waits lives in memory: a gateway that stops ends the turn that waits. What is remembered is on disk.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from starpod.approvals import store
from starpod.approvals.types import Answer, Decision, Outcome, Question, Remember
from starpod.clock import Clock, format_time
from starpod.db.database import Database
from starpod.errors import NotFound
from starpod.sessions.types import Viewer

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Waiting:
    """A question and where its answer goes."""

    question: Question
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    decision: Decision | None = None
    remember: Remember = "once"


class Approvals:
    """One for the gateway. `ask` is for the turn engine; the rest for whoever lets people answer: sockets, HTTP, chat channels."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}
        self._listeners: list[Callable[[Question], None]] = []

    def subscribe(self, listener: Callable[[Question], None]) -> Callable[[], None]:
        """Call `listener`, which returns at once, with every question that begins to wait; the returned function ends that.

        Whoever follows the turn hears of it there anyway; this is for those who do not.
        """
        self._listeners.append(listener)

        def unsubscribe() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return unsubscribe

    def question(
        self, *, user_id: str, session_id: str, turn_id: str, tool_use_id: str, tool_name: str, subject: str,
        arguments: dict[str, object], timeout_s: float,
    ) -> Question:  # fmt: skip
        """A question about a call, not yet asked."""
        now = self._clock.now()
        return Question(
            id=uuid.uuid4().hex,
            user_id=user_id,
            session_id=session_id,
            turn_id=turn_id,
            tool_use_id=tool_use_id,
            tool_name=tool_name,
            subject=subject,
            input=arguments,
            asked_at=format_time(now),
            expires_at=format_time(now + timedelta(seconds=timeout_s)),
        )

    async def remembered(self, question: Question) -> Decision | None:
        """What the owner has said about this before, for this session or for ever."""
        answer = await self._database.read(
            store.find, question.user_id, question.tool_name, question.subject, question.session_id
        )
        return None if answer is None else answer.decision

    async def ask(self, question: Question, *, timeout_s: float, told: Callable[[Outcome, Remember], None]) -> Outcome:
        """Wait for an answer, at most `timeout_s` seconds. `told` hears the outcome in any case, also when the wait is cancelled."""
        waiting = self._waiting[question.id] = _Waiting(question)
        outcome: Outcome = "withdrawn"
        try:
            self._tell(question)
            async with asyncio.timeout(timeout_s):
                await waiting.answered.wait()
        except TimeoutError:
            outcome = "timeout"
        finally:
            if waiting.decision is not None:
                outcome = "approved" if waiting.decision == "approve" else "denied"
            self._waiting.pop(question.id, None)
            told(outcome, waiting.remember)
        return outcome

    async def answer(
        self, viewer: Viewer, session_id: str, question_id: str, decision: Decision, remember: Remember = "once"
    ) -> None:
        """Let the owner of a session answer. NotFound when nothing with this id waits there: answered, timed out, or not theirs."""
        waiting = self._waiting.get(question_id)
        if waiting is None or waiting.question.session_id != session_id or not owns(viewer, waiting.question.user_id):
            raise NotFound("There is no such question waiting: it may have been answered, or its time is over")
        # Taken before anything is awaited: two answers at once must not both count.
        del self._waiting[question_id]
        waiting.decision, waiting.remember = decision, remember
        try:
            if remember != "once":
                await self._database.run(store.save, self._answer(waiting.question, decision, remember))
        finally:
            waiting.answered.set()

    def waiting(self, viewer: Viewer, session_id: str | None = None) -> list[Question]:
        """What waits for this viewer, the oldest first."""
        questions = [waiting.question for waiting in self._waiting.values()]
        return [q for q in questions if owns(viewer, q.user_id) and session_id in (None, q.session_id)]

    async def answers(self, viewer: Viewer) -> list[Answer]:
        """What is remembered of this viewer's answers, the newest first."""
        return await self._database.read(store.list_answers, viewer.owner_ids)

    async def forget(self, viewer: Viewer, answer_id: str) -> None:
        """Ask again next time. NotFound when the viewer has no such answer."""
        if not await self._database.run(store.delete, answer_id, viewer.owner_ids):
            raise NotFound("There is no such remembered answer")

    def _tell(self, question: Question) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(question)
            except Exception:
                logger.exception("a listener failed on a question")

    def _answer(self, question: Question, decision: Decision, remember: Literal["session", "forever"]) -> Answer:
        session_id = question.session_id if remember == "session" else None
        return Answer(
            uuid.uuid4().hex,
            question.user_id,
            question.tool_name,
            question.subject,
            decision,
            session_id,
            format_time(self._clock.now()),
        )


def owns(viewer: Viewer, user_id: str) -> bool:
    """Whether what waits for `user_id` is this viewer's to answer."""
    return viewer.owner_ids is None or user_id in viewer.owner_ids
