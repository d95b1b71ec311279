"""How a turn becomes the answer to one request: waited for or streamed, and stopped when its client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from handlers.answers import SentFile
from handlers.chat import KEEP_ALIVE_S, files_of, stream_turn, texts_of
from handlers.openai.base import OpenAIHandler
from handlers.openai.shapes import Extras
from handlers.operations import EVENT_STREAM
from starpod.agent.turn import Turn
from starpod.agent.turns import Submitted
from starpod.agent.types import Published, StreamEnded, TextDelta, ToolUsed
from starpod.errors import StarpodError, Unavailable, Upstream
from starpod.usage.budget_types import BudgetExceeded

IDEMPOTENCY_KEY = "Idempotency-Key"
NOT_RUN = "The message was not answered"


@dataclass(frozen=True, slots=True)
class Answer:
    """What has come of a turn."""

    submitted: Submitted
    text: str
    end: StreamEnded
    files: tuple[SentFile, ...] = ()
    is_over_budget: bool = False

    @property
    def failure(self) -> StarpodError | None:
        """Why there is no whole answer; None for one that is, or that a person stopped."""
        if not self.end.is_error:
            return None
        text = "; ".join(self.end.errors) or NOT_RUN
        if self.end.interrupted:
            return Unavailable(f"The answer was interrupted: {text}")
        return BudgetExceeded(text) if self.is_over_budget else Upstream(text)

    @property
    def extras(self) -> Extras:
        """What the protocol has no place for: where the conversation is, and the files that the agent sent."""
        body: Extras = {"session_id": self.submitted.session_id, "turn_id": self.submitted.turn_id}
        if self.files:
            body["attachments"] = list(self.files)
        return body


class Encoder(Protocol):
    """Tells a turn as the events of one of the protocol's streams."""

    def hear(self, published: Published) -> bytes:
        """What the stream says to an event; mostly nothing."""
        ...

    def end(self, answer: Answer) -> bytes:
        """The last events."""
        ...


class Between:
    """Puts a line's end between the texts of a turn, so that a stream says what the whole answer says."""

    def __init__(self) -> None:
        self._has_spoken = False
        self._was_cut = False

    def text(self, published: Published) -> str:
        """The text that an event adds to the answer; empty for every event but a delta."""
        if not isinstance(published.event, TextDelta):
            self._was_cut = self._has_spoken
            return ""
        text = f"\n{published.event.text}" if self._was_cut else published.event.text
        self._has_spoken, self._was_cut = True, False
        return text


def answer_of(submitted: Submitted, events: Sequence[Published], *, is_over_budget: bool = False) -> Answer:
    """The answer that events tell. Raises Upstream when the turn has not run."""
    end = next((each.event for each in reversed(events) if isinstance(each.event, StreamEnded)), None)
    if end is None:
        raise Upstream(NOT_RUN)
    return Answer(submitted, "\n".join(texts_of(events)), end, tuple(files_of(events)), is_over_budget)


async def whole(handler: OpenAIHandler, submitted: Submitted) -> Answer:
    """Wait for the answer. Raises its failure."""
    turn = submitted.turn
    if turn is None:
        answer = await _again(handler, submitted)
    else:
        # Who waits for the answer follows the turn; when the client goes away, the answer will be unread.
        unfollow = turn.follow(lambda published: None)
        _stop_when_gone(handler, turn, otherwise=unfollow)
        await turn.ended.wait()
        answer = answer_of(submitted, turn.events, is_over_budget=turn.is_over_budget)
    if answer.failure is not None:
        raise answer.failure
    return answer


async def streamed(handler: OpenAIHandler, submitted: Submitted, encoder: Encoder) -> None:
    """Stream the answer. What fails before the agent has said anything is raised, and so gets a status that clients understand."""
    turn = submitted.turn
    if turn is None:
        answer = await _again(handler, submitted)
        events = await handler.state.agent.replay(handler.viewer, submitted.session_id, submitted.turn_id)
        handler.set_header("Content-Type", EVENT_STREAM)
        return await handler.finish(b"".join(encoder.hear(each) for each in events) + encoder.end(answer))
    _stop_when_gone(handler, turn)
    await _first_sign(turn)
    if turn.end is not None and turn.end.is_error:
        answer = answer_of(submitted, turn.events, is_over_budget=turn.is_over_budget)
        if answer.failure is not None and not answer.text:
            raise answer.failure
    await stream_turn(
        handler,
        turn,
        encode=encoder.hear,
        at_end=lambda: encoder.end(answer_of(submitted, turn.events, is_over_budget=turn.is_over_budget)),
    )


async def _again(handler: OpenAIHandler, submitted: Submitted) -> Answer:
    """The answer to a message that was sent a second time, from storage."""
    return answer_of(
        submitted, await handler.state.agent.replay(handler.viewer, submitted.session_id, submitted.turn_id)
    )


async def _first_sign(turn: Turn) -> None:
    """Wait until the agent speaks, uses a tool or is done, but no longer than proxies keep a silent request."""
    came = asyncio.Event()

    def hear(published: Published) -> None:
        if isinstance(published.event, TextDelta | ToolUsed | StreamEnded):
            came.set()

    unfollow = turn.follow(hear)
    try:
        async with asyncio.timeout(KEEP_ALIVE_S):
            await came.wait()
    except TimeoutError:
        return
    finally:
        unfollow()


def _stop_when_gone(handler: OpenAIHandler, turn: Turn, otherwise: Callable[[], object] = lambda: None) -> None:
    """A client of this protocol that hangs up wants no more of the answer, unless it has named the request to ask for it again."""
    if IDEMPOTENCY_KEY in handler.request.headers:
        handler.when_gone(otherwise)
    else:
        handler.when_gone(lambda: handler.state.agent.turns.stop(turn.session_id, turn.id))
