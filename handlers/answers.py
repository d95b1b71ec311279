"""What routes answer with, where it is not a record of the domain as it stands. The type checker holds the handlers to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from starpod.approvals.types import Answer, Question
from starpod.auth.types import ApiKey, Role
from starpod.cron.types import CatchUp, Overlap, SessionMode
from starpod.notifications.types import Notification
from starpod.outbox.types import DeliveryState
from starpod.tools.cron import ScheduleArguments


class Error(TypedDict):
    """What went wrong, fit to show to a person. `fields` tells it field by field."""

    error: str
    fields: NotRequired[dict[str, str]]


class Ok(TypedDict):
    """It is done."""

    ok: Literal[True]


class Running(TypedDict):
    """Sessions that are being answered."""

    session_ids: Sequence[str]


class DeletedMessages(TypedDict):
    """Ids of the messages that are gone."""

    message_ids: Sequence[int]


class Done(TypedDict):
    """It is done."""

    status: Literal["ok"]


class Saved(Done):
    """It is saved. `restart_needed` lists settings that are in force after a restart only."""

    restart_needed: NotRequired[list[str]]


class Version(TypedDict):
    """What runs here. `latest` and what follows from it are null, for nobody was asked."""

    current: str
    latest: str | None
    update_available: bool
    release_notes_url: str | None
    published_at: str | None
    platform: str


class Health(TypedDict):
    """The process answers. What is wrong beside that is told without details."""

    status: Literal["ok"]
    version: str
    config_error: NotRequired[str]
    warnings: NotRequired[list[str]]


class Checks(TypedDict):
    """What readiness depends on."""

    event_loop_delay_ms: float
    database: str
    config: Literal["ok", "rejected"]
    stopping: NotRequired[bool]


class Readiness(TypedDict):
    """Whether requests will be answered."""

    status: Literal["ready", "not ready"]
    checks: Checks


class AttachmentRules(TypedDict):
    """Which files may come with a message."""

    enabled: bool
    max_file_size: int
    allowed_extensions: Sequence[str]


class PublicConfig(TypedDict):
    """What the page shows before anybody has signed in."""

    greeting: str | None
    prompts: Sequence[str]
    models: Sequence[str]
    agent_name: str
    oauth_proxy_url: str
    attachments: AttachmentRules


class SignedIn(TypedDict):
    """Who is signed in."""

    id: str
    display_name: str | None
    role: Role
    filesystem_enabled: bool


class Verified(TypedDict):
    """Whether the request's key or cookie is good. `auth_disabled`: there are no users, so everything is open."""

    authenticated: bool
    auth_disabled: bool
    user: NotRequired[SignedIn]


class LoggedIn(TypedDict):
    """The cookie is set."""

    user: SignedIn


class NewApiKey(TypedDict):
    """The one chance to see the key."""

    meta: ApiKey
    key: str


class TokenUsage(TypedDict):
    """What an answer used. `input_tokens` is the part that was not cached."""

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: float


class SentFile(TypedDict):
    """A file for the person; `data` is base64."""

    file_name: str
    mime_type: str
    data: str


class ChatAnswer(TypedDict):
    """What the agent said, and what it used."""

    text: str
    session_id: str
    turn_id: str
    usage: TokenUsage
    is_error: bool
    errors: Sequence[str]
    stopped: bool
    attachments: NotRequired[list[SentFile]]


class FailedChat(ChatAnswer):
    """A turn that failed before anything was said."""

    error: str


class Stopped(TypedDict):
    """Whether something was running."""

    stopped: bool


class ApprovalsAnswer(TypedDict):
    """Tool calls that wait for a person, and the answers that are remembered."""

    waiting: Sequence[Question]
    remembered: Sequence[Answer]


class JobAnswer(TypedDict):
    """A job. Times are whole seconds since 1970; `next_runs` looks ahead."""

    id: str
    user_id: str | None
    name: str
    prompt: str
    schedule: ScheduleArguments
    timezone: str | None
    enabled: bool
    delete_after_run: bool
    created_at: int
    last_run_at: int | None
    next_run_at: int | None
    retry_count: int
    max_retries: int
    last_error: str | None
    retry_at: int | None
    timeout_secs: int
    session_mode: SessionMode
    overlap: Overlap
    catch_up: CatchUp
    model: str | None
    next_runs: list[int]


class JobStarted(TypedDict):
    """The run has begun."""

    status: Literal["started"]
    run_id: str


class Preview(TypedDict):
    """When a schedule is due, in whole seconds since 1970."""

    next_runs: list[int]
    timezone: str


class NotificationPage(TypedDict):
    """The newest first; `unread` counts all."""

    notifications: Sequence[Notification]
    unread: int


class Unread(Ok):
    """How many are still unread."""

    unread: int


class DeliveryAnswer(TypedDict):
    """A text on its way to a person. Its words are gone once it has arrived."""

    id: int
    channel: str
    user_id: str
    title: str
    text: str
    state: DeliveryState
    attempts: int
    error: str | None
    created_at: str
    next_attempt_at: str | None
    ended_at: str | None


class DeliveryPage(TypedDict):
    """The newest first; `counts` counts all by their state."""

    deliveries: list[DeliveryAnswer]
    counts: Mapping[str, int]


class MemoryIndexed(Done):
    """What a rebuild has read, and how long it took."""

    files: int
    chunks: int
    seconds: float


class MemoryWritten(Done):
    """What a write led to. `version` is null when the content was the same already."""

    file: str
    hash: str
    size_bytes: int
    version: int | None


class MemoryVersion(TypedDict):
    """What a version of a file held."""

    file: str
    version: int
    content: str


class FrameAnswer(TypedDict):
    """Whether a page can be shown in a frame; if not, why, and what it says of itself."""

    frameable: bool
    reason: str
    ogImage: str
    ogTitle: str
