"""A real gateway in the test's own process: a fresh agent folder, a free port, and a model that does as it is told.

    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Hello."))
        socket = await gateway.socket()
        await socket.send("message", text="hi")
        frames = await socket.until("stream_end")

Without a provider the model is offline/assistant. It knows nothing about what is tested.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2
import tomlkit
from tornado.httpclient import HTTPRequest
from tornado.iostream import IOStream
from tornado.websocket import WebSocketClientConnection, websocket_connect

from starpod.auth.types import Role, User
from starpod.clock import Clock
from starpod.server import Server, prepare
from starpod.state import AppState, open_state
from tests.described import check_answer, check_frame
from tests.providers.scripted_server import ScriptedServer

ADMIN_KEY = "sp_live_" + "a1b2c3d4" * 5
PROVIDER_KEY = "provider-key-that-nobody-may-see"
TIMEOUT_S = 10.0

Frame = dict[str, Any]


class Gateway:
    """`http` is signed in as admin, `client()` as anybody; `state` is the gateway's own. `settings` are tables of agent.toml.

    With `bootstrap=False` no user exists, so everybody may do everything. With `keep_port` the next `start` is at the same address.
    """

    def __init__(
        self,
        folder: Path,
        provider: ScriptedServer | None = None,
        *,
        settings: Mapping[str, Any] | None = None,
        clock: Clock | None = None,
        bootstrap: bool = True,
        keep_port: bool = False,
    ) -> None:
        self.folder = folder
        self.key = ADMIN_KEY
        self._provider = provider
        self._settings = settings or {}
        self._clock = clock
        self._bootstrap = bootstrap
        self._keep_port = keep_port
        self._port = 0
        self._is_stopped = False
        self._resources = contextlib.AsyncExitStack()
        self.state: AppState
        self.server: Server
        self.http: httpx2.AsyncClient

    @property
    def provider(self) -> ScriptedServer:
        """The scripted model; `play` says what it answers, `requests` what it was asked."""
        assert self._provider is not None
        return self._provider

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def home(self) -> Path:
        """Where the agent works for admins."""
        return self.state.paths.home_dir

    async def start(self) -> None:
        """Start a gateway on the folder; again after `stop`, it is the next run of the same agent."""
        environ = {"STARPOD_API_KEY": ADMIN_KEY, "LOCAL_API_KEY": PROVIDER_KEY}
        paths, _ = prepare(self.folder, environ)
        paths.agent_toml.write_text(tomlkit.dumps(self._agent_toml()))
        paths, loaded = prepare(self.folder, environ)
        self.state = await open_state(paths, loaded, environ=environ, clock=self._clock)
        if self._bootstrap:
            await self.state.auth.bootstrap(environ)
        self.server = Server(self.state, host="127.0.0.1", port=self._port)
        await self.server.start()
        if self._keep_port:
            self._port = self.server.port
        self._is_stopped = False
        self.http = self.client(ADMIN_KEY if self._bootstrap else None)

    async def stop(self) -> None:
        """Stop as a signal would. A second time does nothing."""
        if not self._is_stopped:
            self._is_stopped = True
            await self.server.stop()

    async def connected(self) -> None:
        """Wait until somebody listens: what happens before is not told to a page that is just opening."""
        async with asyncio.timeout(TIMEOUT_S):
            while not self.server.app.sockets:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def client(self, key: str | None = None) -> httpx2.AsyncClient:
        """An HTTP client with a cookie jar of its own, closed with the gateway."""
        headers = {} if key is None else {"X-API-Key": key}
        client = httpx2.AsyncClient(
            base_url=self.url,
            headers=headers,
            timeout=TIMEOUT_S,
            trust_env=False,
            event_hooks={"response": [_check_answer]},
        )
        self._resources.push_async_callback(client.aclose)
        return client

    async def user(self, role: Role = "user", name: str | None = None, *, has_files: bool = False) -> tuple[User, str]:
        """A new user and their key."""
        user = await self.state.auth.create_user(display_name=name or role, role=role, filesystem_enabled=has_files)
        _, key = await self.state.auth.create_key(user.id)
        return user, key

    async def socket(
        self, key: str | None = None, *, path: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Socket:
        """A WebSocket, signed in with the admin key unless told otherwise. tornado's HTTPClientError when it is refused."""
        path = f"/ws?token={key or ADMIN_KEY}" if path is None else path
        request = HTTPRequest(self.url.replace("http", "ws", 1) + path, headers=dict(headers or {}))
        connection = await asyncio.wait_for(websocket_connect(request), TIMEOUT_S)
        self._resources.callback(connection.close)
        return Socket(connection)

    async def __aenter__(self) -> Gateway:
        if self._provider is not None:
            self._provider.__enter__()
        try:
            await self.start()
        except BaseException:
            await self._leave_provider()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._resources.aclose()
            await self.stop()
        finally:
            await self._leave_provider()

    async def _leave_provider(self) -> None:
        if self._provider is not None:
            await asyncio.to_thread(self._provider.__exit__, None, None, None)

    def _agent_toml(self) -> dict[str, Any]:
        """Settings that make a test quick: nothing is tried again, nothing is waited for at the end."""
        document: dict[str, Any] = {
            "models": ["offline/assistant" if self._provider is None else "local/m"],
            "shutdown_grace_s": 0.0,
            "provider_http": {"max_retries": 0, "first_event_timeout_secs": TIMEOUT_S},
        }
        if self._provider is not None:
            document["providers"] = {"local": {"base_url": f"{self._provider.url}/v1"}}
        for name, value in self._settings.items():
            document[name] = document.get(name, {}) | value if isinstance(value, Mapping) else value
        return document


