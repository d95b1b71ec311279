"""What clients may ask in a query string. Names that are not known are ignored; what does not fit is told name by name."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from starpod.clock import parse_time
from starpod.memory.types import Kind
from starpod.outbox.types import DeliveryState

LARGEST = 2**53


def _whole(value: object) -> object:
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 20):
        raise ValueError("must be a whole number")
    return value


def _flag(value: object) -> object:
    if isinstance(value, str) and value.lower() not in ("true", "1", "false", "0"):
        raise ValueError("must be true or false")
    return value


def _day(value: object) -> object:
    if not value:
        return None
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError as error:
        raise ValueError("must be a day such as 2026-03-20") from error


def _time(value: object) -> object:
    try:
        # A plus sign that was not escaped arrives as a blank.
        return parse_time(value.replace(" ", "+")) if isinstance(value, str) else value
    except (ValueError, OverflowError) as error:
        raise ValueError("must be a time, e.g. 2026-03-20T16:33:19+00:00") from error


Whole = Annotated[int, BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, StringConstraints(strip_whitespace=False)]
Day = Annotated[str | None, BeforeValidator(_day, json_schema_input_type=str | None)]
Time = Annotated[datetime | None, BeforeValidator(_time)]
Nothing = Annotated[str | None, BeforeValidator(lambda value: value or None)]


class Query(BaseModel):
    """What all query strings share: blanks around a value do not count."""

    model_config = ConfigDict(str_strip_whitespace=True, defer_build=True)


class AskedQuery(Query):
    """Whose."""

    user: str | None = Field(default=None, description="For admins: the id of the user whose data is wanted.")


class SessionListQuery(AskedQuery):
    """Which sessions."""

    limit: Whole = Field(default=20, ge=0, le=LARGEST, description="At most 1000 are sent.")
    archived: Flag = False
    pinned: Flag = Field(default=False, description="Only those that are pinned.")
    before: str | None = Field(default=None, description="The id of the last session of the page before.")


class SessionSearchQuery(AskedQuery):
    """What to find in conversations; any text is a query."""

    q: Text
    limit: Whole = Field(default=20, ge=1, le=100)


class SessionDeleteQuery(Query):
    """How to delete a session."""

    permanent: Flag = Field(default=False, description="Beyond recovery, instead of after a while.")


class MessageDeleteQuery(Query):
    """What to delete."""

    scope: Literal["message", "answer"] = Field(
        default="message",
        description="The message, a tool call together with its result, or all that the agent said and did in its turn.",
    )


class SessionExportQuery(AskedQuery):
    """The form of an export."""

    format: Literal["markdown", "json"] = "markdown"


class MessageListQuery(AskedQuery):
    """All messages, or a page of the newest."""

    limit: Whole | None = Field(default=None, ge=1, le=1000)
    before: Whole | None = Field(
        default=None, ge=1, le=LARGEST, description="The id of the first message of the page before."
    )


class SessionEventsQuery(Query):
    """Which turn to follow from where."""

    turn_id: str | None = Field(default=None, description="The running or newest one when it is left out.")
    after: Whole | None = Field(
        default=None, ge=0, le=LARGEST, description="The `seq` of the last event that was seen."
    )


class JobRunsQuery(Query):
    """How many runs."""

    limit: Whole = Field(default=50, ge=1, le=200)


class NotificationListQuery(Query):
    """A page of notifications."""

    limit: Whole = Field(default=50, ge=1, le=200)
    before: Whole | None = Field(
        default=None, ge=0, le=LARGEST, description="The id of the last one of the page before."
    )


class DeliveryListQuery(NotificationListQuery):
    """A page of deliveries."""

    state: DeliveryState | None = None


class MemorySearchQuery(Query):
    """What to find in memory; any text is a question."""

    q: Text
    limit: Whole = Field(default=10, ge=0, le=LARGEST, description="At most 50 are sent.")
    kind: Annotated[Kind | None, BeforeValidator(lambda value: value or None)] = None
    source: Nothing = Field(default=None, description="Only what stands in this file or session.")
    since: Day = Field(default=None, examples=["2026-03-20"])
    until: Day = Field(default=None, examples=["2026-03-31"])


class MemoryFileQuery(Query):
    """One file of memory, or the list."""

    file: Text | None = Field(default=None, description="The list is sent when it is left out.", examples=["MEMORY.md"])


class MemoryHistoryQuery(Query):
    """The versions of a file, or what one of them held."""

    file: Text = Field(min_length=1, examples=["MEMORY.md"])
    version: Whole | None = Field(default=None, ge=1, le=LARGEST)
    limit: Whole = Field(default=50, ge=1, le=200)


class CostsQuery(Query):
    """The period of a report."""

    period: str = Field(default="", description="7d, 30d, 90d or all; anything else is 30d.")
    tz: str | None = Field(default=None, description="The time zone of days.", examples=["Europe/Berlin"])
    format: Literal["json", "csv"] = "json"


class AllCostsQuery(CostsQuery):
    """The period of a report, and of whom."""

    user_id: str | None = Field(default=None, description="One person instead of everybody.")


class AuditQuery(Query):
    """Which lines of the audit log."""

    limit: Whole = Field(default=100, ge=1, le=1000)
    before: Whole | None = Field(
        default=None, ge=0, le=LARGEST, description="The id of the last line of the page before."
    )
    event_type: str | None = None
    user_id: str | None = None
    since: Time = None
    until: Time = None


class InstanceLogsQuery(Query):
    """How much of a log."""

    tail: Whole = Field(default=100, ge=0, le=10_000)
    follow: Flag = Field(default=False, description="Go on with what comes.")


class LogQuery(Query):
    """Which lines of the gateway's log."""

    tail: Whole = Field(default=200, ge=0, le=2_000)
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Lines of at least this.")
    after: Whole = Field(default=0, ge=0, le=LARGEST, description="The id of the last line seen.")


class FrameQuery(Query):
    """A page to be framed."""

    url: str = Field(default="", examples=["https://example.org/"])


class DoctorQuery(Query):
    """How far to look."""

    offline: Flag = Field(default=False, description="Ask nothing outside this machine.")


class UserDeleteQuery(Query):
    """What becomes of a user's data."""

    data: Literal["keep", "erase"] = "keep"


class FolderQuery(Query):
    """A folder of the caller's home."""

    path: Text = Field(default=".", examples=["documents"])


class FilePathQuery(Query):
    """A file or folder of the caller's home. It has no default, so that nothing is ever done to the wrong place."""

    path: Text = Field(min_length=1, examples=["documents/notes.md"])


class FileRawQuery(FilePathQuery):
    """A file, to be shown or to be kept."""

    download: Flag = False


class FileUploadQuery(FilePathQuery):
    """Where a file goes."""

    replace: Flag = Field(default=False, description="Write over a file that is there already.")
