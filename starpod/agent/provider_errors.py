"""Failures of model providers in plain words. What a provider wrote is shown only short, and without anything that may be a secret."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Literal

from starpod.errors import StarpodError

ErrorKind = Literal["authentication", "rate", "invalid", "billing", "server", "timeout", "connection", "api"]

PREFIXES: dict[ErrorKind, str] = {
    "authentication": "Authentication failed",
    "rate": "Rate limited",
    "invalid": "Invalid request",
    "billing": "Billing",
    "server": "Server error",
    "timeout": "Timed out",
    "connection": "Connection failed",
    "api": "API error",
}
LONGEST_QUOTE = 200
# Keys, tokens, and anything else that is long and looks random; addresses with what follows the host.
SECRETS = re.compile(
    r"\b(?:sk|sp|gsk|pk|rk|xai|AIza|AKIA|ya29)[-_.]?[\w*.-]{6,}|\bBearer\s+\S+|(?=\S*\d)[\w+/=*-]{24,}", re.ASCII
)
ADDRESSES = re.compile(r"\b\w+://\S+")


@dataclass(frozen=True, slots=True)
class ProviderError:
    """`text` is fit to show to a person and begins with the words for its kind."""

    kind: ErrorKind
    text: str


def explain(error: BaseException) -> ProviderError:
    """What `error`, raised by a model call, means for the person who waits. Never fails; imports pydantic-ai, which raised it."""
    from pydantic_ai import exceptions as raised

    if isinstance(error, BaseExceptionGroup):
        # Every model of the chain failed: the first is the one that was asked for.
        first = explain(error.exceptions[0])
        more = len(error.exceptions) - 1
        return ProviderError(
            first.kind, f"{first.text} (and so did {more} fallback{'s' if more > 1 else ''})" if more else first.text
        )
    match error:
        case StarpodError():
            return ProviderError("invalid", str(error))
        case raised.ModelRequestTimeout() | raised.ModelTimeoutError() | TimeoutError() | asyncio.TimeoutError():
            return _say("timeout", f"{_who(error)} did not answer in time")
        case raised.ModelConnectionError():
            return _connection(error)
        case raised.ModelAPIError():
            return _refusal(error)
        case raised.UnexpectedModelBehavior() | raised.UsageLimitExceeded():
            return _say("api", "the model's answer could not be used; try again, or with another model")
    return _say("api", "the model call failed for an unexpected reason; the log says more")


def _connection(error: Any) -> ProviderError:
    if error.phase in ("connect", "pool"):
        return _say("connection", f"{_who(error)} cannot be reached")
    return _say("connection", f"the connection to {_who(error)} broke off before the answer was complete")


def _refusal(error: Any) -> ProviderError:
    """An error that the provider itself reported, before the stream or in it."""
    from pydantic_ai import exceptions as raised

    status = getattr(error, "status_code", None)
    who, said = _who(error), quoted(error.body)
    match error:
        case raised.ModelContextWindowExceededError():
            return _say("invalid", f"the conversation is too long for {who}")
        case raised.ModelQuotaExceededError() | raised.ModelHTTPError(status_code=402):
            return _say("billing", f"the account at the provider of {who} has no credit or quota left{said}")
        case raised.ModelAuthenticationError() | raised.ModelHTTPError(status_code=401 | 403):
            # The provider's own words often hold a part of the key.
            return _say(
                "authentication", f"the provider of {who} did not accept the API key; check it, and what it may use"
            )
        case raised.ModelRateLimitError() | raised.ModelHTTPError(status_code=429):
            wait = f"; try again in {error.retry_after:.0f} s" if error.retry_after else "; try again in a moment"
            return _say("rate", f"{who} gets too many requests{wait}")
        case raised.ModelNotFoundError() | raised.ModelHTTPError(status_code=404):
            return _say("invalid", f"the provider does not know {who}; check its name and base_url{said}")
        case raised.ModelOverloadedError():
            return _say("server", f"{who} is overloaded; try again in a moment")
        case raised.ModelUnavailableError() | raised.ModelServerError():
            return _say("server", f"{who} failed at the provider{_status(status)}; try again in a moment")
    if status is not None and status >= 500:
        return _say("server", f"{who} failed at the provider{_status(status)}; try again in a moment")
    if status is not None or isinstance(error, raised.ModelRequestRejectedError):
        return _say("invalid", f"{who} refused the request{_status(status)}{said}")
    return _say("api", f"{who} failed{said}")


def quoted(body: object) -> str:
    """The message in a provider's error body as `: "..."`, without secrets and addresses; empty when it holds nothing to show."""
    message: object = body
    while isinstance(message, dict):
        message = message.get("error") or message.get("message")
    if not isinstance(message, str) or "<" in message:
        return ""
    text = ADDRESSES.sub("…", " ".join(message.split()))
    text = "".join(letter for letter in SECRETS.sub("…", text) if letter.isprintable())
    if len(text) > LONGEST_QUOTE:
        text = text[:LONGEST_QUOTE].rstrip() + "…"
    return f': "{text}"' if text else ""


def _who(error: Any) -> str:
    name = getattr(error, "model_name", None)
    return str(name) if name else "the model"


def _status(status: int | None) -> str:
    return f" (status {status})" if status else ""


def _say(kind: ErrorKind, text: str) -> ProviderError:
    return ProviderError(kind, f"{PREFIXES[kind]}: {text}")


def is_down(error: Exception) -> bool:
    """Whether another model may stand in: unreachable, silent, over its limits or broken; not when it refused the request or the key."""
    from pydantic_ai import exceptions as raised

    if isinstance(error, raised.ModelHTTPError):
        return error.status_code == 429 or error.status_code >= 500
    return isinstance(
        error,
        raised.ModelConnectionError
        | raised.ModelRequestTimeout
        | raised.ModelRateLimitError
        | raised.ModelUnavailableError
        | raised.ModelServerError,
    )


def was_turned_away(error: BaseException) -> bool:
    """Whether a call that had not begun to answer cost nothing: every model asked refused it by a status, or was not reached."""
    from pydantic_ai import exceptions as raised

    if isinstance(error, BaseExceptionGroup):
        return all(was_turned_away(each) for each in error.exceptions)
    if isinstance(error, raised.ModelConnectionError):
        return getattr(error, "phase", None) in ("connect", "pool")
    return isinstance(error, raised.ModelHTTPError)
