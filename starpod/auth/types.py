"""The records of auth. None of them holds a hash; the two that hold a credential in clear never print it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal

Role = Literal["user", "admin"]
Via = Literal["key", "cookie", "open"]
EventType = Literal[
    "bootstrap",
    "login_ok",
    "failed_auth",
    "logout",
    "user_created",
    "user_updated",
    "user_activated",
    "user_deactivated",
    "user_deleted",
    "api_key_created",
    "api_key_revoked",
    "api_key_rotated",
    "rate_limited",
    "telegram_linked",
    "telegram_unlinked",
    "settings_changed",
    "vault_set",
    "vault_deleted",
    "vault_key_rotated",
    "budget_changed",
    "instance_changed",
]


class Unset(Enum):
    """Marks an argument that was not given, where None means "make it empty"."""

    UNSET = "unset"


UNSET = Unset.UNSET


class Miss(Enum):
    """Marks that a cache has no answer, where None is one."""

    MISS = "miss"


MISS = Miss.MISS


@dataclass(frozen=True, slots=True)
class User:
    """A person, or a program, that may use the gateway."""

    id: str
    email: str | None
    display_name: str | None
    role: Role
    is_active: bool
    filesystem_enabled: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key once it was handed out: everything but the key."""

    id: str
    user_id: str
    prefix: str
    label: str | None
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request, and what proved it. `user` is None only while there are no users (`via` is "open")."""

    user: User | None
    via: Via
    sign_in_id: str | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for a change and from where, for the audit log. Both are None for the operator at the command line."""

    user_id: str | None = None
    ip_address: str | None = None


OPERATOR = Actor()


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The admin that the first start made, with the one chance to see the key. `imported`: the operator chose the key."""

    user: User
    api_key: ApiKey
    clear_key: str = field(repr=False)
    imported: bool


@dataclass(frozen=True, slots=True)
class SignIn:
    """A browser session that was just opened; `token` is the value of the cookie."""

    token: str = field(repr=False)
    user: User
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key about to be stored."""

    prefix: str
    key_hash: str = field(repr=False)
    label: str | None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UserChanges:
    """What to change about a user: None clears, UNSET leaves as it is."""

    email: str | Unset | None = UNSET
    display_name: str | Unset | None = UNSET
    role: Role | Unset = UNSET
    filesystem_enabled: bool | Unset = UNSET


@dataclass(frozen=True, slots=True)
class NewCookie:
    """A session cookie about to be stored."""

    id: str
    token_hash: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One line of the audit log."""

    id: int
    user_id: str | None
    event_type: str
    detail: str | None
    ip_address: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which lines of the audit log are wanted; `before` is the id of the last line of the page before."""

    before: int | None = None
    event_type: str | None = None
    user_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TelegramLink:
    """Which Telegram account a user has; `telegram_id` is None until the account's first message."""

    telegram_id: int | None
    username: str | None
    linked_at: datetime


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stored credential that may be the one presented, with its owner. For a cookie `key_id` is the key that opened it."""

    user: User
    key_id: str | None
    secret_hash: str = field(repr=False)
    expires_at: datetime | None
    last_used_at: datetime | None
