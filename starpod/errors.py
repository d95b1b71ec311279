"""The errors a caller can cause or cure. Their messages are fit to show to a person; `handlers/base.py` maps each to a status."""

from __future__ import annotations

from collections.abc import Mapping


class StarpodError(Exception):
    """Base of every error whose message may be shown to the person who caused it."""


class InvalidInput(StarpodError):
    """What was sent cannot be used; `fields` maps the name of each bad field to what is wrong with it and why."""

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})


class Forbidden(StarpodError):
    """The caller is known but may not do this."""


class NotFound(StarpodError):
    """It does not exist, or belongs to somebody else."""


class Conflict(StarpodError):
    """It contradicts what is already stored."""


class Upstream(StarpodError):
    """A service that we depend on (a model provider, Telegram, a fetched page) failed."""


class TooSlow(Upstream):
    """A service that we depend on did not answer in time."""


class Unavailable(StarpodError):
    """The gateway itself cannot answer now (database locked, disk full); trying again later may work."""
