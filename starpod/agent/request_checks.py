"""What a message to the agent must be like, whoever brings it."""

from __future__ import annotations

import re

from starpod.agent.types import TurnRequest
from starpod.errors import InvalidInput

USER_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
CLIENT_MESSAGE_ID_LENGTH = 200


def check_request(request: TurnRequest) -> None:
    """Raises InvalidInput for a message that cannot be stored or answered."""
    if not request.text.strip() and not request.files:
        raise InvalidInput("The message is empty", fields={"text": "say something or attach a file"})
    try:
        for text in (request.text, request.instructions, *(message.text for message in request.earlier)):
            text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "The message is no valid Unicode", fields={"text": "holds half of a surrogate pair"}
        ) from error
    if not USER_ID.fullmatch(request.key.user_id):
        raise InvalidInput("The user id is not usable", fields={"user_id": "use 1 to 64 letters, digits, - or _"})
    if len(request.key.key) > CLIENT_MESSAGE_ID_LENGTH:
        raise InvalidInput(
            "The session key is too long",
            fields={"channel_session_key": f"at most {CLIENT_MESSAGE_ID_LENGTH} characters"},
        )
    if request.client_message_id is not None and not 0 < len(request.client_message_id) <= CLIENT_MESSAGE_ID_LENGTH:
        raise InvalidInput(
            "The message id is not usable", fields={"client_message_id": f"1 to {CLIENT_MESSAGE_ID_LENGTH} characters"}
        )
