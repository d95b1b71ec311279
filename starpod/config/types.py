"""The kinds of value that settings have, each with its bounds and a message that says how to write it."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

T = TypeVar("T")

LARGEST = 2**31 - 1
ORIGIN = re.compile(r"https?://[^/\s?#@*]+", re.IGNORECASE)
HOST = re.compile(r"[^/\s?#@]+")


def split_address(text: str) -> tuple[str, int]:
    """`host:port` as host and port; an IPv6 host stands in brackets (`[::1]:3000`) and comes back without. ValueError if it is neither."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    good_host = bool(host) and not re.search(r"[\s/@]", host) and (bracketed or ":" not in host)
    if not colon or not good_host or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError('must be host:port with a port from 0 to 65535, e.g. "127.0.0.1:3000"')
    return (host[1:-1] if bracketed else host), int(port)


def split_model(text: str) -> tuple[str, str]:
    """`provider/model` as its two parts; the model may hold further slashes. ValueError when one is missing."""
    provider, _, model = text.partition("/")
    if not provider.strip() or not model.strip() or text != text.strip():
        raise ValueError(f"invalid model spec: {text!r} — expected 'provider/model', e.g. \"openai/gpt-4o\"")
    return provider, model


def _address(text: str) -> str:
    split_address(text)
    return text


def _model(text: str) -> str:
    split_model(text)
    return text


def _timezone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'{name!r} is not a time zone; use an IANA name, e.g. "Europe/Berlin" or "UTC"') from None
    return name


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^/\s]+\S*", text, re.IGNORECASE):
        raise ValueError("must be a URL that starts with http:// or https://")
    return text


def _origin(text: str) -> str:
    if not ORIGIN.fullmatch(text):
        raise ValueError('must be scheme and host without a path, e.g. "https://chat.example.org"')
    return text


def _host(text: str) -> str:
    if not HOST.fullmatch(text):
        raise ValueError('must be a host name without a scheme or path, e.g. "chat.example.org"')
    return text


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError('must be an IP address or a network, e.g. "127.0.0.1" or "10.0.0.0/8"') from error
    return text


def _asked(text: str) -> str:
    name, colon, command = text.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9_.-]+\*?|\*", name.strip()) or (
        colon and (name.strip() != "Bash" or not command.strip())
    ):
        raise ValueError(
            'must be the name of a tool, e.g. "FileDelete", or the beginning of a command, e.g. "Bash: git push"'
        )
    return text


def _blank_is_none(value: Any) -> Any:
    """The settings pages and people write `""` to say "not set"."""
    return None if isinstance(value, str) and not value.strip() else value


def _known_or(default: str, *known: str) -> BeforeValidator:
    return BeforeValidator(lambda value: default if isinstance(value, str) and value not in known else value)


Count = Annotated[int, Field(ge=0, le=LARGEST)]
Positive = Annotated[int, Field(gt=0, le=LARGEST)]
Seconds = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Percent = Annotated[int, Field(ge=0, le=100)]
Strings = Annotated[tuple[str, ...], Field(strict=False)]

Address = Annotated[str, AfterValidator(_address)]
ModelSpec = Annotated[str, AfterValidator(_model)]
ModelSpecs = Annotated[tuple[ModelSpec, ...], Field(strict=False, min_length=1)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], Field(strict=False)]
Hosts = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], Field(strict=False)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], Field(strict=False)]

Asked = Annotated[tuple[Annotated[str, AfterValidator(_asked)], ...], Field(strict=False)]

OptionalModelSpec = Annotated[ModelSpec | None, BeforeValidator(_blank_is_none)]
OptionalTimezone = Annotated[Annotated[str, AfterValidator(_timezone)] | None, BeforeValidator(_blank_is_none)]
Url = Annotated[str, AfterValidator(_url)]
OptionalUrl = Annotated[Url | None, BeforeValidator(_blank_is_none)]
BlankIsNone = BeforeValidator(_blank_is_none)

STREAM_MODES = ("final_only", "all_messages")
KnownStreamMode = _known_or("final_only", *STREAM_MODES)
TELEGRAM_MODES = (*STREAM_MODES, "live")
KnownTelegramMode = _known_or("final_only", *TELEGRAM_MODES)
