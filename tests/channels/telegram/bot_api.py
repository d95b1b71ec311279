"""A Telegram of the tests' own: speaks the Bot API over loopback to the real library, keeps chats, and fails as it is told.

async with BotApi() as telegram:
    telegram.write("hello", sender=7)
    answer = await telegram.said(7)
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from types import TracebackType
from typing import Any

import tornado.httpserver
import tornado.netutil
import tornado.web

TOKEN = "4242:AAtest-token_that-nobody-may-see"
BOT = {"id": 4242, "is_bot": True, "first_name": "Nova", "username": "nova_bot"}
TIMEOUT_S = 10.0
ALLOWED = {"b", "strong", "i", "em", "s", "u", "code", "pre", "a", "blockquote"}

Call = dict[str, Any]


@dataclass(slots=True)
class Failure:
    """An answer that is no success, once `after` others were. `times` None: until it is taken away. `raw`: this instead of JSON."""

    status: int
    description: str
    parameters: dict[str, Any] = field(default_factory=dict)
    times: int | None = 1
    after: int = 0
    raw: str | None = None


class Shown(HTMLParser):
    """Reads HTML as strictly as Telegram does: known tags, closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text = ""
        self.open: list[str] = []
        self.tags: list[str] = []
        self.error: str | None = None
        self.feed(source)
        self.close()
        if self.open:
            self.error = f"can't parse entities: can't find end tag corresponding to start tag {self.open[-1]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ALLOWED:
            self.error = f'can\'t parse entities: unsupported start tag "{tag}"'
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.error = "can't parse entities: unexpected end tag"

    def handle_data(self, data: str) -> None:
        self.text += data


