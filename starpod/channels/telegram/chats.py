"""What happens to each update: who is it, what do they want, and handing it to the agent. The updates of a chat are taken in order."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from starpod.agent import attachments
from starpod.agent.service import Agent
from starpod.agent.types import IncomingFile, TurnRequest
from starpod.auth.limits import SlidingWindow, retry_after
from starpod.auth.service import Auth
from starpod.auth.types import User
from starpod.channels.telegram import store
from starpod.channels.telegram.chunks import to_chunks
from starpod.channels.telegram.client import Client
from starpod.channels.telegram.commands import COMMANDS, Commands, session_key
from starpod.channels.telegram.failures import Failing, Refused, TooLarge, Unreachable
from starpod.channels.telegram.incoming import Malformed, album_of, joined, read_update
from starpod.channels.telegram.questions import Questions
from starpod.channels.telegram.replies import Owed, Replies
from starpod.channels.telegram.types import ButtonPress, FileReference, IncomingMessage, Sender, StoredUpdate
from starpod.config.schema import Config
from starpod.db.database import Database
from starpod.errors import InvalidInput, NotFound, StarpodError, Unavailable
from starpod.sessions.types import Viewer
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

ALBUM_QUIET_S = 0.7
LARGEST_ALBUM = 10
RETRY_S = 2.0
HINT_EVERY_S = 60.0
MOST_STRANGERS = 1000
NO_SENDER = "Could not determine your Telegram ID."
FAILED = "Sorry, an error occurred: your message could not be handled; the gateway's log says more."
NOT_KNOWN = "Authentication error. Please try again later."


@dataclass(frozen=True, slots=True)
class Bot:
    """What a running bot works with."""

    agent: Agent
    auth: Auth
    database: Database
    config: Callable[[], Config]
    limiter: SlidingWindow
    client: Client
    replies: Replies
    questions: Questions


class Chats:
    """Takes stored updates. Each chat has a worker while there is something to do."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._client = bot.client
        self._tasks = TaskSet("telegram-chats")
        self._waiting: dict[int, deque[StoredUpdate]] = {}
        self._news: dict[int, asyncio.Event] = {}
        self._strangers: OrderedDict[int, float] = OrderedDict()
        self._commands = Commands(bot.agent, bot.database, bot.config, bot.client, bot.replies)

    def take(self, updates: Sequence[StoredUpdate]) -> None:
        """Handle these, in order within each chat; returns at once."""
        for update in updates:
            if '"callback_query"' in update.payload and "callback_query" in json.loads(update.payload):
                # A press must not wait behind the message whose turn it lets go on.
                self._tasks.spawn(self._press(update), name=f"press.{update.update_id}")
            elif update.chat_id in self._waiting:
                self._waiting[update.chat_id].append(update)
                self._news[update.chat_id].set()
            else:
                self._waiting[update.chat_id] = deque([update])
                self._news[update.chat_id] = asyncio.Event()
                self._tasks.spawn(self._work(update.chat_id), name=f"chat.{update.chat_id}")

    async def close(self) -> None:
        """Leave off; what is not done is done when the channel is on again."""
        await self._tasks.close()

    async def _work(self, chat_id: int) -> None:
        waiting = self._waiting[chat_id]
        try:
            while waiting:
                updates = [waiting.popleft()]
                album = album_of(json.loads(updates[0].payload))
                if album is not None and updates[0].state == "new":
                    await self._gather(album, updates, chat_id)
                await self._take_care(updates)
        finally:
            del self._waiting[chat_id], self._news[chat_id]

    async def _gather(self, album: str, updates: list[StoredUpdate], chat_id: int) -> None:
        """The parts of an album come one by one, and nothing says which is the last."""
        waiting, news = self._waiting[chat_id], self._news[chat_id]
        while len(updates) < LARGEST_ALBUM:
            news.clear()
            if not waiting:
                try:
                    async with asyncio.timeout(ALBUM_QUIET_S):
                        await news.wait()
                except TimeoutError:
                    return
            if album_of(json.loads(waiting[0].payload)) != album:
                return
            updates.append(waiting.popleft())

    async def _take_care(self, updates: list[StoredUpdate]) -> None:
        """Handle a message to its end, whatever happens; only the database's being away lets it wait."""
        while True:
            try:
                again = updates[0].state == "answering"
                if await (self._answer_again(updates[0]) if again else self._handle(updates)):
                    return
            except Unavailable as error:
                logger.warning("a Telegram message has to wait: %s", error)
                await asyncio.sleep(RETRY_S)
                continue
            except Malformed as error:
                logger.info("a Telegram update could not be read (%s)", error)
            except Unreachable as error:
                logger.info("a Telegram chat cannot be reached: %s", error)
            except Exception:
                # The same would happen after each start.
                logger.exception("a Telegram update could not be handled")
            return await self._done(updates)

    async def _done(self, updates: Sequence[StoredUpdate]) -> None:
        """Note it, however long the database is away: what was said already must not be said again."""
        ids = [update.update_id for update in updates]
        while True:
            try:
                return await self._bot.database.run(store.mark_done, self._client.bot_id, ids)
            except Unavailable as error:
                logger.warning("a Telegram message is handled, but that cannot be noted yet: %s", error)
                await asyncio.sleep(RETRY_S)

    async def _press(self, update: StoredUpdate) -> None:
        try:
            press = read_update(json.loads(update.payload), self._client.username)
            if isinstance(press, ButtonPress):
                await self._bot.questions.press(press)
        except Malformed as error:
            logger.info("a Telegram update could not be read (%s)", error)
        await self._done([update])

    async def _handle(self, updates: list[StoredUpdate]) -> bool:
        """Returns whether an answer is on its way; what it is the answer to is marked then."""
        parts = [read_update(json.loads(update.payload), self._client.username) for update in updates]
        messages = [part for part in parts if isinstance(part, IncomingMessage)]
        if not messages:
            return False
        message = joined(messages)
        sender = message.sender
        if sender is None:
            return await self._say(message, NO_SENDER)
        try:
            user = await self._bot.auth.telegram_user(sender.id, sender.username)
        except Unavailable:
            return await self._say(message, NOT_KNOWN)
        if message.command == "start":
            return await self._say(message, self._greeting(sender, is_linked=user is not None))
        if user is None:
            return await self._hint(message, sender)
        try:
            if message.command in COMMANDS:
                return await self._say(message, await self._commands.run(message, user))
            return await self._submit(updates, message, sender, user)
        except (Unavailable, Unreachable):
            raise
        except Exception:
            logger.exception("a Telegram message could not be handled")
            return await self._say(message, FAILED)

    async def _submit(self, updates: list[StoredUpdate], message: IncomingMessage, sender: Sender, user: User) -> bool:
        if not message.text.strip() and not message.files:
            return False
        if (wait_s := self._bot.limiter.hit(user.id)) is not None:
            return await self._say(message, f"Too many messages; try again in {retry_after(wait_s)} s.")
        await self._client.typing(message.address)
        files, refused = await self._fetch(message.files)
        if refused:
            await self._say(message, "\n".join(refused))
        text = "\n\n".join(filter(None, (message.text, message.context)))
        if not message.text.strip() and not files:
            return False
        request = TurnRequest(
            text=text,
            key=session_key(message, user),
            is_admin=user.role == "admin",
            files=tuple(files),
            client_message_id=f"telegram:{self._client.bot_id}:{updates[0].update_id}",
            follow_up="queue",
        )
        try:
            submitted = await self._bot.agent.submit(request)
        except Unavailable:
            raise
        except StarpodError as error:
            return await self._say(message, f"Sorry, an error occurred: {error}")
        ids = [update.update_id for update in updates]
        session_id, turn_id = submitted.session_id, submitted.turn_id
        await self._bot.database.run(store.mark_answering, self._client.bot_id, ids, user.id, session_id, turn_id)
        viewer = Viewer(user.id, user.role == "admin")
        owed = Owed(ids[0], message.address, sender.id, viewer, session_id, turn_id)
        self._bot.replies.begin(owed, submitted.turn)
        return True

    async def _answer_again(self, update: StoredUpdate) -> bool:
        """Go on with an answer that the channel had no time for; False when there is nobody to answer any more."""
        try:
            message = read_update(json.loads(update.payload), self._client.username)
            assert isinstance(message, IncomingMessage) and message.sender is not None
            assert update.user_id is not None and update.session_id is not None and update.turn_id is not None
            user = await self._bot.auth.get_user(update.user_id)
        except NotFound:
            return False
        self._bot.replies.begin(
            Owed(
                update.update_id,
                message.address,
                message.sender.id,
                Viewer(user.id, user.role == "admin"),
                update.session_id,
                update.turn_id,
                update.sent,
                update.files_sent,
            ),
            self._bot.agent.turns.find(update.turn_id),
        )
        return True

    async def _fetch(self, references: Sequence[FileReference]) -> tuple[list[IncomingFile], list[str]]:
        """The files that may come in, and a line for each that may not. What is known to be refused is not even fetched."""
        config = self._bot.config().attachments
        files: list[IncomingFile] = []
        refused: list[str] = []
        for file in references:
            try:
                attachments.check([(file.file_name, file.size_bytes or 0)], config)
                data = await self._client.fetch(file.file_id, config.max_file_size)
                files.append(IncomingFile(file.file_name, file.mime_type, data))
            except InvalidInput as error:
                refused.append(str(error))
            except TooLarge:
                refused.append(f"File '{file.file_name}' is larger than this bot may fetch.")
            except (Failing, Refused, Unreachable, TimeoutError) as error:
                logger.warning("a file could not be fetched from Telegram: %s", error)
                refused.append(f"File '{file.file_name}' could not be fetched. Please send it again.")
        return files, refused

    async def _hint(self, message: IncomingMessage, sender: Sender) -> bool:
        """Tell a stranger how to get in, once a minute at most, and never in front of a group."""
        now = asyncio.get_running_loop().time()
        told_at = self._strangers.get(sender.id)
        if not message.address.is_private or (told_at is not None and now - told_at < HINT_EVERY_S):
            return False
        self._strangers[sender.id] = now
        self._strangers.move_to_end(sender.id)
        if len(self._strangers) > MOST_STRANGERS:
            self._strangers.popitem(last=False)
        return await self._say(
            message,
            f"Your Telegram account is not linked. Ask the admin to link it; your ID is `{sender.id}`.",
        )

    def _greeting(self, sender: Sender, *, is_linked: bool) -> str:
        name = f", your username is `@{sender.username}`" if sender.username else ""
        what = (
            "Your account is linked: just write. /help tells what else there is."
            if is_linked
            else "Ask the admin to link your account to it, then write to me again."
        )
        return f"Hi! I am {self._bot.config().agent_name}.\n\nYour Telegram ID is `{sender.id}`{name}.\n\n{what}"

    async def _say(self, message: IncomingMessage, text: str) -> bool:
        """Say something that is no answer of the agent's; always False, for there is nothing more to do."""
        address = message.address
        for chunk in to_chunks(text):
            try:
                await self._client.send(address, chunk)
            except (Failing, Refused) as error:
                logger.warning("a message could not be sent to Telegram: %s", error)
            address = replace(address, reply_to=None)
        return False
