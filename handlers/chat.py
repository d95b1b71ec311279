"""`POST /api/chat`: one message, answered whole or as a stream of server-sent events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

import tornado.iostream

from handlers import wire
from handlers.answers import ChatAnswer, FailedChat, SentFile
from handlers.base import BaseHandler
from handlers.operations import EVENT_STREAM
from handlers.schemas import ChatMessage
from starpod.agent.turn import Turn
from starpod.agent.turns import Submitted
from starpod.agent.types import AttachmentSent, Published, StreamEnded, TextDelta, TurnRequest
from starpod.auth.types import User
from starpod.errors import InvalidInput, Upstream
from starpod.sessions.service import session_key

logger = logging.getLogger(__name__)

KEEP_ALIVE_S = 15.0
CHAT_BODY_LIMIT = 64 * 1024 * 1024
CHAT_VALUES = 300_000
Encode = Callable[[Published], bytes]


def to_request(message: ChatMessage, user: User | None) -> TurnRequest:
    """A client's message as the agent takes it. A signed-in user is who he is, whatever the message says."""
    user_id = user.id if user is not None else message.user_id or "admin"
    return TurnRequest(
        text=message.text,
        key=session_key(message.channel_id, message.channel_session_key, user_id),
        is_admin=user is None or user.role == "admin",
        model=message.model,
        files=tuple(attachment.to_file() for attachment in message.attachments),
        client_message_id=message.client_message_id,
        follow_up=message.follow_up,
    )


def texts_of(events: Iterable[Published]) -> list[str]:
    """The texts of a turn, one for each time that the assistant spoke between tool calls."""
    texts: list[str] = []
    block: list[str] = []
    for published in events:
        match published.event:
            case TextDelta(text):
                block.append(text)
            case _ if block:
                texts.append("".join(block))
                block = []
    return [*texts, "".join(block)] if block else texts


def result_of(turn_id: str, session_id: str, events: list[Published], end: StreamEnded) -> ChatAnswer:
    """The JSON answer. `input_tokens` is the part that was not cached."""
    fresh = end.input_tokens - end.cache_read_input_tokens - end.cache_creation_input_tokens
    body: ChatAnswer = {
        "text": "\n".join(texts_of(events)),
        "session_id": session_id,
        "turn_id": turn_id,
        "usage": {
            "input_tokens": fresh,
            "output_tokens": end.output_tokens,
            "cache_read_tokens": end.cache_read_input_tokens,
            "cache_write_tokens": end.cache_creation_input_tokens,
            "cost_usd": end.cost_usd,
        },
        "is_error": end.is_error,
        "errors": end.errors,
        "stopped": end.stopped,
    }
    if files := files_of(events):
        body["attachments"] = files
    return body


def files_of(events: Iterable[Published]) -> list[SentFile]:
    """The files that the agent sent along."""
    files = [published.event for published in events if isinstance(published.event, AttachmentSent)]
    return [{"file_name": file.file_name, "mime_type": file.mime_type, "data": file.data} for file in files]


class EventStream:
    """Writes a turn's events to a response as they come, with a comment now and then so that proxies keep it open."""

    def __init__(self, handler: BaseHandler, encode: Encode) -> None:
        self._handler = handler
        self._encode = encode
        self._waiting: list[bytes] = []
        self._has_news = asyncio.Event()
        self._is_over = False

    def hear(self, published: Published) -> None:
        """Take an event."""
        self._add(self._encode(published))

    def finish(self, last: bytes) -> None:
        """No more events will come; `last` is to be written at the end."""
        self._is_over = True
        self._add(last)

    def _add(self, data: bytes) -> None:
        if data:
            self._waiting.append(data)
        self._has_news.set()

    async def write(self) -> None:
        """Write until `finish`, or until the client is gone; the turn goes on without it."""
        self._handler.set_header("Content-Type", EVENT_STREAM)
        self._handler.set_header("X-Accel-Buffering", "no")
        try:
            while True:
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        await self._has_news.wait()
                except TimeoutError:
                    self._waiting.append(b": still here\n\n")
                self._has_news.clear()
                if self._waiting:
                    data = b"".join(self._waiting)
                    self._waiting.clear()
                    self._handler.write(data)
                    await self._handler.flush()
                if self._is_over and not self._waiting:
                    break
        except tornado.iostream.StreamClosedError:
            return


async def stream_turn(
    handler: BaseHandler,
    turn: Turn,
    *,
    after: int = 0,
    encode: Encode = wire.sse,
    at_end: Callable[[], bytes] = lambda: b"",
) -> None:
    """Send a turn's events behind `after`, then live, until it has ended; then what `at_end` returns."""
    stream = EventStream(handler, encode)
    unfollow = turn.follow(stream.hear, after=after)

    async def watch() -> None:
        await turn.ended.wait()
        last = b""
        try:
            last = at_end()
        except Upstream as error:
            logger.warning("a turn that was streamed has not run: %s", error)
        finally:
            stream.finish(last)

    watcher = handler.state.tasks.spawn(watch(), name="sse")
    try:
        await stream.write()
    finally:
        unfollow()
        watcher.cancel()


class ChatHandler(BaseHandler):
    """One message to the agent. A client that goes away does not end the turn."""

    body_limit = CHAT_BODY_LIMIT
    most_values = CHAT_VALUES

    async def post(self) -> None:
        message = await self.read_large_body(ChatMessage)
        try:
            submitted = await self.state.agent.submit(to_request(message, self.user))
        except InvalidInput as error:
            raise InvalidInput(f"Chat error: {error}", error.fields) from error
        await answer(self, submitted)


async def answer(handler: BaseHandler, submitted: Submitted) -> None:
    """Wait for a turn and answer with its result, or stream its events where the client accepts them."""
    agent, turn = handler.state.agent, submitted.turn
    wants_stream = EVENT_STREAM in handler.request.headers.get("Accept", "")
    if turn is not None and wants_stream:
        return await stream_turn(handler, turn)
    if turn is not None:
        # Who waits for the answer follows the turn; when the client goes away, the answer will be unread.
        handler.when_gone(turn.follow(lambda published: None))
        await turn.ended.wait()
        events = turn.events
    else:
        events = await agent.replay(handler.viewer, submitted.session_id, submitted.turn_id)
    end = next((p.event for p in reversed(events) if isinstance(p.event, StreamEnded)), None)
    if end is None:
        raise Upstream(f"Chat error: {turn.error if turn is not None and turn.error else 'the turn did not run'}")
    if wants_stream:
        handler.set_header("Content-Type", EVENT_STREAM)
        return await handler.finish(b"".join(wire.sse(published) for published in events))
    body = result_of(submitted.turn_id, submitted.session_id, events, end)
    if end.is_error and not body["text"]:
        failed: FailedChat = {"error": f"Chat error: {'; '.join(end.errors)}", **body}
        return handler.send_json(failed, 402 if turn is not None and turn.is_over_budget else 502)
    handler.send_json(body)
