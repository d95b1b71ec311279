"""Brings a request of OpenAI's protocol to the agent, as a message of the session that it names."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from starpod.agent.service import Agent
from starpod.agent.turns import Submitted
from starpod.agent.types import TurnRequest
from starpod.channels.openai.conversation import Said, collect, part
from starpod.config.schema import Config
from starpod.errors import InvalidInput, NotFound
from starpod.sessions.service import Sessions, session_key
from starpod.sessions.types import Session, SessionKey, Viewer

DEFAULT_MODEL = "starpod"
"""What clients that must name a model call the default one."""
RESPONSE_PREFIX = "resp_"


@dataclass(frozen=True, slots=True)
class Question:
    """A request: `session` names a conversation, `previous` a response whose conversation goes on; without both it begins one."""

    messages: tuple[Said, ...]
    model: str | None = None
    session: str | None = None
    previous: str | None = None
    client_message_id: str | None = None


class OpenAIChannel:
    """One for the gateway."""

    def __init__(self, agent: Agent, sessions: Sessions, config: Callable[[], Config]) -> None:
        self._agent = agent
        self._sessions = sessions
        self._config = config

    def model_ids(self) -> list[str]:
        """What a request may name: the default by our own name, then every model of the settings."""
        return [DEFAULT_MODEL, *self._config().models]

    def spec(self, model: str | None) -> str:
        """The `provider/model` that a request's model stands for."""
        return model if model not in (None, "", DEFAULT_MODEL) else self._config().models[0]

    async def ask(self, viewer: Viewer, question: Question) -> Submitted:
        """Send the message; its turn answers this request alone. Raises what `Agent.submit` does, NotFound for an unknown response."""
        if question.session is not None and question.previous is not None:
            raise InvalidInput(
                "A request goes on by a session or by a response, not by both",
                {"previous_response_id": "leave one out"},
            )
        key, is_known = await self._key(viewer, question)
        parted = part(question.messages)
        config = self._config()
        spoken = await collect(parted, self._agent.internet, config.attachments.max_file_size)
        request = TurnRequest(
            text=spoken.text,
            key=key,
            is_admin=viewer.is_admin,
            model=None if question.model in (None, "", DEFAULT_MODEL) else question.model,
            files=spoken.files,
            client_message_id=question.client_message_id,
            # Never put into a running turn: whoever asks by this protocol waits for an answer of their own.
            follow_up="queue",
            earlier=() if is_known else spoken.earlier,
            instructions=spoken.instructions,
        )
        return await self._agent.submit(request)

    async def session_of(self, viewer: Viewer, response_id: str) -> tuple[Session, str]:
        """The session of a response and its turn's id. NotFound when it is unknown or somebody else's."""
        turn_id = turn_of(response_id)
        session = await self._sessions.find_by_turn(viewer, turn_id) if turn_id is not None else None
        if turn_id is None or session is None:
            raise NotFound(f"Response {response_id[:80]!r} not found")
        return session, turn_id

    async def _key(self, viewer: Viewer, question: Question) -> tuple[SessionKey, bool]:
        """The session that is meant, and whether it keeps what was said before."""
        if question.previous is not None:
            session, _ = await self.session_of(viewer, question.previous)
            if session.is_closed:
                raise NotFound(f"The conversation of response {question.previous[:80]!r} has ended")
            return SessionKey(session.channel, session.channel_session_key or "", session.user_id), True
        user_id = viewer.user_id or "admin"
        return session_key("main", question.session, user_id), question.session is not None


def response_id(turn_id: str) -> str:
    """How the protocol names a turn's answer."""
    return RESPONSE_PREFIX + turn_id.replace("-", "")


def turn_of(response_id: str) -> str | None:
    """The turn that a response's id names; None for anything that we never gave out."""
    try:
        return str(uuid.UUID(hex=response_id.removeprefix(RESPONSE_PREFIX)))
    except ValueError:
        return None
