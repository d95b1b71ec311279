"""The turn engine: one turn at a time per session, sessions side by side, nothing tied to a connection."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from starpod.agent import branch_store, store
from starpod.agent.slots import Slots
from starpod.agent.store import Accepted
from starpod.agent.turn import FollowUp, Turn
from starpod.agent.types import TurnRequest, UserMessageAdded
from starpod.clock import Clock
from starpod.config.schema import Config
from starpod.db.database import Database
from starpod.errors import Unavailable
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

RunTurn = Callable[[Turn], Awaitable[None]]
Activity = Literal["busy", "guessed", "paid", "idle"]
"""A turn begins; a model call under way makes it dearer, by an estimate; it has paid for one and goes on; it leaves its
session with nothing more to do."""
Watcher = Callable[[Turn, Activity], None]


@dataclass(slots=True)
class _Lane:
    """A session that has something to do."""

    current: Turn | None = None
    waiting: deque[Turn] = field(default_factory=deque)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A message that passed every check: its configuration, its form for the model, and the names its files were saved under.

    `skill` names the skill that it called by `/name`; `earlier` is what the model is to hear before it.
    """

    config: Config
    user_json: str
    model: str
    saved_as: tuple[str, ...] = ()
    gap: timedelta | None = None
    skill: str | None = None
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Submitted:
    """A message that is stored. `turn` is None when the message was known and its turn is no longer in memory: ask `replay`."""

    session_id: str
    turn_id: str
    turn: Turn | None
    is_duplicate: bool
    is_follow_up: bool
    message_id: int


def submitted(turn: Turn | None, accepted: Accepted) -> Submitted:
    """What became of a message, as `Turns.submit` and `Turns.branch` tell it."""
    return Submitted(
        accepted.session_id,
        turn.id if turn is not None else accepted.turn_id,
        turn,
        accepted.kind == "duplicate",
        accepted.kind == "injected",
        accepted.message_id,
    )


