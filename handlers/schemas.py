"""What clients may send. Unknown fields are ignored; what does not fit is told field by field."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter, ValidationError, WithJsonSchema

from starpod.agent.types import FollowUpMode, IncomingFile
from starpod.approvals.types import Decision, Remember
from starpod.auth.types import Role
from starpod.config.sections import page_schema
from starpod.cron.types import CatchUp, Overlap, SessionMode
from starpod.errors import InvalidInput
from starpod.tools.cron import ScheduleArguments

T = TypeVar("T")


def _decode(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be a base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is not valid base64") from error


class Attachment(BaseModel):
    """A file in a message; `data` is base64."""

    file_name: str = Field(min_length=1, max_length=1000)
    mime_type: str = Field(max_length=200)
    data: Annotated[bytes, BeforeValidator(_decode)]

    def to_file(self) -> IncomingFile:
        """The file as the agent takes it."""
        return IncomingFile(self.file_name, self.mime_type, self.data)


class ChatMessage(BaseModel):
    """A message to the agent, over HTTP or WebSocket."""

    text: str
    user_id: str | None = None
    channel_id: str | None = None
    channel_session_key: str | None = None
    attachments: list[Attachment] = Field(default_factory=list, max_length=50)
    model: str | None = None
    client_message_id: str | None = None
    follow_up: FollowUpMode | None = None


class MessageFrame(ChatMessage):
    """`message` on the socket."""

    type: Literal["message"]


class CancelFrame(BaseModel):
    """Stop the running turn of a session, or the named turn."""

    type: Literal["cancel"]
    session_id: str
    turn_id: str | None = None


class ResumeFrame(BaseModel):
    """Follow a session's turn: the events behind `after`, then live."""

    type: Literal["resume"]
    session_id: str
    turn_id: str | None = None
    after: int = Field(default=0, ge=0)


class AnswerFrame(BaseModel):
    """Let a tool call run that waits, or not."""

    type: Literal["approve", "deny"]
    session_id: str
    approval_id: str
    remember: Remember = "once"


class InstanceBody(BaseModel):
    """A new instance. `secrets` names those of this gateway's secrets that it gets."""

    name: str | None = Field(default=None, max_length=64)
    region: str | None = Field(default=None, max_length=200)
    agent_id: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    zone: str | None = Field(default=None, max_length=200)
    machine_type: str | None = Field(default=None, max_length=200)
    port: int | None = Field(default=None, ge=1024, le=65535)
    secrets: list[str] = Field(default_factory=list, max_length=100)


class RegenerateBody(BaseModel):
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


class PingFrame(BaseModel):
    """Answered by `pong`."""

    type: Literal["ping"]


ClientFrame = MessageFrame | RegenerateFrame | EditFrame | CancelFrame | ResumeFrame | AnswerFrame | PingFrame
CLIENT_FRAME: TypeAdapter[ClientFrame] = TypeAdapter(Annotated[ClientFrame, Field(discriminator="type")])


class ReadBody(BaseModel):
    """Mark a session read or unread."""

    is_read: bool = True


class ArchiveBody(BaseModel):
    """Put a session away or bring it back."""

    archived: bool = True


class SessionChangeBody(BaseModel):
    """What to change about a session."""

    title: str | None = Field(default=None, max_length=1000)
    is_pinned: bool | None = None


class LoginBody(BaseModel):
    """Sign in with an API key or a one-time code."""

    key: str | None = None
    code: str | None = None


class AnswerBody(BaseModel):
    """Let a tool call run that waits, or not."""

    decision: Decision
    remember: Remember = "once"


class StopBody(BaseModel):
    """Stop the running turn, or the named one."""

    turn_id: str | None = None


class DocumentBody(BaseModel):
    """The text of one of the agent's files."""

    content: str


class HeartbeatBody(BaseModel):
    """What the agent does by itself, and how often."""

    enabled: bool
    interval_minutes: int = Field(strict=True, le=2**31 - 1)
    content: str = ""