class BotApi:
    """`calls` are all requests, `chats` what each chat shows now (message id to message)."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.calls: list[tuple[str, Call]] = []
        self.chats: dict[int, dict[int, Call]] = {}
        self.files: dict[str, tuple[bytes, int]] = {}
        self.failures: dict[str, Failure] = {}
        self.refuse: Callable[[Call], str | None] = lambda call: None
        self.updates: list[Any] = []
        self.polls = 0
        self.hangs = False
        self.changed = asyncio.Condition()
        self.port = 0
        self._wakes = 0
        self._ids = itertools.count(1)
        self._update_ids = itertools.count(100)
        self._server: tornado.httpserver.HTTPServer | None = None

    @property
    def url(self) -> str:
        """What `api_url` is set to."""
        return f"http://127.0.0.1:{self.port}"

    # What people do

    def write(self, text: str | None = None, *, sender: int = 7, chat: int | None = None, **fields: Any) -> int:
        """A message from a person; returns the update's id. A text that begins with a slash is a command."""
        chat = sender if chat is None else chat
        message: Call = {
            "message_id": next(self._ids),
            "date": 1,
            "chat": {"id": chat, "type": "private" if chat > 0 else "group"},
            "from": {"id": sender, "is_bot": False, "first_name": "Ann", "username": f"user{sender}"},
        }
        if text is not None:
            message["text"] = text
            if text.startswith("/"):
                message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
        return self.push({"message": message | fields})

    def press(self, label: str, *, sender: int = 7, chat: int | None = None) -> int:
        """Press the button with this label in the newest message that has one."""
        chat = sender if chat is None else chat
        for message in reversed(self.chats[chat].values()):
            for button in itertools.chain(*message.get("reply_markup", {}).get("inline_keyboard", [])):
                if button["text"] == label:
                    return self.push(
                        {
                            "callback_query": {
                                "id": str(next(self._ids)),
                                "from": {"id": sender, "is_bot": False, "first_name": "Ann"},
                                "chat_instance": "1",
                                "data": button["callback_data"],
                                "message": {
                                    "message_id": message["message_id"],
                                    "date": 1,
                                    "chat": {"id": chat, "type": "private"},
                                },
                            }
                        }
                    )
        raise AssertionError(f"no button {label!r}")

    def push(self, update: Any) -> int:
        """Any update, also a malformed one; it gets an id unless it has one."""
        if isinstance(update, dict) and "update_id" not in update:
            update = {"update_id": next(self._update_ids)} | update
        self.updates.append(update)
        self._notify()
        return int(update["update_id"]) if isinstance(update, dict) and isinstance(update["update_id"], int) else 0

    def file(self, data: bytes, size: int | None = None) -> str:
        """A file that can be fetched; `size` is what Telegram claims."""
        file_id = f"file-{next(self._ids)}"
        self.files[file_id] = (data, len(data) if size is None else size)
        return file_id

    def revoke(self, token: str) -> None:
        """From now on only this token is known."""
        self.token = token
        self.drop_polls()

    def drop_polls(self) -> None:
        """Answer the polls that wait now."""
        self._wakes += 1
        self._notify()

    # What tests see

    def texts(self, chat: int = 7) -> list[str]:
        """What a chat shows of the bot, as people read it."""
        return [message["text"] for message in self.chats.get(chat, {}).values()]

    async def said(self, chat: int = 7, count: int = 1) -> list[str]:
        """What a chat shows once it shows so many messages."""
        await self.until(lambda: len(self.texts(chat)) >= count)
        return self.texts(chat)

    async def until(self, holds: Callable[[], bool], timeout_s: float = TIMEOUT_S) -> None:
        """Wait until something holds of what was received."""
        async with asyncio.timeout(timeout_s), self.changed:
            await self.changed.wait_for(holds)

    async def polled(self, times: int = 1) -> None:
        """Wait for polls that begin from now on."""
        wanted = self.polls + times
        await self.until(lambda: self.polls >= wanted)

    def named(self, method: str) -> list[Call]:
        """The requests of one method."""
        return [call for name, call in self.calls if name == method]

    # Serving

    async def start(self) -> None:
        """Listen; again after `stop`, at the same port."""
        app = tornado.web.Application(
            [
                (r"/bot([^/]+)/(\w+)", MethodHandler, {"api": self}),
                (r"/file/bot([^/]+)/(.+)", FileHandler, {"api": self}),
            ],
            log_function=lambda handler: None,  # it would write the token
        )
        sockets = tornado.netutil.bind_sockets(self.port, "127.0.0.1")
        self.port = sockets[0].getsockname()[1]
        self._server = tornado.httpserver.HTTPServer(app)
        self._server.add_sockets(sockets)

    async def stop(self) -> None:
        """The network is gone: nobody listens, and what is open breaks."""
        if self._server is not None:
            self._server.stop()
            self._notify()
            await self._server.close_all_connections()
            self._server = None

    async def __aenter__(self) -> BotApi:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _notify(self) -> None:
        async def notify() -> None:
            async with self.changed:
                self.changed.notify_all()

        task = asyncio.get_running_loop().create_task(notify())
        task.add_done_callback(lambda done: None)

    async def answer(self, method: str, call: Call) -> tuple[int, Any]:
        """Status and body of an answer."""
        self.calls.append((method, call))
        failure = self.failures.get(method)
        if failure is not None and failure.after > 0:
            failure.after -= 1
            failure = None
        if failure is not None:
            if failure.times is not None:
                failure.times -= 1
                if failure.times <= 0:
                    del self.failures[method]
            if method == "getUpdates":
                self.polls += 1
            self._notify()
            error = self._error(failure.status, failure.description, failure.parameters)
            return failure.status, failure.raw if failure.raw is not None else error
        try:
            result = await getattr(self, f"do_{method}", self._nothing)(call)
        except ValueError as error:
            self._notify()
            return 400, self._error(400, f"Bad Request: {error}")
        self._notify()
        return 200, {"ok": True, "result": result}

    @staticmethod
    def _error(status: int, description: str, parameters: dict[str, Any] | None = None) -> Call:
        body: Call = {"ok": False, "error_code": status, "description": description}
        return body | ({"parameters": parameters} if parameters else {})

    async def _nothing(self, call: Call) -> bool:
        return True

    async def do_getMe(self, call: Call) -> Call:
        return BOT

    async def do_getUpdates(self, call: Call) -> list[Any]:
        self.polls += 1
        offset = int(call.get("offset", 0))
        self.updates = [
            each
            for each in self.updates
            if not (isinstance(each, dict) and _number(each) < offset) and each is not None
        ]
        self._notify()
        server, wakes = self._server, self._wakes
        try:
            async with asyncio.timeout(5.0 if self.hangs else min(float(call.get("timeout", 0)), 2.0)), self.changed:
                await self.changed.wait_for(
                    lambda: (bool(self.updates) and not self.hangs) or (self._server, self._wakes) != (server, wakes)
                )
        except TimeoutError:
            return []
        return list(self.updates[: int(call.get("limit", 100))])

    async def do_sendMessage(self, call: Call) -> Call:
        if (refusal := self.refuse(call)) is not None:
            raise ValueError(refusal)
        return self._show(call, next(self._ids))

    async def do_editMessageText(self, call: Call) -> Call:
        if (refusal := self.refuse(call)) is not None:
            raise ValueError(refusal)
        shown = self.chats.get(int(call["chat_id"]), {})
        before = shown.get(int(call["message_id"]))
        if before is None:
            raise ValueError("message to edit not found")
        after = self._read(call)
        if after["text"] == before["text"] and after["html"] == before["html"] and "reply_markup" not in before:
            raise ValueError("message is not modified: specified new message content is exactly the same")
        return self._show(call, int(call["message_id"]))

    async def do_deleteMessage(self, call: Call) -> bool:
        self.chats[int(call["chat_id"])].pop(int(call["message_id"]), None)
        return True

    async def do_sendPhoto(self, call: Call) -> Call:
        return self._attach(call, "photo")

    async def do_sendDocument(self, call: Call) -> Call:
        return self._attach(call, "document")

    async def do_getFile(self, call: Call) -> Call:
        if call["file_id"] not in self.files:
            raise ValueError("wrong file_id or the file is temporarily unavailable")
        _, size = self.files[call["file_id"]]
        if size > 20 * 1024 * 1024:
            raise ValueError("file is too big")
        return {
            "file_id": call["file_id"],
            "file_unique_id": "u",
            "file_size": size,
            "file_path": f"documents/{call['file_id']}",
        }

    def _attach(self, call: Call, kind: str) -> Call:
        message = {"message_id": next(self._ids), "text": f"[{kind} {call[kind]['name']}]", "data": call[kind]["data"]}
        self.chats.setdefault(int(call["chat_id"]), {})[message["message_id"]] = message
        return self._as_message(call, message)

    def _read(self, call: Call) -> Call:
        source = call["text"]
        text = source
        tags: list[str] = []
        if call.get("parse_mode") == "HTML":
            shown = Shown(source)
            if shown.error is not None:
                raise ValueError(shown.error)
            text, tags = shown.text, shown.tags
        if not text.strip():
            raise ValueError("message text is empty")
        if len(text.encode("utf-16-le")) // 2 > 4096:
            raise ValueError("message is too long")
        return {"text": text, "html": source, "tags": tags}

    def _show(self, call: Call, message_id: int) -> Call:
        message = self._read(call) | {"message_id": message_id}
        for name in ("reply_markup", "reply_parameters"):
            if name in call:
                message[name] = json.loads(call[name])
        self.chats.setdefault(int(call["chat_id"]), {})[message_id] = message
        return self._as_message(call, message)

    @staticmethod
    def _as_message(call: Call, message: Call) -> Call:
        return {
            "message_id": message["message_id"],
            "date": 1,
            "chat": {"id": int(call["chat_id"]), "type": "private"},
            "from": BOT,
            "text": message["text"],
        }


