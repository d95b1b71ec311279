"""What was said before a session's first message: a client that keeps its own history brings it along, and the model hears it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from starpod.agent import attachments, history
from starpod.agent.types import EarlierMessage

if TYPE_CHECKING:
    from pydantic_ai.messages import UserContent

ASSISTANT_FIRST = "[The assistant began the conversation.]"


def earlier_json(messages: Sequence[EarlierMessage], now: datetime, *, shows_images: bool) -> tuple[str, ...]:
    """The messages as the model's history keeps them. Providers want the person to speak first, so that is seen to."""
    stored = [
        _user(message, now, shows_images=shows_images)
        if message.role == "user"
        else history.partial_response_json(message.text, now)
        for message in messages
    ]
    if messages[0].role == "assistant":
        stored.insert(0, history.user_json(ASSISTANT_FIRST, now))
    return tuple(stored)


def _user(message: EarlierMessage, now: datetime, *, shows_images: bool) -> str:
    """Files are not kept: an image is shown to a model that sees, of any other only the name is told."""
    if not message.files:
        return history.user_json(message.text, now)
    from pydantic_ai.messages import BinaryContent, ModelRequest, UserPromptPart

    images: list[UserContent] = []
    lines = [message.text] if message.text else []
    for file in message.files:
        media_type = attachments.media_type(file)
        lines.append(f"[Attached file: {attachments.safe_name(file.file_name)} ({media_type}, {len(file.data)} bytes)]")
        if shows_images and media_type in attachments.IMAGE_TYPES:
            images.append(BinaryContent(data=file.data, media_type=media_type))
    content: list[UserContent] = ["\n".join(lines), *images]
    return history.dump(ModelRequest(parts=[UserPromptPart(content, timestamp=now)]))
