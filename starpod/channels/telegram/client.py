"""The Bot API as the channel uses it: messages out with patience, files in with a limit. Its errors are those of `failures`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
from telegram import (
    Bot,
    BotCommand,
    InlineKeyboardMarkup,
    InputFile,
    LinkPreviewOptions,
    ReplyParameters,
)
from telegram.constants import ChatAction
from telegram.error import BadRequest, Conflict
from telegram.request import HTTPXRequest, RequestData
from telegram.request._requestparameter import RequestParameter

from starpod.channels.telegram.chunks import Chunk
from starpod.channels.telegram.failures import LOST_CHAT, Failing, HideToken, Refused, TooLarge, quietly, told
from starpod.channels.telegram.types import Address
from starpod.net.tls import tls_context

logger = logging.getLogger(__name__)

T = TypeVar("T")

# The library's own switch to the type that its next version has; without it each 429 is a warning, too.
os.environ.setdefault("PTB_TIMEDELTA", "true")

POLL_S = 25
STALL_S = 20.0
LONGEST_WAIT_S = 60.0
FETCH_PATIENCE_S = 30.0
LARGEST_PHOTO = 10_000_000
LARGEST_FILE = 50_000_000
WANTED = json.dumps(["message", "callback_query"])
NOT_HTML = re.compile("can't parse entities|unsupported start tag|entity|entities", re.IGNORECASE)
GONE = re.compile("message to (edit|delete|be replied) not found|message can't be (edited|deleted)", re.IGNORECASE)
UNCHANGED = re.compile("message is not modified", re.IGNORECASE)
LOST_TOPIC = re.compile("message thread not found|topic_(closed|deleted)", re.IGNORECASE)
EMPTY = re.compile("text is empty|text must be non-empty", re.IGNORECASE)


_hide_token = HideToken()


class Client:
    """One bot. `connect` first, `close` at the end. Sending waits out what passes by itself, for `patience_s` seconds in all.

    A poll that brings nothing is answered after `poll_s` seconds; one that is not, `stall_s` later, is given up.
    """

    def __init__(
        self,
        token: str,
        api_url: str,
        *,
        patience_s: float = 24 * 3600.0,
        poll_s: int = POLL_S,
        stall_s: float = STALL_S,
    ) -> None:
        for name in (
            "httpx",
            "httpx2",
            "telegram.Bot",
            "telegram.request.BaseRequest",
            "telegram.request.HTTPXRequest",
        ):
            logging.getLogger(name).addFilter(_hide_token)
        if logging.getLogger("httpx").level == logging.NOTSET:
            # A line for each request, at INFO, is of use to nobody.
            logging.getLogger("httpx").setLevel(logging.WARNING)
        self._api_url = api_url.rstrip("/")
        trusted = {"verify": tls_context()}
        self._polling = HTTPXRequest(
            connection_pool_size=2, read_timeout=poll_s + stall_s, connect_timeout=10.0, httpx_kwargs=trusted
        )
        self._sending = HTTPXRequest(
            connection_pool_size=32,
            read_timeout=20.0,
            write_timeout=20.0,
            connect_timeout=10.0,
            pool_timeout=30.0,
            media_write_timeout=120.0,
            httpx_kwargs=trusted,
        )
        self._bot = Bot(
            token,
            base_url=f"{self._api_url}/bot",
            base_file_url=f"{self._api_url}/file/bot",
            request=self._sending,
            get_updates_request=self._polling,
        )
        self._files = httpx2.AsyncClient(timeout=30.0, follow_redirects=False, verify=tls_context())
        self._patience_s, self._poll_s, self._stall_s = patience_s, poll_s, stall_s
        self._is_back = asyncio.Event()
        self.bot_id = int(token.partition(":")[0])
        self.username = ""

    async def connect(self, commands: list[tuple[str, str]]) -> None:
        """Find out who the bot is and make it ready for polling. Raises Failing."""

        async def connect() -> None:
            await self._bot.initialize()
            await self._bot.delete_webhook()
            self.username = self._bot.username

        await told(connect)
        menu = [BotCommand(name, text) for name, text in commands]
        await quietly(lambda: self._bot.set_my_commands(menu))

    async def close(self) -> None:
        """Close the connections."""
        for closing in (self._sending.shutdown(), self._polling.shutdown(), self._files.aclose()):
            try:
                await closing
            except Exception as error:
                logger.debug("closing a connection to Telegram failed: %s", type(error).__name__)

    async def updates(self, offset: int | None) -> list[Any]:
        """What has come in, as Telegram sent it; waits up to `poll_s` seconds for it. Raises Failing.

        Not `Bot.get_updates`: that gives up the whole batch, again and again, when one update of it cannot be read.
        """
        wanted = {"timeout": self._poll_s, "offset": offset, "limit": 100, "allowed_updates": WANTED}
        data = RequestData([RequestParameter.from_input(key, value) for key, value in wanted.items()])

        async def poll() -> Any:
            async with asyncio.timeout(self._poll_s + self._stall_s):
                try:
                    return await self._polling.post(f"{self._bot.base_url}/getUpdates", data)
                except Conflict as error:
                    if "webhook" in error.message.lower():
                        # Somebody set one meanwhile; without it the next poll works.
                        await quietly(self._bot.delete_webhook)
                    raise

        found = await told(poll)
        if not isinstance(found, list):
            raise Failing("Telegram's answer was no list of updates")
        return found

    async def send(
        self, address: Address, chunk: Chunk, *, buttons: InlineKeyboardMarkup | None = None, is_patient: bool = True
    ) -> int | None:
        """Send a message; returns its id, None when Telegram sees nothing in it. Raises Unreachable, Refused; Failing when out of
        patience, or at once when not `is_patient`."""

        async def send(text: str, mode: str | None) -> int | None:
            message = await self._bot.send_message(
                address.chat_id,
                text,
                parse_mode=mode,
                message_thread_id=address.thread_id,
                reply_parameters=_reply(address),
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                reply_markup=buttons,
            )
            return message.message_id

        async def formatted() -> int | None:
            try:
                return await send(chunk.html, "HTML")
            except BadRequest as error:
                if EMPTY.search(error.message):
                    return None
                if LOST_TOPIC.search(error.message) and address.thread_id is not None:
                    # The topic was deleted or closed; the group is still there.
                    elsewhere = Address(address.chat_id, None, address.reply_to)
                    return await self.send(elsewhere, chunk, buttons=buttons, is_patient=False)
                if not NOT_HTML.search(error.message):
                    raise
                logger.info("Telegram refused the formatting of a message; it is sent as plain text")
                return await send(chunk.plain, None)

        return await self._patiently(formatted) if is_patient else await told(formatted)

    async def edit(
        self,
        chat_id: int,
        message_id: int,
        chunk: Chunk,
        *,
        buttons: InlineKeyboardMarkup | None = None,
        is_patient: bool = True,
    ) -> bool:
        """Let a message show something else; False when it is gone. Raises as `send`."""

        async def edit(text: str, mode: str | None) -> bool:
            await self._bot.edit_message_text(
                text,
                chat_id,
                message_id,
                parse_mode=mode,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                reply_markup=buttons,
            )
            return True

        async def formatted() -> bool:
            try:
                return await edit(chunk.html, "HTML")
            except BadRequest as error:
                if UNCHANGED.search(error.message) or EMPTY.search(error.message):
                    return True
                if GONE.search(error.message):
                    return False
                if not NOT_HTML.search(error.message):
                    raise
            try:
                return await edit(chunk.plain, None)
            except BadRequest as error:
                if UNCHANGED.search(error.message):
                    return True
                raise

        return await self._patiently(formatted) if is_patient else await told(formatted)

    async def delete(self, chat_id: int, message_id: int) -> None:
        """Take a message back; one that cannot be taken back stays."""
        await quietly(lambda: self._bot.delete_message(chat_id, message_id))

    async def send_file(self, address: Address, file_name: str, mime_type: str, data: bytes) -> None:
        """Send a file, an image as a photo where Telegram takes it as one. Raises as `send`."""

        async def document() -> None:
            await self._bot.send_document(
                address.chat_id, InputFile(data, file_name), message_thread_id=address.thread_id
            )

        if len(data) > LARGEST_FILE:
            raise Refused(f"a file of {len(data)} bytes is larger than bots may send")

        async def send() -> None:
            if not mime_type.startswith("image/") or len(data) > LARGEST_PHOTO:
                return await document()
            try:
                await self._bot.send_photo(
                    address.chat_id, InputFile(data, file_name), message_thread_id=address.thread_id
                )
            except BadRequest as error:
                if LOST_CHAT.search(error.message):
                    raise
                await document()

        await self._patiently(send)

    async def typing(self, address: Address) -> None:
        """Show that an answer is being written; it does not matter when this fails."""
        await quietly(
            lambda: self._bot.send_chat_action(address.chat_id, ChatAction.TYPING, message_thread_id=address.thread_id)
        )

    async def answer_press(self, press_id: str, text: str) -> None:
        """End the waiting of a button that was pressed; it does not matter when this fails."""
        await quietly(lambda: self._bot.answer_callback_query(press_id, text[:200]))

    async def fetch(self, file_id: str, limit_bytes: int) -> bytes:
        """The content of a file; waits out what passes within FETCH_PATIENCE_S. Raises TooLarge, Refused, Failing."""

        async def fetch() -> bytes:
            try:
                file = await self._bot.get_file(file_id)
            except BadRequest as error:
                if "too big" in error.message.lower():
                    raise TooLarge from error
                raise
            if file.file_size is not None and file.file_size > limit_bytes:
                raise TooLarge(file.file_size)
            if file.file_path is None or not file.file_path.startswith(f"{self._api_url}/"):
                raise Refused("Telegram gave no address for the file")
            try:
                return await self._read(file.file_path, limit_bytes)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                raise Failing(f"the file could not be fetched: {type(error).__name__}") from error

        return await self._patiently(fetch, min(FETCH_PATIENCE_S, self._patience_s))

    async def _read(self, url: str, limit_bytes: int) -> bytes:
        """Read at most as much as may be: the size that was announced is only a claim."""
        content = bytearray()
        async with asyncio.timeout(300.0), self._files.stream("GET", url) as response:
            if response.status_code != 200:
                raise Failing(f"the file could not be fetched: status {response.status_code}")
            async for part in response.aiter_bytes():
                content += part
                if len(content) > limit_bytes:
                    raise TooLarge(len(content))
        return bytes(content)

    def wake(self) -> None:
        """Telegram can be reached again: let what waits try at once."""
        self._is_back.set()
        self._is_back = asyncio.Event()

    async def _patiently(self, call: Callable[[], Awaitable[T]], patience_s: float | None = None) -> T:
        """Try until it works, for `patience_s` seconds at most."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + (self._patience_s if patience_s is None else patience_s)
        wait_s = 1.0
        while True:
            try:
                return await told(call)
            except Failing as error:
                pause_s = max(error.wait_s, wait_s)
                if loop.time() + pause_s > give_up_at:
                    raise
                is_asked = error.wait_s > 0
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)
            if is_asked:
                await asyncio.sleep(pause_s)
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._is_back.wait()


def _reply(address: Address) -> ReplyParameters | None:
    return None if address.reply_to is None else ReplyParameters(address.reply_to, allow_sending_without_reply=True)