def _number(update: Call) -> int:
    number = update.get("update_id")
    return number if isinstance(number, int) else 2**60


class MethodHandler(tornado.web.RequestHandler):
    """`POST /bot<token>/<method>`."""

    def initialize(self, api: BotApi) -> None:
        self.api = api

    async def post(self, token: str, method: str) -> None:
        if token != self.api.token:
            self.set_status(401)
            return self.write({"ok": False, "error_code": 401, "description": "Unauthorized"})
        call: Call = {name: self.get_argument(name, strip=False) for name in self.request.arguments}
        for name, files in self.request.files.items():
            call[name] = {"name": files[0]["filename"], "data": files[0]["body"]}
        status, body = await self.api.answer(method, call)
        self.set_status(status)
        self.write(body if isinstance(body, str) else json.dumps(body))

    def log_exception(self, *args: Any) -> None:
        if not self.request.connection.stream.closed():  # type: ignore[union-attr]
            super().log_exception(*args)


class FileHandler(tornado.web.RequestHandler):
    """`GET /file/bot<token>/<path>`."""

    def initialize(self, api: BotApi) -> None:
        self.api = api

    def get(self, token: str, path: str) -> None:
        self.api.calls.append(("file", {"path": path}))
        self.write(self.api.files[path.rpartition("/")[2]][0])
