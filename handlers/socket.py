"""`/ws`: messages in, events out. Reading a message only starts work, so a stop is heard while a turn runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import tornado.websocket
from pydantic_core import to_json

from handlers import wire
from handlers.base import COOKIE, RATE_LIMITED, SECURITY_HEADERS, note_request_id, presented_key, status_of
from handlers.chat import to_request
from handlers.events import ErrorMessage, Message
from handlers.outbox import Outbox
from handlers.schemas import (
    CLIENT_FRAME,
    AnswerFrame,
    CancelFrame,
    ClientFrame,
    EditFrame,
    MessageFrame,
    PingFrame,
    RegenerateFrame,
    ResumeFrame,
    parse,
)
from starpod.agent.turn import Turn
from starpod.agent.turns import Submitted
from starpod.agent.types import Published
from starpod.auth.limits import retry_after
from starpod.auth.origins import host_allowed, origin_allowed
from starpod.auth.types import MISS, User
from starpod.errors import InvalidInput, StarpodError, Unavailable
from starpod.events import AccessChanged
from starpod.sessions.types import Viewer
from starpod.tasks import TaskSet
from starpod.telemetry import ids

if TYPE_CHECKING:
    from starpod.app import Application
    from starpod.state import AppState

logger = logging.getLogger(__name__)

TOO_SLOW = "reading too slowly; reconnect and resume"
INBOX_LIMIT = 64
LARGE_MESSAGE = 256 * 1024
SIGNED_OUT = 4401
SMALLEST_LIMIT = 32 * 1024 * 1024


class SocketHandler(tornado.websocket.WebSocketHandler):
    """One connection. Its turns are not its own: they go on when it closes.

    With `?sessions=1` it is also told which of its user's sessions get busy and idle, and what running turns have cost so far.
    """

    application: Application

    def initialize(self, access: str = "user") -> None:
        """The access rule is always `user`: the check is made before the connection is upgraded."""
        self.user: User | None = None
        self._credential: tuple[str, str] | None = None
        self._following: dict[str, Callable[[], None]] = {}
        self._inbox: asyncio.Queue[bytes | str] = asyncio.Queue(maxsize=INBOX_LIMIT)
        self._outbox: Outbox | None = None
        self.watches_sessions = self.get_query_argument("sessions", "") == "1"
        self._tasks = TaskSet("socket")
        self._subscriptions: tuple[Callable[[], None], ...] = ()

    @property
    def state(self) -> AppState:
        """The gateway's services."""
        return self.application.state

    @property
    def viewer(self) -> Viewer:
        """On whose behalf services are asked."""
        return Viewer(self.user.id, self.user.role == "admin") if self.user is not None else Viewer(None, True)

    @property
    def ping_interval(self) -> float | None:
        """Seconds between pings, by the settings in force when the socket is opened."""
        return self.state.config.websocket.ping_interval_secs or None

    @property
    def max_message_size(self) -> int:
        """Bytes of the largest message, by the settings in force when the socket is opened."""
        return max(SMALLEST_LIMIT, 2 * self.state.config.attachments.max_file_size)

    def set_default_headers(self) -> None:
        for name, value in SECURITY_HEADERS.items():
            self.set_header(name, value)
        self.set_header("X-Request-ID", note_request_id(self.request))

    async def prepare(self) -> None:
        """Let in only who may come in, before anything is upgraded."""
        ids.request_id.set(note_request_id(self.request))
        self.application.begin_span(self)
        settings = self.state.config.auth
        if not host_allowed(self.request.host, self.state.bind_host, settings.allowed_hosts):
            return self._refuse(403, "This host name is not allowed")
        try:
            refusal = await self._identify()
        except Unavailable:
            return self._refuse(503, "Auth error: the database cannot be read now, try again in a moment")
        if refusal is not None:
            return self._refuse(*refusal)

    def check_origin(self, origin: str) -> bool:
        """Pages of other sites may not connect unless they are listed."""
        return origin_allowed(origin, self.request.host, self.state.config.auth.allowed_origins)

    async def open(self, *args: str, **kwargs: str) -> None:
        self.set_nodelay(True)
        stream = self.ws_connection.stream if self.ws_connection is not None else None
        if stream is None:
            return  # gone before it was open
        self._outbox = Outbox(stream, self.state.config.websocket.outbox_bytes, self._on_full)
        self.application.sockets.add(self)
        self._subscriptions = (self.state.events.subscribe(AccessChanged, self._on_access_changed),)
        self._tasks.spawn(self._work(), name="inbox")
        # Somebody is about to write: have the MCP servers and the heavy libraries ready by then.
        self.state.agent.mcp.start()
        self.state.tasks.spawn(self.state.agent.warm_up(), name="warm-up")

    def on_message(self, message: str | bytes) -> None:
        """Queue a message. Those that must not wait (stop, ping) are answered at once."""
        if isinstance(message, bytes):
            return self._error("Invalid message format: send text frames with JSON, not binary frames")
        if len(message) < 2048 and ('"cancel"' in message or '"ping"' in message):
            frame = self._parse(message)
            if isinstance(frame, CancelFrame | PingFrame):
                self._tasks.spawn(self._handle(frame), name="urgent")
                return None
            if frame is None:
                return None
        try:
            self._inbox.put_nowait(message)
        except asyncio.QueueFull:
            self._error("Too many messages at once; the last one was not taken. Send it again in a moment.")

    def on_close(self) -> None:
        self.application.sockets.discard(self)
        for unsubscribe in self._subscriptions:
            unsubscribe()
        for unfollow in self._following.values():
            unfollow()
        self._following.clear()
        if self._outbox is not None:
            self._outbox.close()
        self.state.tasks.spawn(self._tasks.close(), name="socket-close")

    def send(self, body: Message) -> None:
        """Send one message of our own."""
        self.send_frame(wire.text_frame(to_json(body, inf_nan_mode="null")))

    def send_frame(self, frame: bytes) -> None:
        """Send a frame that several sockets share."""
        if self._outbox is not None:
            self._outbox.send(frame)

    def is_following(self, turn_id: str) -> bool:
        """Whether the events of a turn go to this socket."""
        return turn_id in self._following

    async def _work(self) -> None:
        while True:
            message = await self._inbox.get()
            try:
                if len(message) > LARGE_MESSAGE:
                    frame = await asyncio.to_thread(self._parse_quietly, message)
                else:
                    frame = self._parse_quietly(message)
                if isinstance(frame, str):
                    self._error(frame)
                else:
                    await self._handle(frame)
            except Exception:
                logger.exception("a socket message could not be handled")
                self._error("internal error")

    async def _handle(self, frame: ClientFrame) -> None:
        if isinstance(frame, PingFrame):
            return self.send({"type": "pong"})
        if not await self._still_allowed():
            return self.close(SIGNED_OUT, "signed out")
        try:
            match frame:
                case MessageFrame() | RegenerateFrame() | EditFrame():
                    await self._submit(frame)
                case CancelFrame():
                    stopped = await self.state.agent.stop(self.viewer, frame.session_id, frame.turn_id)
                    if not stopped:
                        self.send({"type": "not_running", "session_id": frame.session_id})
                case ResumeFrame():
                    await self._resume(frame)
                case AnswerFrame():
                    await self.state.agent.approvals.answer(
                        self.viewer, frame.session_id, frame.approval_id, frame.type, frame.remember
                    )
        except StarpodError as error:
            refusal: ErrorMessage = {"type": "error", "message": str(error), "status": status_of(error)}
            if isinstance(error, InvalidInput) and error.fields:
                refusal["fields"] = error.fields
            if isinstance(frame, MessageFrame | RegenerateFrame | EditFrame):
                refusal["client_message_id"] = frame.client_message_id
                refusal["message"] = f"Chat error: {error}"
            else:
                refusal["session_id"] = frame.session_id
            self.send(refusal)

    async def _submit(self, frame: MessageFrame | RegenerateFrame | EditFrame) -> None:
        if self.user is not None and (wait_s := self.state.rate_limiter.hit(self.user.id)) is not None:
            line = self.state.auth.audit("rate_limited", self.user.id, None, self.request.remote_ip)
            self.state.tasks.spawn(line, name="audit")
            return self.send(
                {
                    "type": "error",
                    "message": RATE_LIMITED,
                    "status": 429,
                    "retry_after": retry_after(wait_s),
                    "client_message_id": frame.client_message_id,
                }
            )
        submitted = await self._start(frame)
        if frame.client_message_id is not None:
            self.send(
                {
                    "type": "accepted",
                    "client_message_id": frame.client_message_id,
                    "session_id": submitted.session_id,
                    "turn_id": submitted.turn_id,
                    "message_id": submitted.message_id,
                    "is_duplicate": submitted.is_duplicate,
                    "is_follow_up": submitted.is_follow_up,
                }
            )
        if submitted.turn is not None:
            self._follow(submitted.turn)
        else:
            for published in await self.state.agent.replay(self.viewer, submitted.session_id, submitted.turn_id):
                self._hear(published)

    async def _start(self, frame: MessageFrame | RegenerateFrame | EditFrame) -> Submitted:
        agent, again = self.state.agent, self.state.agent.branches
        match frame:
            case MessageFrame():
                return await agent.submit(to_request(frame, self.user))
            case RegenerateFrame(session_id=session_id, model=model, client_message_id=known_as):
                return await again.regenerate(self.viewer, session_id, model=model, client_message_id=known_as)
            case EditFrame(session_id=session_id, message_id=message_id, text=text):
                known_as = frame.client_message_id
                return await again.edit(
                    self.viewer, session_id, message_id, text, model=frame.model, client_message_id=known_as
                )

    async def _resume(self, frame: ResumeFrame) -> None:
        turn = await self.state.agent.find_turn(self.viewer, frame.session_id, frame.turn_id)
        if turn is not None:
            if (unfollow := self._following.pop(turn.id, None)) is not None:
                unfollow()
            return self._follow(turn, after=frame.after)
        if frame.after:
            # Stored turns are numbered anew, so "behind 17" means nothing any more: read the messages instead.
            return self.send({"type": "resync", "session_id": frame.session_id, "turn_id": frame.turn_id})
        for published in await self.state.agent.replay(self.viewer, frame.session_id, frame.turn_id):
            self._hear(published)

    def _follow(self, turn: Turn, *, after: int = 0) -> None:
        if turn.id not in self._following:
            self._following[turn.id] = turn.follow(self._hear, after=after)
            if turn.ended.is_set():
                self._following.pop(turn.id)()
            else:
                self._tasks.spawn(self._unfollow_at_end(turn), name="follow")

    async def _unfollow_at_end(self, turn: Turn) -> None:
        await turn.ended.wait()
        if (unfollow := self._following.pop(turn.id, None)) is not None:
            unfollow()

    def _hear(self, published: Published) -> None:
        if self._outbox is not None:
            self._outbox.send(wire.frame(published))

    def _on_access_changed(self, event: AccessChanged) -> None:
        if event.user_id is None or self.user is None or event.user_id == self.user.id:
            self._tasks.spawn(self._leave_if_shut_out(), name="access")

    async def _leave_if_shut_out(self) -> None:
        if not await self._still_allowed():
            self.close(SIGNED_OUT, "signed out")

    def _parse(self, message: str | bytes) -> ClientFrame | None:
        frame = self._parse_quietly(message)
        if isinstance(frame, str):
            self._error(frame)
            return None
        return frame

    def _parse_quietly(self, message: str | bytes) -> ClientFrame | str:
        try:
            return parse(CLIENT_FRAME, message)
        except (ValueError, InvalidInput) as error:
            return f"Invalid message format: {error}"

    def _error(self, text: str) -> None:
        self.send({"type": "error", "message": text})

    def _on_full(self) -> None:
        self.close(1013, TOO_SLOW)

    def _refuse(self, status: int, text: str) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(text)

    async def _identify(self) -> tuple[int, str] | None:
        """Find out who connects; returns a status and text when nobody may."""
        state = self.state
        key = self.get_query_argument("token", None) or presented_key(self.request.headers)
        if key is not None:
            self._credential = ("key", key)
        elif (cookie := self.get_cookie(COOKIE)) is not None:
            self._credential = ("cookie", cookie)
        if not await state.auth.has_users():
            return None
        if (wait_s := state.failed_attempts.blocked(self.request.remote_ip or "?")) is not None:
            self.set_header("Retry-After", str(retry_after(wait_s)))
            return 429, "Too many failed attempts from this address"
        if self._credential is None:
            return 401, "Missing token parameter"
        self.user = await self._authenticate()
        if self.user is None:
            state.failed_attempts.record(self.request.remote_ip or "?")
            await state.auth.audit("failed_auth", None, "invalid token", self.request.remote_ip or "?")
            return 401, "Invalid token"
        return None

    async def _authenticate(self) -> User | None:
        assert self._credential is not None
        kind, secret = self._credential
        if kind == "cookie":
            return await self.state.auth.authenticate_cookie(secret)
        known = self.state.auth.cached(secret)
        return await self.state.auth.authenticate(secret) if known is MISS else known

    async def _still_allowed(self) -> bool:
        """Keys may be revoked and users deactivated while a socket is open."""
        if self._credential is None or self.user is None:
            return not await self.state.auth.has_users()
        self.user = await self._authenticate()
        return self.user is not None
