"""The commands of the bot, for linked people. Whatever else begins with a slash goes to the agent, which knows its skills by it."""

from __future__ import annotations

from collections.abc import Callable

from starpod.agent.service import Agent
from starpod.auth.types import User
from starpod.channels.telegram.client import Client
from starpod.channels.telegram.replies import Replies
from starpod.channels.telegram.types import IncomingMessage
from starpod.config.schema import Config
from starpod.db.database import Database
from starpod.sessions import store as sessions
from starpod.sessions.types import SessionKey

COMMANDS = {
    "new": "Begin a new conversation",
    "stop": "Stop what I am doing",
    "status": "Which model answers, and what is going on",
    "help": "What I understand",
}
MENU = [("start", "Who I am, and your Telegram ID"), *COMMANDS.items()]
HELP = "Write to me, or send photos and files; reply to a message to talk about it.\n\n" + "\n".join(
    f"- /{name}: {text}" for name, text in COMMANDS.items()
)


def session_key(message: IncomingMessage, user: User) -> SessionKey:
    """Which conversation a message belongs to."""
    return SessionKey("telegram", str(message.address.chat_id), user.id)


class Commands:
    """Carries out what `COMMANDS` names and says what came of it."""

    def __init__(
        self, agent: Agent, database: Database, config: Callable[[], Config], client: Client, replies: Replies
    ) -> None:
        self._agent = agent
        self._database = database
        self._config = config
        self._client = client
        self._replies = replies

    async def run(self, message: IncomingMessage, user: User) -> str:
        """Carry out the command of a message; returns what to say, in markdown."""
        match message.command:
            case "new":
                await self._agent.close_session(session_key(message, user), is_admin=user.role == "admin")
                return "A new conversation begins with your next message."
            case "stop":
                return self._stop(message, user)
            case "status":
                return await self._status(message, user)
            case _:
                return HELP

    def _stop(self, message: IncomingMessage, user: User) -> str:
        """Stop what runs and what waits in the chat for this person, the newest first, so that nothing starts in between."""
        stopped = 0
        for turn_id in reversed(self._replies.turns_of(message.address.chat_id)):
            turn = self._agent.turns.find(turn_id)
            if turn is not None and turn.user_id == user.id and self._agent.turns.stop(turn.session_id, turn.id):
                stopped += 1
        return "Stopped." if stopped else "Nothing is running."

    async def _status(self, message: IncomingMessage, user: User) -> str:
        config = self._config()
        session = await self._database.read(sessions.find_open, session_key(message, user))
        waiting = len(self._replies.turns_of(message.address.chat_id))
        lines = [f"**{config.agent_name}**", f"Model: `{config.models[0]}`"]
        if session is None:
            lines.append("No conversation is open; your next message begins one.")
        else:
            count = f"{session.message_count} message{'' if session.message_count == 1 else 's'}"
            lines.append(f"Conversation: {session.title or 'untitled'} ({count})")
        lines.append(f"Working on {waiting} of your messages." if waiting else "Nothing is running.")
        return "\n".join(lines)
