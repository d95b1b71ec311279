"""A little web site on a loopback port that answers what a test scripts, and a resolver that says what a test wants.

The names of a test are resolved by `Names`; the guard lets them pass because the test lists them, as an operator would.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType

Reply = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


def page(body: bytes | str, *headers: str, status: str = "200 OK") -> bytes:
    """A whole HTTP response."""
    data = body.encode() if isinstance(body, str) else body
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(data)}", "Connection: close"])
    return head.encode() + b"\r\n\r\n" + data


def redirect(location: str) -> bytes:
    """A redirect to `location`."""
    return page("", f"Location: {location}", status="302 Found")


class Site:
    """Answers each path with its reply; `requests` holds the heads as they came.

    `came` is set by the first request, `gone` when a client left a running reply.
    """

    def __init__(self, replies: Mapping[str, Reply], context: ssl.SSLContext | None = None) -> None:
        self.replies = dict(replies)
        self.requests: list[str] = []
        self.gone = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []
        self._answering: list[asyncio.Task[None]] = []
        self.came = asyncio.Event()
        self.port = 0
        self._context = context
        self._server: asyncio.Server

    def url(self, path: str, host: str = "site.example") -> str:
        return f"{'https' if self._context else 'http'}://{host}:{self.port}{path}"

    async def __aenter__(self) -> Site:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: asyncio.Task[None] | None = asyncio.current_task()
        assert task is not None
        self._answering.append(task)
        self._writers.append(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.requests.append(head)
            self.came.set()
            reply = self.replies.get(head.split(" ")[1].partition("?")[0], page("nothing", status="404 Not Found"))
            try:
                if isinstance(reply, bytes):
                    writer.write(reply)
                    await writer.drain()
                else:
                    await reply(writer)
            except OSError:
                self.gone.set()
        writer.close()


class Names:
    """Resolves names as scripted: each call takes the next answer, the last one stays. Unknown names are unknown."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        answers = self.answers.get(host)
        if answers is None:
            raise OSError("unknown name")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def close(self) -> None:
        pass


LOCAL = [["127.0.0.1"]]
