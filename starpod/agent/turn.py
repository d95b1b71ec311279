"""One turn in memory: its numbered events, those who follow it, and what may still be added to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from starpod.agent.store import Begun
from starpod.agent.types import Follower, Published, StreamEnded, TurnEvent, TurnRequest, TurnState, UsageRow
from starpod.config.schema import Config
from starpod.tools.types import OutgoingFile
from starpod.usage.budget_types import Hold

NOTHING_USED = UsageRow(0, 0, 0, 0, 0.0, False, "chat", "", "")


@dataclass(slots=True)
class ModelCall:
    """A model call that is under way: who was asked, how much was sent (tokens, estimated), and what came so far."""

    provider: str
    model: str
    input_estimate: int
    said: list[str] = field(default_factory=list)
    guessed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A message that waits to be put into the running turn."""

    message_id: int
    user_json: str


class Turn:
    """A user message and all that the agent does to answer it. Lives on the event loop; belongs to its session, not to a connection."""

    def __init__(
        self,
        *,
        turn_id: str,
        session_id: str,
        request: TurnRequest,
        config: Config,
        user_json: str,
        begun: Begun | None = None,
        skill: str | None = None,
    ) -> None:
        self.id = turn_id
        self.session_id = session_id
        # Its files are in the home and in `user_json`: a third copy of them would stay until the turn is forgotten.
        self.request = replace(request, files=(), earlier=())
        self.config = config
        self.user_json = user_json
        self.begun = begun
        self.skill = skill
        self.state: TurnState = "queued"
        self.events: list[Published] = []
        self.texts: list[str] = []
        self.error: str | None = None
        self.num_turns = 0
        self.is_accepting = False
        self.stop_requested = False
        self.follow_ups: list[FollowUp] = []
        self.outgoing: list[OutgoingFile] = []
        self.ended = asyncio.Event()
        self.end: StreamEnded | None = None
        self.usage = NOTHING_USED
        self.guess: UsageRow | None = None
        self.call: ModelCall | None = None
        self.hold: Hold | None = None
        self.is_over_budget = False
        self.task: asyncio.Task[None] | None = None
        self.go = asyncio.Event()
        self.has_slot = False
        self.ended_at = 0.0
        self._followers: list[Follower] = []

    @property
    def user_id(self) -> str:
        """Whose turn it is."""
        return self.request.key.user_id

    @property
    def text(self) -> str:
        """All that the assistant has said, one block a line."""
        return "\n".join(self.texts)

    def publish(self, event: TurnEvent) -> None:
        """Number an event and hand it to every follower, now: each pass of a busy loop that it waits for costs much."""
        published = Published(self.session_id, self.id, len(self.events) + 1, event)
        self.events.append(published)
        for follower in tuple(self._followers):
            follower(published)

    def follow(self, follower: Follower, *, after: int = 0) -> Callable[[], None]:
        """Replay the events behind `after`, then go on live; the returned function ends that."""
        for published in self.events[after:]:
            follower(published)
        self._followers.append(follower)

        def unfollow() -> None:
            if follower in self._followers:
                self._followers.remove(follower)

        return unfollow

    def book(self, usage: UsageRow) -> None:
        """Add a model call to what the turn used."""
        self.usage, self.guess = self.with_call(usage), None

    def with_call(self, usage: UsageRow) -> UsageRow:
        """What the turn used together with one more model call."""
        mine = self.usage
        return UsageRow(
            mine.input_tokens + usage.input_tokens,
            mine.output_tokens + usage.output_tokens,
            mine.cache_read + usage.cache_read,
            mine.cache_write + usage.cache_write,
            mine.cost_usd + usage.cost_usd,
            mine.is_estimate or usage.is_estimate,
            "chat",
            usage.provider,
            usage.model,
        )

    @property
    def has_followers(self) -> bool:
        """Whether anybody hears the answer."""
        return bool(self._followers)
