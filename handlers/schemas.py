"""What clients may send. Unknown fields are ignored; what does not fit is told field by field."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from starpod.agent.attachments import decode_base64
from starpod.agent.types import FollowUpMode, IncomingFile
from starpod.approvals.types import Decision, Remember
from starpod.cron.types import CatchUp, Overlap, SessionMode
from starpod.errors import InvalidInput
from starpod.tools.cron import ScheduleArguments

T = TypeVar("T")


def _decode(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be a base64 text")
    try:
        return decode_base64(value)
    except ValueError as error:
        raise ValueError("is not valid base64") from error


class Body(BaseModel):
    """What all of them share: the reader of one is made when the first comes, as most gateways never hear most of them."""

    model_config = ConfigDict(defer_build=True)


class Attachment(Body):
    """A file in a message; `data` is base64."""

    file_name: str = Field(min_length=1, max_length=1000)
    mime_type: str = Field(max_length=200)
    data: Annotated[bytes, BeforeValidator(_decode)]

    def to_file(self) -> IncomingFile:
        """The file as the agent takes it."""
        return IncomingFile(self.file_name, self.mime_type, self.data)


class ChatMessage(Body):
    """A message to the agent, over HTTP or WebSocket."""

    text: str = Field(examples=["What can you do?"])
    user_id: str | None = Field(
        default=None, description="Whose message it is while there are no users; else it is the caller's."
    )
    channel_id: str | None = None
    channel_session_key: str | None = Field(
        default=None, examples=["work"], description="Messages with the same key go on with the same session."
    )
    attachments: list[Attachment] = Field(default_factory=list, max_length=50)
    model: str | None = Field(default=None, description="One of the configured models instead of the first.")
    client_message_id: str | None = Field(default=None, description="The same id again joins the first turn.")
    follow_up: FollowUpMode | None = Field(
        default=None, description="What becomes of it while a turn of the session runs."
    )


class MessageFrame(ChatMessage):
    """`message` on the socket."""

    type: Literal["message"]


class CancelFrame(Body):
    """Stop the running turn of a session, or the named turn."""

    type: Literal["cancel"]
    session_id: str
    turn_id: str | None = None


class ResumeFrame(Body):
    """Follow a session's turn: the events behind `after`, then live."""

    type: Literal["resume"]
    session_id: str
    turn_id: str | None = None
    after: int = Field(default=0, ge=0)


class AnswerFrame(Body):
    """Let a tool call run that waits, or not."""

    type: Literal["approve", "deny"]
    session_id: str
    approval_id: str
    remember: Remember = "once"


class RegenerateBody(Body):
    """Answer the newest message of a session again, perhaps with another model."""

    model: str | None = None
    client_message_id: str | None = None


class EditBody(RegenerateBody):
    """Say `text` instead of an earlier message and go on from there."""

    message_id: int = Field(ge=1, le=2**62)
    text: str


class RegenerateFrame(RegenerateBody):
    """`regenerate` on the socket."""

    type: Literal["regenerate"]
    session_id: str


class EditFrame(EditBody):
    """`edit` on the socket."""

    type: Literal["edit"]
    session_id: str


class PingFrame(Body):
    """Answered by `pong`."""

    type: Literal["ping"]


ClientFrame = MessageFrame | RegenerateFrame | EditFrame | CancelFrame | ResumeFrame | AnswerFrame | PingFrame
CLIENT_FRAME: TypeAdapter[ClientFrame] = TypeAdapter(
    Annotated[ClientFrame, Field(discriminator="type")], config=ConfigDict(defer_build=True)
)


class ReadBody(Body):
    """Mark a session read or unread."""

    is_read: bool = True


class ArchiveBody(Body):
    """Put a session away or bring it back."""

    archived: bool = True


class SessionChangeBody(Body):
    """What to change about a session."""

    title: str | None = Field(default=None, max_length=1000)
    is_pinned: bool | None = None


class LoginBody(Body):
    """Sign in with an API key or a one-time code."""

    key: str | None = Field(default=None, description="An API key.")
    code: str | None = Field(default=None, description="The code of a sign-in link, good once.")


class AnswerBody(Body):
    """Let a tool call run that waits, or not."""

    decision: Decision
    remember: Remember = "once"


class StopBody(Body):
    """Stop the running turn, or the named one."""

    turn_id: str | None = None


class RotateBody(Body):
    """How long the old key still works."""

    overlap_s: int = 0


class KeyBody(Body):
    """A new API key; `expires_at` has a time zone."""

    label: str | None = None
    expires_at: datetime | None = None


class JobBody(Body):
    """A new job. What is left out takes the configured default."""

    name: str = Field(examples=["Plants"])
    prompt: str = Field(examples=["Remind me to water the plants"])
    schedule: ScheduleArguments = Field(examples=[{"kind": "cron", "expr": "0 9 * * *"}])
    delete_after_run: bool = False
    enabled: bool = True
    max_retries: int | None = None
    timeout_secs: int | None = None
    session_mode: SessionMode = "isolated"
    timezone: str | None = None
    overlap: Overlap = "skip"
    catch_up: CatchUp = "last"
    model: str | None = None


class JobChangeBody(Body):
    """What to change about a job; what is left out or null stays. An empty `timezone` or `model` takes the configured one."""

    name: str | None = None
    prompt: str | None = None
    schedule: ScheduleArguments | None = None
    delete_after_run: bool | None = None
    enabled: bool | None = None
    max_retries: int | None = None
    timeout_secs: int | None = None
    session_mode: SessionMode | None = None
    timezone: str | None = None
    overlap: Overlap | None = None
    catch_up: CatchUp | None = None
    model: str | None = None


class PreviewBody(Body):
    """A schedule to look ahead on."""

    schedule: ScheduleArguments
    timezone: str | None = None
    count: int = Field(default=5, ge=1, le=50)


class MemoryWriteBody(Body):
    """The new text of a file. With `expected_hash` it is only written over the content of that hash ("" = no file yet)."""

    file: str = Field(examples=["MEMORY.md"])
    content: str = Field(examples=["Likes short answers."])
    expected_hash: str | None = None


class MemoryRevertBody(Body):
    """Go back to a version that the history names."""

    file: str
    version: int = Field(ge=1, le=2**53)


class FileWriteBody(Body):
    """The new text of a file. With `expected_hash` it is only written over the content of that hash ("" = no file yet)."""

    path: str
    content: str
    expected_hash: str | None = None


class FilePathBody(Body):
    """Where."""

    path: str


class FileMoveBody(FilePathBody):
    """Another name or place."""

    to: str


class SeenBody(Body):
    """Which notifications were seen; without `ids`, all."""

    ids: list[Annotated[int, Field(ge=0, lt=2**63)]] | None = Field(default=None, max_length=200)


def parse(adapter: TypeAdapter[T], data: bytes | str) -> T:
    """Read JSON into `adapter`'s type. ValueError when it is no JSON, InvalidInput with `fields` when it does not fit."""
    try:
        return adapter.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise ValueError(first["msg"]) from error
        fields = fields_of(error)
        raise InvalidInput("; ".join(f"{name}: {reason}" for name, reason in fields.items()), fields) from error


def fields_of(error: ValidationError) -> dict[str, str]:
    """The first twenty fields that do not fit, each with the reason."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return {_name(detail["loc"]): _reason(detail["msg"]) for detail in details[:20]}


def _name(location: tuple[int | str, ...]) -> str:
    return (
        ".".join(
            str(part)
            for part in location
            if part not in ("message", "cancel", "resume", "approve", "deny", "ping", "regenerate", "edit")
        )
        or "body"
    )


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")