class Turns:
    """Accepts messages, runs their turns, keeps finished ones for a while so that late readers catch up."""

    def __init__(self, database: Database, clock: Clock, tasks: TaskSet, run_turn: RunTurn) -> None:
        self._database = database
        self._clock = clock
        self._tasks = tasks
        self._run_turn = run_turn
        self._lanes: dict[str, _Lane] = {}
        self._live: dict[str, Turn] = {}
        self._finished: OrderedDict[str, Turn] = OrderedDict()
        self._is_closing = False
        self._slots = Slots()
        self._watchers: list[Watcher] = []

    def __len__(self) -> int:
        return len(self._live)

    def watch(self, watcher: Watcher) -> Callable[[], None]:
        """Tell `watcher` what turns are about, whoever follows them; the returned function ends that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def tell(self, turn: Turn, activity: Activity) -> None:
        """Tell those who watch."""
        for watcher in tuple(self._watchers):
            watcher(turn, activity)

    @property
    def running_count(self) -> int:
        """How many of them are being answered; the others wait."""
        return self._slots.taken

    async def submit(self, request: TurnRequest, prepared: Prepared) -> tuple[Turn | None, Accepted]:
        """Store a message and see to its turn. The turn is None for one that ended before this process knew of it (a duplicate).

        Raises Conflict when the session's queue is full, Unavailable while shutting down. When this returns, the message is on disk.
        """
        if self._is_closing:
            raise Unavailable("The gateway is shutting down. Send the message again in a moment.")
        turn_id = str(uuid.uuid4())
        accepted = await self._database.run(
            store.accept,
            request,
            turn_id=turn_id,
            user_json=prepared.user_json,
            model=prepared.model,
            injectable=self._injectable(request, prepared.config),
            queue_limit=prepared.config.turns.queue_limit,
            gap=prepared.gap,
            now=self._clock.now(),
            earlier=prepared.earlier,
        )
        match accepted.kind:
            case "duplicate":
                return self.find(accepted.turn_id), accepted
            case "injected":
                return await self._inject(request, prepared, accepted), accepted
            case "new":
                turn = Turn(
                    turn_id=turn_id,
                    session_id=accepted.session_id,
                    request=request,
                    config=prepared.config,
                    user_json=prepared.user_json,
                    begun=accepted.begun,
                    skill=prepared.skill,
                )
                self._enqueue(turn)
                return turn, accepted

    async def branch(
        self, request: TurnRequest, prepared: Prepared, *, session_id: str, beside: str, texts: tuple[str, ...]
    ) -> tuple[Turn | None, Accepted]:
        """Answer in place of the turn `beside`, from the same past. As `submit`; Conflict while the session is busy."""
        if self._is_closing:
            raise Unavailable("The gateway is shutting down. Try again in a moment.")
        turn_id = str(uuid.uuid4())
        accepted = await self._database.run(
            branch_store.accept,
            request,
            session_id=session_id,
            beside=beside,
            texts=texts,
            turn_id=turn_id,
            user_json=prepared.user_json,
            model=prepared.model,
            now=self._clock.now(),
        )
        if accepted.kind == "duplicate":
            return self.find(accepted.turn_id), accepted
        turn = Turn(
            turn_id=turn_id,
            session_id=session_id,
            request=request,
            config=prepared.config,
            user_json=prepared.user_json,
            begun=accepted.begun,
            skill=prepared.skill,
        )
        self._enqueue(turn)
        return turn, accepted

    async def halt(self, session_id: str) -> None:
        """Stop everything that runs or waits in a session, and wait until it has ended."""
        while (lane := self._lanes.get(session_id)) is not None:
            turns = [turn for turn in (*lane.waiting, lane.current) if turn is not None]
            for turn in turns:
                self.stop(session_id, turn.id)
            await asyncio.gather(*(turn.ended.wait() for turn in turns))

    def forget(self, session_id: str) -> None:
        """Drop the ended turns of a session: storage knows better which of them is shown."""
        for turn in [turn for turn in self._finished.values() if turn.session_id == session_id]:
            del self._finished[turn.id]

    def find(self, turn_id: str) -> Turn | None:
        """A turn that runs, waits, or ended a short while ago."""
        return self._live.get(turn_id) or self._finished.get(turn_id)

    def current(self, session_id: str) -> Turn | None:
        """The turn that a session is busy with, else the last one that ended a short while ago."""
        lane = self._lanes.get(session_id)
        if lane is not None and lane.current is not None:
            return lane.current
        return next((turn for turn in reversed(self._finished.values()) if turn.session_id == session_id), None)

    def running_session_ids(self) -> set[str]:
        """Sessions that are being answered."""
        return set(self._lanes)

    def running_sessions_of(self, owner_ids: tuple[str, ...] | None) -> list[str]:
        """Sessions of these owners (None: of all) that are being answered."""
        live = self._live.values()
        return sorted({turn.session_id for turn in live if owner_ids is None or turn.user_id in owner_ids})

    def running_ids(self) -> set[str]:
        """Turns that run or wait."""
        return set(self._live)

    def stop(self, session_id: str, turn_id: str | None = None) -> bool:
        """End the session's running turn, or the named one if it still waits; False when there is nothing to stop."""
        lane = self._lanes.get(session_id)
        if lane is None:
            return False
        targets = [lane.current, *lane.waiting] if turn_id else [lane.current]
        for turn in targets:
            if (
                turn is not None
                and turn.id == (turn_id or turn.id)
                and not turn.stop_requested
                and turn.task is not None
            ):
                turn.stop_requested = True
                turn.is_accepting = False
                turn.task.cancel()
                return True
        return False

    async def stop_user(self, user_id: str, *, timeout_s: float = 5.0) -> int:
        """End all that runs or waits for a user, and wait until it is stored; returns how many turns that were."""
        turns = [turn for turn in self._live.values() if turn.user_id == user_id and turn.task is not None]
        for turn in turns:
            if not turn.stop_requested and turn.task is not None:
                turn.stop_requested = True
                turn.is_accepting = False
                turn.task.cancel()
        tasks = [turn.task for turn in turns if turn.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=timeout_s)
        return len(turns)

    def sweep(self, config: Config) -> None:
        """Forget turns that ended too long ago, or are too many."""
        horizon = self._clock.monotonic() - config.turns.retain_secs
        while self._finished:
            oldest = next(iter(self._finished.values()))
            if len(self._finished) <= config.turns.retain_count and oldest.ended_at > horizon:
                break
            del self._finished[oldest.id]

    async def close(self, *, grace_s: float) -> None:
        """Accept nothing more, let what runs finish for `grace_s` seconds, then cut it off; it is stored as interrupted."""
        self._is_closing = True
        running = {turn.task: turn for turn in self._live.values() if turn.task is not None}
        if running:
            _, late = await asyncio.wait(running, timeout=grace_s)
            for task in late:
                # One that was stopped is at its end already; a second cancellation would cut off the storing of that.
                if not running[task].stop_requested:
                    task.cancel()
            if late:
                await asyncio.wait(late, timeout=5.0)

    def _injectable(self, request: TurnRequest, config: Config) -> dict[str, str]:
        """Session id to turn id of this user's turns that would take a follow-up."""
        if (request.follow_up or config.followup_mode) != "inject":
            return {}
        return {
            turn.session_id: turn.id
            for turn in self._live.values()
            if turn.is_accepting and turn.user_id == request.key.user_id and request.model in (None, turn.request.model)
        }

    async def _inject(self, request: TurnRequest, prepared: Prepared, accepted: Accepted) -> Turn:
        turn = self._live.get(accepted.turn_id)
        if turn is not None and turn.is_accepting:
            turn.follow_ups.append(FollowUp(accepted.message_id, prepared.user_json))
            turn.publish(UserMessageAdded(request.text, accepted.message_id))
            return turn
        # It ended while the message was being stored: the message gets a turn of its own.
        turn_id = str(uuid.uuid4())
        begun = await self._database.run(
            store.promote,
            request,
            session_id=accepted.session_id,
            message_id=accepted.message_id,
            turn_id=turn_id,
            user_json=prepared.user_json,
            model=prepared.model,
            now=self._clock.now(),
        )
        turn = Turn(
            turn_id=turn_id,
            session_id=accepted.session_id,
            request=request,
            config=prepared.config,
            user_json=prepared.user_json,
            begun=begun,
            skill=prepared.skill,
        )
        self._enqueue(turn)
        return turn

    def _enqueue(self, turn: Turn) -> None:
        self._live[turn.id] = turn
        lane = self._lanes.setdefault(turn.session_id, _Lane())
        turn.task = self._tasks.spawn(self._drive(turn), name=f"turn.{turn.id}")
        if lane.current is None:
            lane.current = turn
            self._slots.ask(turn)
        else:
            lane.waiting.append(turn)

    async def _drive(self, turn: Turn) -> None:
        self.tell(turn, "busy")
        try:
            await self._run_turn(turn)
        finally:
            self._leave(turn)
            if turn.session_id not in self._lanes:
                self.tell(turn, "idle")

    def _leave(self, turn: Turn) -> None:
        turn.is_accepting = False
        self._live.pop(turn.id, None)
        turn.ended_at = self._clock.monotonic()
        # From here on it is only heard again; the message for the model, which has images in it, is stored.
        turn.user_json, turn.begun = "", None
        turn.follow_ups.clear()
        self._finished[turn.id] = turn
        self.sweep(turn.config)
        turn.ended.set()
        self._slots.leave(turn)
        lane = self._lanes[turn.session_id]
        if lane.current is turn:
            lane.current = None
            if lane.waiting:
                lane.current = lane.waiting.popleft()
                self._slots.ask(lane.current)
            else:
                del self._lanes[turn.session_id]
        elif turn in lane.waiting:
            lane.waiting.remove(turn)
        self._slots.hand_out()
