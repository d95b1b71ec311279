"""Brings what a server answers into the forms of a tool result: text, and images that a model can be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_core import to_json

if TYPE_CHECKING:
    from pydantic_ai.messages import BinaryContent

IMAGE_TYPES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
MAX_IMAGE_BYTES = 5 * 1_048_576
MAX_IMAGES = 8
MAX_TEXT_CHARS = 500_000
"""What is stored of one result; the model sees less."""
MAX_ERROR_CHARS = 4_000


def bounded(result: Any) -> str | list[str | BinaryContent]:
    """The result as text, or as text and images when it has any. Other data is named, not shown."""
    from pydantic_ai.messages import BinaryContent

    texts: list[str] = []
    images: list[BinaryContent] = []
    for item in result if _is_parts(result) else [result]:
        if not isinstance(item, BinaryContent):
            texts.append(item if isinstance(item, str) else to_json(item, fallback=str).decode())
        elif item.media_type in IMAGE_TYPES and len(item.data) <= MAX_IMAGE_BYTES and len(images) < MAX_IMAGES:
            images.append(BinaryContent(data=item.data, media_type=item.media_type))
        else:
            texts.append(f"[{item.media_type}, {len(item.data)} bytes: not shown]")
    text = _cut("\n".join(texts), MAX_TEXT_CHARS)
    return [text, *images] if images else text


def complaint(text: str) -> str:
    """A server's error as the model sees it."""
    return _cut(text, MAX_ERROR_CHARS) or "The tool failed and did not say why."


def _is_parts(result: Any) -> bool:
    """Whether it is a list of texts and data blocks; any other list is one JSON value."""
    from pydantic_ai.messages import BinaryContent

    return isinstance(result, list) and any(isinstance(item, BinaryContent) for item in result)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}\n[cut: {len(text) - most} more characters]"
