"""Answering again: the last answer regenerated, or an earlier message edited. Nothing is lost: old turns stay beside the new ones."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from starpod.agent import branch_store, history
from starpod.agent.turns import Prepared, Submitted, Turns, submitted
from starpod.agent.types import Branch, TurnRequest
from starpod.clock import Clock
from starpod.db.database import Database
from starpod.errors import InvalidInput
from starpod.sessions.types import SessionKey, Viewer

CLIENT_MESSAGE_ID_LENGTH = 200


class Branches:
    """Makes new branches of a session and switches between them. Everything raises NotFound for sessions the viewer may not see."""

    def __init__(
        self,
        database: Database,
        turns: Turns,
        clock: Clock,
        prepare: Callable[[TurnRequest], Awaitable[tuple[Prepared, str]]],
    ) -> None:
        self._database = database
        self._turns = turns
        self._clock = clock
        self._prepare = prepare

    async def regenerate(
        self, viewer: Viewer, session_id: str, *, model: str | None = None, client_message_id: str | None = None
    ) -> Submitted:
        """Answer the newest message again. Raises Conflict while the session is busy or empty, InvalidInput for an unknown model."""
        return await self._ask_again(viewer, session_id, None, None, model, client_message_id)

    async def edit(
        self,
        viewer: Viewer,
        session_id: str,
        message_id: int,
        text: str,
        *,
        model: str | None = None,
        client_message_id: str | None = None,
    ) -> Submitted:
        """Say `text` instead of a user's message and go on from there; its files stay. Raises as `regenerate`."""
        if not text.strip():
            raise InvalidInput("The message is empty", {"text": "say something"})
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidInput("The message is no valid Unicode", {"text": "holds half of a surrogate pair"}) from error
        return await self._ask_again(viewer, session_id, message_id, text, model, client_message_id)

    async def siblings(self, viewer: Viewer, session_id: str) -> list[Branch]:
        """The turns of the session that have others in their place, in the order they were asked."""
        return await self._database.read(branch_store.branches, session_id, viewer.owner_ids)

    async def activate(self, viewer: Viewer, session_id: str, turn_id: str) -> list[Branch]:
        """Show the branch through this turn, down to its newest end. Raises Conflict while the session is busy."""
        found = await self._database.run(branch_store.activate, session_id, viewer.owner_ids, turn_id)
        self._turns.forget(session_id)
        return found

    async def _ask_again(
        self,
        viewer: Viewer,
        session_id: str,
        message_id: int | None,
        text: str | None,
        model: str | None,
        client_message_id: str | None,
    ) -> Submitted:
        if client_message_id is not None and not 0 < len(client_message_id) <= CLIENT_MESSAGE_ID_LENGTH:
            reason = f"1 to {CLIENT_MESSAGE_ID_LENGTH} characters"
            raise InvalidInput("The message id is not usable", {"client_message_id": reason})
        source = await self._database.read(branch_store.find_source, session_id, viewer.owner_ids, message_id)
        texts = source.texts if text is None else (*source.texts[:-1], text)
        session = source.session
        request = TurnRequest(
            text=texts[-1],
            key=SessionKey(session.channel, session.channel_session_key or "", session.user_id),
            is_admin=viewer.is_admin,
            model=model,
            client_message_id=client_message_id,
        )
        prepared, expanded = await self._prepare(request)
        edited = None if text is None else expanded
        user_json = history.asked_again(source.model_json, source.texts, edited, self._clock.now())
        prepared = replace(prepared, user_json=user_json)
        turn, accepted = await self._turns.branch(
            request, prepared, session_id=session_id, beside=source.turn_id, texts=texts
        )
        return submitted(turn, accepted)
