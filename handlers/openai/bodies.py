"""What clients of OpenAI's protocol send. Parameters that an agent has no use for are let through."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, FailFast, Field, Tag

from handlers.schemas import Body
from starpod.channels.openai.conversation import Link, Said

Role = Literal["system", "developer", "user", "assistant", "tool", "function"]
MOST_TEXTS = 2048
MOST_PARTS = 1000
MOST_METADATA = 16


def _as_parts(content: object) -> object:
    if content is None:
        return []
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class TextPart(Body):
    """Words."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class RefusalPart(Body):
    """Words of an assistant that would not."""

    type: Literal["refusal"]
    refusal: str


class ImageAddress(Body):
    """An image by its URL."""

    url: str = Field(min_length=1)


class ImagePart(Body):
    """An image: `data:` URL, or http(s) of a public address."""

    type: Literal["image_url", "input_image"]
    image_url: ImageAddress | str


class FileContent(Body):
    """A file; `file_data` is a `data:` URL, or base64 alone."""

    file_data: str = Field(min_length=1)
    filename: str | None = Field(default=None, min_length=1, max_length=1000)


class FilePart(Body):
    """A file in a chat message."""

    type: Literal["file"]
    file: FileContent


class InputFilePart(Body):
    """A file in the input of a response: its content, or its URL."""

    type: Literal["input_file"]
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = Field(default=None, min_length=1, max_length=1000)


class Sound(Body):
    """A recording in base64."""

    data: str = Field(min_length=1)
    format: str = Field(pattern=r"^[A-Za-z0-9]{1,10}$")


class AudioPart(Body):
    """A recording."""

    type: Literal["input_audio"]
    input_audio: Sound


Part = Annotated[TextPart | RefusalPart | ImagePart | FilePart | InputFilePart | AudioPart, Field(discriminator="type")]
# One complaint of a list is enough: to collect those of millions of parts would take minutes and gigabytes.
Parts = Annotated[list[Part], FailFast(), Field(max_length=MOST_PARTS)]
Content = Annotated[Parts, BeforeValidator(_as_parts, json_schema_input_type=str | list[Part] | None)]


class ConversationMessage(Body):
    """A message of the conversation."""

    role: Role
    content: Content = Field(default_factory=list)


class StreamOptions(Body):
    """What a stream is to hold beside the text."""

    include_usage: bool = False


class ChatCompletionBody(Body):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[ConversationMessage], FailFast()] = Field(min_length=1, max_length=10_000)
    model: str | None = Field(default=None, max_length=200)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    user: str | None = None
    n: Literal[1] | None = None


class InputMessage(ConversationMessage):
    """A message in the input of a response."""

    type: Literal["message"] = "message"


class ToolResult(Body):
    """What a tool of the client's returned."""

    type: Literal["function_call_output", "custom_tool_call_output"]
    output: Content


class OtherItem(Body):
    """An item that says nothing to the agent: the call of a tool, reasoning, a reference."""

    type: str


def _kind(item: Any) -> str:
    kind = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", "message")
    return {"message": "message", "function_call_output": "result", "custom_tool_call_output": "result"}.get(
        kind, "other"
    )


InputItem = Annotated[
    Annotated[InputMessage, Tag("message")] | Annotated[ToolResult, Tag("result")] | Annotated[OtherItem, Tag("other")],
    Discriminator(_kind),
]


def _as_items(given: object) -> object:
    return [{"role": "user", "content": given}] if isinstance(given, str) else given


Items = Annotated[list[InputItem], FailFast()]
Input = Annotated[Items, BeforeValidator(_as_items, json_schema_input_type=str | list[InputItem])]


class Conversation(Body):
    """A conversation by the client's name for it."""

    id: str = Field(min_length=1)


def _few(given: object) -> object:
    if isinstance(given, dict) and len(given) > MOST_METADATA:
        raise ValueError(f"may have {MOST_METADATA} entries at most")
    return given


Metadata = Annotated[dict[str, str], BeforeValidator(_few), Field(max_length=MOST_METADATA)]


class ResponseBody(Body):
    """`POST /v1/responses`."""

    input: Input = Field(min_length=1, max_length=10_000)
    model: str | None = Field(default=None, max_length=200)
    instructions: str | None = None
    stream: bool | None = False
    previous_response_id: str | None = Field(default=None, max_length=200)
    conversation: Conversation | str | None = None
    user: str | None = None
    metadata: Metadata | None = None
    background: Literal[False] | None = None


def _as_texts(given: object) -> object:
    return [given] if isinstance(given, str) else given


Text = Annotated[str, Field(min_length=1)]


class EmbeddingBody(Body):
    """`POST /v1/embeddings`: one text or several."""

    input: Annotated[list[Text], FailFast(), BeforeValidator(_as_texts, json_schema_input_type=Text | list[Text])] = (
        Field(min_length=1, max_length=MOST_TEXTS)
    )
    model: str | None = Field(default=None, max_length=200)
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(default=None, ge=1, le=100_000)
    user: str | None = None


def said(message: ConversationMessage, place: str) -> Said:
    """A message as the channel takes it; `place` is where the request has it."""
    text, links = _content(message.content, place)
    match message.role:
        case "system" | "developer":
            return Said("system", text, links)
        case "assistant":
            return Said("assistant", text, links)
        case "user":
            return Said("user", text, links)
        case _:
            return tool_result(message.content, place)


def tool_result(content: list[Part], place: str) -> Said:
    """What a tool of the client's returned: for the agent it is told by the person's side."""
    text, links = _content(content, place)
    return Said("user", f"[Result of a tool]\n{text}", links)


def _content(parts: list[Part], place: str) -> tuple[str, tuple[Link, ...]]:
    texts: list[str] = []
    links: list[Link] = []
    for number, part in enumerate(parts):
        field = f"{place}.content.{number}"
        match part:
            case TextPart():
                texts.append(part.text)
            case RefusalPart():
                texts.append(part.refusal)
            case ImagePart():
                url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
                links.append(Link(url, None, f"{field}.image_url"))
            case FilePart():
                links.append(Link(_data_url(part.file.file_data), part.file.filename, f"{field}.file.file_data"))
            case InputFilePart():
                url = _data_url(part.file_data) if part.file_data else part.file_url or ""
                links.append(Link(url, part.filename, f"{field}.{'file_data' if part.file_data else 'file_url'}"))
            case AudioPart():
                sound = part.input_audio
                links.append(Link(f"data:audio/{sound.format};base64,{sound.data}", f"audio.{sound.format}", field))
    return "\n\n".join(text for text in texts if text), tuple(links)


def _data_url(data: str) -> str:
    return data if data[:5].lower() == "data:" else f"data:application/octet-stream;base64,{data}"
