"""Tool calls that wait for a person's word, asked by buttons: in the chat that the turn came from, else of whoever has no other way."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from starpod.agent.service import Agent
from starpod.agent.types import ApprovalSettled, Published
from starpod.approvals.types import Decision, Outcome, Question, Remember
from starpod.auth.service import Auth
from starpod.channels.telegram.chunks import Chunk, to_chunks
from starpod.channels.telegram.client import Client
from starpod.channels.telegram.failures import Failing, Refused, Unreachable
from starpod.channels.telegram.replies import Replies
from starpod.channels.telegram.types import Address, ButtonPress
from starpod.clock import Clock, parse_time
from starpod.errors import NotFound, Unavailable
from starpod.sessions.types import Viewer
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

SHOWN_INPUT = 1500
NOTED_WITHIN_S = 1.0
OUTCOMES: dict[Outcome, str] = {
    "approved": "✅ Approved",
    "denied": "❌ Denied",
    "timeout": "⌛ Not answered in time",
    "withdrawn": "No longer needed",
}
OVER = "This question is closed: it was answered, or its time is over."
NOT_YOURS = "This Telegram account is not linked to a user."
CHOICES: dict[str, tuple[str, Remember]] = {
    "yes": ("Approve", "once"),
    "session": ("Approve for this conversation", "session"),
    "always": ("Approve always", "forever"),
    "no": ("Deny", "once"),
}


@dataclass(frozen=True, slots=True)
class _Asked:
    question: Question
    chat_id: int
    message_id: int


class Questions:
    """One for a running bot. `open` before use, `close` at the end."""

    def __init__(self, agent: Agent, auth: Auth, client: Client, replies: Replies, clock: Clock) -> None:
        self._agent = agent
        self._auth = auth
        self._client = client
        self._replies = replies
        self._clock = clock
        self._tasks = TaskSet("telegram-questions")
        self._asked: dict[str, _Asked] = {}
        self._unsubscribe: Callable[[], None] = lambda: None

    def open(self) -> None:
        """Ask whatever comes from now on."""
        self._unsubscribe = self._agent.approvals.subscribe(self._begin)

    async def close(self) -> None:
        """Ask no more. What was asked can be answered elsewhere."""
        self._unsubscribe()
        await self._tasks.close()

    async def press(self, press: ButtonPress) -> None:
        """Take an answer."""
        choice, _, question_id = press.data.partition(":")
        if choice not in CHOICES:
            return await self._client.answer_press(press.id, "")
        try:
            user = await self._auth.telegram_user(press.sender.id, press.sender.username)
        except Unavailable:
            return await self._client.answer_press(press.id, "Authentication error. Please try again later.")
        if user is None:
            return await self._client.answer_press(press.id, NOT_YOURS)
        viewer = Viewer(user.id, user.role == "admin")
        approvals = self._agent.approvals
        question = next((each for each in approvals.waiting(viewer) if each.id == question_id), None)
        try:
            if question is None:
                raise NotFound(OVER)
            decision: Decision = "deny" if choice == "no" else "approve"
            await approvals.answer(viewer, question.session_id, question_id, decision, CHOICES[choice][1])
        except NotFound:
            await self._client.answer_press(press.id, OVER)
            # Somebody else's question stays as it is.
            if press.chat_id is not None and press.message_id is not None and question_id not in self._asked:
                await self._show(press.chat_id, press.message_id, to_chunks(OVER)[0])
            return
        await self._client.answer_press(press.id, "Approved" if decision == "approve" else "Denied")
        outcome: Outcome = "approved" if decision == "approve" else "denied"
        if question_id not in self._asked and press.chat_id is not None and press.message_id is not None:
            # Asked before the channel began anew.
            return await self._show(press.chat_id, press.message_id, _words(question, outcome))
        await self._settle(question_id, outcome)

    def _begin(self, question: Question) -> None:
        self._tasks.spawn(self._ask(question), name="ask")

    async def _ask(self, question: Question) -> None:
        turn = self._agent.turns.find(question.turn_id)
        address = self._replies.chats.get(question.turn_id)
        if address is None and turn is not None and turn.request.key.channel == "telegram":
            # A quick model asks before the turn's chat has been noted.
            await asyncio.sleep(NOTED_WITHIN_S)
            address = self._replies.chats.get(question.turn_id)
        is_ours = address is not None
        if address is None and (turn is None or not turn.has_followers):
            link = await self._auth.links.find(question.user_id)
            if link is not None and link.telegram_id is not None:
                address = Address(link.telegram_id)
        if address is None:
            return
        try:
            message_id = await self._client.send(address, _words(question, None), buttons=_buttons(question))
        except (Failing, Refused, Unreachable) as error:
            return logger.warning("a question could not be asked on Telegram: %s", error)
        if message_id is None:
            return
        self._asked[question.id] = _Asked(question, address.chat_id, message_id)
        if turn is not None and is_ours:
            turn.follow(lambda published: self._hear(question.id, published))
        else:
            # Following it would look as if somebody read the answer.
            self._tasks.spawn(self._expire(question), name="expire")

    def _hear(self, question_id: str, published: Published) -> None:
        event = published.event
        if isinstance(event, ApprovalSettled) and event.approval_id == question_id:
            self._tasks.spawn(self._settle(question_id, event.outcome), name="settle")

    async def _expire(self, question: Question) -> None:
        """Close a question whose outcome nobody tells."""
        await asyncio.sleep(max(0.0, (parse_time(question.expires_at) - self._clock.now()).total_seconds()))
        asked = self._asked.pop(question.id, None)
        if asked is not None:
            await self._show(asked.chat_id, asked.message_id, to_chunks(OVER)[0])

    async def _settle(self, question_id: str, outcome: Outcome) -> None:
        asked = self._asked.pop(question_id, None)
        if asked is not None:
            await self._show(asked.chat_id, asked.message_id, _words(asked.question, outcome))

    async def _show(self, chat_id: int, message_id: int, chunk: Chunk) -> None:
        try:
            await self._client.edit(chat_id, message_id, chunk)
        except (Failing, Refused, Unreachable) as error:
            logger.info("a question on Telegram could not be closed: %s", error)


def _words(question: Question, outcome: Outcome | None) -> Chunk:
    command = question.input.get("command")
    if not isinstance(command, str):
        command = json.dumps(question.input, ensure_ascii=False, indent=1, default=str)
    shown = command
    if len(shown) > SHOWN_INPUT:
        shown = f"{shown[:SHOWN_INPUT]}…"
    fence = "`" * 3
    while fence in shown:
        fence += "`"
    name = question.tool_name.replace("`", "")
    end = "" if outcome is None else f"\n\n**{OUTCOMES[outcome]}**"
    return to_chunks(f"May I use `{name}`?\n\n{fence}\n{shown}\n{fence}{end}")[0]


def _buttons(question: Question) -> InlineKeyboardMarkup:
    def button(choice: str) -> InlineKeyboardButton:
        return InlineKeyboardButton(CHOICES[choice][0], callback_data=f"{choice}:{question.id}")

    return InlineKeyboardMarkup([[button("yes"), button("no")], [button("session")], [button("always")]])
