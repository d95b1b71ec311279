"""What all tables of settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of settings: frozen, exact about types (TOML has them), deaf to keys it does not know."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", defer_build=True)