class FrontendBody(BaseModel):
    """What the page greets with."""

    greeting: str | None = Field(default=None, max_length=2000)
    prompts: list[Annotated[str, Field(max_length=2000)]] = Field(max_length=50)


class FolderBody(BaseModel):
    """A new folder of a user."""

    id: str


class UserBody(BaseModel):
    """A new user."""

    email: str | None = None
    display_name: str | None = None
    role: Role = "user"
    filesystem_enabled: bool = False


class UserChangeBody(BaseModel):
    """What to change about a user."""

    email: str | None = None
    display_name: str | None = None
    role: Role | None = None
    filesystem_enabled: bool | None = None


class TelegramLinkBody(BaseModel):
    """The Telegram account of a user: its number, its name, or both."""

    telegram_id: int | None = None
    username: str | None = None


class RotateBody(BaseModel):
    """How long the old key still works."""

    overlap_s: int = 0


class KeyBody(BaseModel):
    """A new API key; `expires_at` has a time zone."""

    label: str | None = None
    expires_at: datetime | None = None


class SkillChangeBody(BaseModel):
    """What a skill says."""

    description: str
    body: str


class SkillBody(SkillChangeBody):
    """A new skill."""

    name: str
    connectors: list[str] = Field(default_factory=list, max_length=50)


class SkillDraftBody(BaseModel):
    """What a skill is to be about."""

    name: str = Field(max_length=200)
    description: str | None = Field(default=None, max_length=2_000)
    prompt: str | None = Field(default=None, max_length=20_000)


class ModelTestBody(BaseModel):
    """Which model to ask, as provider/model."""

    model: str = Field(max_length=200)


class UserBudgetBody(BaseModel):
    """A user's own limits in USD; null = as configured for everybody."""

    daily_usd: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    monthly_usd: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)


class VaultHostsBody(BaseModel):
    """Where a secret may be sent; null = anywhere."""

    allowed_hosts: list[str] | None = None


class VaultBody(VaultHostsBody):
    """A secret."""

    value: str


class JobBody(BaseModel):
    """A new job. What is left out takes the configured default."""

    name: str
    prompt: str
    schedule: ScheduleArguments
    delete_after_run: bool = False
    enabled: bool = True
    max_retries: int | None = None
    timeout_secs: int | None = None
    session_mode: SessionMode = "isolated"
    timezone: str | None = None
    overlap: Overlap = "skip"
    catch_up: CatchUp = "last"
    model: str | None = None


class JobChangeBody(BaseModel):
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


class PreviewBody(BaseModel):
    """A schedule to look ahead on."""

    schedule: ScheduleArguments
    timezone: str | None = None
    count: int = Field(default=5, ge=1, le=50)


class MemoryWriteBody(BaseModel):
    """The new text of a file. With `expected_hash` it is only written over the content of that hash ("" = no file yet)."""

    file: str
    content: str
    expected_hash: str | None = None


class MemoryRevertBody(BaseModel):
    """Go back to a version that the history names."""

    file: str
    version: int = Field(ge=1, le=2**53)


class FileWriteBody(BaseModel):
    """The new text of a file. With `expected_hash` it is only written over the content of that hash ("" = no file yet)."""

    path: str
    content: str
    expected_hash: str | None = None


class FilePathBody(BaseModel):
    """Where."""

    path: str


class FileMoveBody(FilePathBody):
    """Another name or place."""

    to: str


class SeenBody(BaseModel):
    """Which notifications were seen; without `ids`, all."""

    ids: list[Annotated[int, Field(ge=0, lt=2**63)]] | None = Field(default=None, max_length=200)


@cache
def page_type(section: str) -> type[Mapping[str, Any]]:
    """What a settings page may be saved as. It is read key by key (`starpod.config.sections`), by the schema of the settings."""
    return cast(type[Mapping[str, Any]], Annotated[dict[str, Any], WithJsonSchema(page_schema(section, is_saved=True))])


def shown_page_type(section: str) -> object:
    """What a settings page is shown as."""
    return Annotated[dict[str, Any], WithJsonSchema(page_schema(section, is_saved=False))]


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
