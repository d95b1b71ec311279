"""What clients may send about settings, people, secrets, skills and instances; `handlers/schemas.py` has the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, cast

from pydantic import Field

from handlers.schemas import Body
from starpod.auth.types import Role
from starpod.config.sections import page_schema


class InstanceBody(Body):
    """A new instance. `secrets` names those of this gateway's secrets that it gets."""

    name: str | None = Field(default=None, max_length=64)
    region: str | None = Field(default=None, max_length=200)
    agent_id: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    zone: str | None = Field(default=None, max_length=200)
    machine_type: str | None = Field(default=None, max_length=200)
    port: int | None = Field(default=None, ge=1024, le=65535)
    secrets: list[str] = Field(default_factory=list, max_length=100)


class DocumentBody(Body):
    """The text of one of the agent's files."""

    content: str


class HeartbeatBody(Body):
    """What the agent does by itself, and how often."""

    enabled: bool
    interval_minutes: int = Field(strict=True, le=2**31 - 1)
    content: str = ""


class FrontendBody(Body):
    """What the page greets with."""

    greeting: str | None = Field(default=None, max_length=2000)
    prompts: list[Annotated[str, Field(max_length=2000)]] = Field(max_length=50)


class FolderBody(Body):
    """A new folder of a user."""

    id: str


class UserBody(Body):
    """A new user."""

    email: str | None = Field(default=None, examples=["ann@example.org"])
    display_name: str | None = Field(default=None, examples=["Ann"])
    role: Role = "user"
    filesystem_enabled: bool = False


class UserChangeBody(Body):
    """What to change about a user."""

    email: str | None = None
    display_name: str | None = None
    role: Role | None = None
    filesystem_enabled: bool | None = None


class TelegramLinkBody(Body):
    """The Telegram account of a user: its number, its name, or both."""

    telegram_id: int | None = None
    username: str | None = None


class SkillChangeBody(Body):
    """What a skill says."""

    description: str
    body: str


class SkillBody(SkillChangeBody):
    """A new skill."""

    name: str
    connectors: list[str] = Field(default_factory=list, max_length=50)


class SkillDraftBody(Body):
    """What a skill is to be about."""

    name: str = Field(max_length=200)
    description: str | None = Field(default=None, max_length=2_000)
    prompt: str | None = Field(default=None, max_length=20_000)


class ModelTestBody(Body):
    """Which model to ask, as provider/model."""

    model: str = Field(max_length=200)


class UserBudgetBody(Body):
    """A user's own limits in USD; null = as configured for everybody."""

    daily_usd: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)
    monthly_usd: float | None = Field(default=None, ge=0, le=1e9, allow_inf_nan=False)


class VaultHostsBody(Body):
    """Where a secret may be sent; null = anywhere."""

    allowed_hosts: list[str] | None = None


class VaultBody(VaultHostsBody):
    """A secret."""

    value: str


@dataclass(frozen=True, slots=True)
class _Page:
    """Describes a settings page, once somebody asks what it takes: the schema of all settings is large."""

    section: str
    is_saved: bool

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> dict[str, Any]:
        return dict(page_schema(self.section, is_saved=self.is_saved))


@cache
def page_type(section: str) -> type[Mapping[str, Any]]:
    """What a settings page may be saved as. It is read key by key (`starpod.config.sections`), by the schema of the settings."""
    return cast(type[Mapping[str, Any]], Annotated[dict[str, Any], _Page(section, is_saved=True)])


def shown_page_type(section: str) -> object:
    """What a settings page is shown as."""
    return Annotated[dict[str, Any], _Page(section, is_saved=False)]