class Closed(Exception):
    """The gateway closed the socket."""

    def __init__(self, code: int | None, reason: str | None) -> None:
        super().__init__(f"closed with {code}: {reason}")
        self.code = code
        self.reason = reason


class Socket:
    """A client's end of `/ws`. Waiting takes at most `timeout_s` and raises TimeoutError; Closed when the gateway has closed it."""

    def __init__(self, connection: WebSocketClientConnection) -> None:
        self.connection = connection

    async def send(self, kind: str, **fields: Any) -> None:
        """Send a message of this type."""
        await self.send_text(json.dumps({"type": kind, **fields}))

    async def send_text(self, text: str | bytes) -> None:
        """Send a frame as it is; bytes make a binary one."""
        await self.connection.write_message(text, binary=isinstance(text, bytes))

    async def next(self, kind: str | None = None, *, timeout_s: float = TIMEOUT_S, **fields: Any) -> Frame:
        """The next message, or the next of this type and with these fields; those before it are dropped."""
        return (await self.until(kind, timeout_s=timeout_s, **fields))[-1]

    async def until(self, kind: str | None = None, *, timeout_s: float = TIMEOUT_S, **fields: Any) -> list[Frame]:
        """All messages up to and with the first of this type that has these fields."""
        frames: list[Frame] = []
        async with asyncio.timeout(timeout_s):
            while True:
                text = await self.connection.read_message()
                if text is None:
                    raise Closed(self.connection.close_code, self.connection.close_reason)
                frame: Frame = json.loads(text)
                check_frame(frame)
                frames.append(frame)
                if kind in (None, frame["type"]) and fields.items() <= frame.items():
                    return frames

    async def say(self, text: str, session: str = "a", **fields: Any) -> list[Frame]:
        """Send a message and return all frames up to the end of its turn."""
        await self.send("message", text=text, channel_session_key=session, **fields)
        return await self.until("stream_end")

    async def closed(self, *, timeout_s: float = TIMEOUT_S) -> Closed:
        """Wait until the gateway closes the socket; what comes before is dropped."""
        _, closed = await self.rest(timeout_s=timeout_s)
        return closed

    async def rest(self, *, timeout_s: float = TIMEOUT_S) -> tuple[list[Frame], Closed]:
        """All messages until the gateway closes the socket, and how it did."""
        frames: list[Frame] = []
        while True:
            try:
                frames.append(await self.next(timeout_s=timeout_s))
            except Closed as closed:
                return frames, closed

    @property
    def stream(self) -> IOStream:
        """The connection below, for bytes that are no frames."""
        assert self.connection.protocol is not None
        stream = self.connection.protocol.stream
        assert isinstance(stream, IOStream)
        return stream

    def close(self) -> None:
        """Leave."""
        self.connection.close()


async def _check_answer(response: httpx2.Response) -> None:
    """Hold an answer against the description of its route; of a stream, only that it may be one."""
    request, kind = response.request, response.headers.get("Content-Type", "")
    body = await response.aread() if kind.startswith("application/json") else b"..."
    if not kind or response.status_code == 204 or response.headers.get("Content-Length") == "0":
        body = b""
    check_answer(request.method, request.url.raw_path.decode().partition("?")[0], response.status_code, kind, body)


def said(frames: list[Frame]) -> str:
    """The text of all deltas."""
    return "".join(frame["text"] for frame in frames if frame["type"] == "text_delta")


def kinds(frames: list[Frame]) -> list[str]:
    """The types in order, neighbouring deltas counted once: how a text is cut into deltas is a matter of timing."""
    names = [frame["type"] for frame in frames]
    return [name for before, name in zip([None, *names], names, strict=False) if (before, name) != ("text_delta",) * 2]
