"""Whether a request comes from our own pages: pure functions on header values, which may be anything an attacker can send.

`host_allowed` stops DNS rebinding (a foreign name that suddenly points here), `origin_allowed` foreign pages that open a WebSocket, and
`same_origin_request` foreign pages that make a browser send its cookie.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]{2,45})\]|(?P<name>[a-z0-9_.-]{1,253}))(?::(?P<port>[0-9]{1,5}))?", re.ASCII
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Authority(NamedTuple):
    """A host in lower case (an IP address in its shortest form, without brackets), and the port that was written."""

    host: str
    port: int | None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def host_allowed(host_header: str | None, bind_host: str, allowed_hosts: Iterable[str] = ()) -> bool:
    """Whether the Host header names this server: a loopback name or address, what it is bound to, or one of `allowed_hosts`.

    Bound to all interfaces, any IP address will do: rebinding needs a name. Entries may be `*.example.org` (every name below, not
    example.org itself) or `*`. Ports do not matter.
    """
    authority = parse_authority(host_header)
    if authority is None:
        return False
    host = authority.host
    if host == "localhost":
        return True
    bound = parse_authority(bind_host)
    if bound is not None and host == bound.host:
        return True
    address = _address(host)
    if address is not None and (address.is_loopback or _is_any_interface(bind_host)):
        return True
    return any(_matches(host, entry) for entry in allowed_hosts)


def origin_allowed(origin: str | None, host_header: str | None, allowed_origins: Iterable[str] = ()) -> bool:
    """Whether a page of this origin may connect: our own, or one of `allowed_origins` (`https://app.example.org`).

    None (no header) is no browser and passes. `null`, which every sandboxed frame and local file sends, never does.
    """
    if origin is None:
        return True
    page = _parse_origin(origin)
    if page is None:
        return False
    scheme, authority = page
    host = parse_authority(host_header)
    if host is not None and host.host == authority.host and _port(scheme, host) == _port(scheme, authority):
        return True
    return any(_same_origin(page, _parse_origin(entry)) for entry in allowed_origins)


def same_origin_request(headers: Mapping[str, str]) -> bool:
    """Whether a request that carries the cookie and changes something was made by our own page.

    `headers` must find names in any case, or be keyed as `Sec-Fetch-Site`, `Origin`, `Host`. Browsers send Sec-Fetch-Site only to https and
    loopback, so on plain http the Origin decides. With neither the answer is no.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site.strip().lower() == "same-origin"
    origin = headers.get("Origin")
    return origin is not None and origin_allowed(origin, headers.get("Host"))


def parse_authority(text: str | None) -> Authority | None:
    """`host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address; None for anything else."""
    # Some letters outside ASCII become ASCII ones in lower case; no Host header has any.
    if text is None or len(text) > 300 or not text.isascii():
        return None
    text = text.strip(" \t").lower()
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    if port is not None and not 0 < port < 65536:
        return None
    if match["v6"]:
        address = _address(match["v6"])
        return Authority(str(address), port) if isinstance(address, ipaddress.IPv6Address) else None
    name = match["name"].removesuffix(".")
    return Authority(name, port) if name and ".." not in name and not name.startswith(".") else None


def _parse_origin(text: str) -> tuple[str, Authority] | None:
    if not text.isascii():
        return None
    scheme, separator, rest = text.strip(" \t").lower().partition("://")
    if not separator or scheme not in _DEFAULT_PORTS or (rest.count(":") > 1 and not rest.startswith("[")):
        return None
    authority = parse_authority(rest.removesuffix("/"))
    return None if authority is None else (scheme, authority)


def _same_origin(page: tuple[str, Authority], other: tuple[str, Authority] | None) -> bool:
    if other is None:
        return False
    return (
        page[0] == other[0] and page[1].host == other[1].host and _port(page[0], page[1]) == _port(other[0], other[1])
    )


def _port(scheme: str, authority: Authority) -> int:
    return _DEFAULT_PORTS[scheme] if authority.port is None else authority.port


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_any_interface(bind_host: str) -> bool:
    bound = parse_authority(bind_host)
    address = None if bound is None else _address(bound.host)
    return bind_host == "" or (address is not None and address.is_unspecified)


def _matches(host: str, entry: str) -> bool:
    entry = entry.strip()
    if entry == "*":
        return True
    if entry.startswith("*."):
        parent = parse_authority(entry[2:])
        return parent is not None and host.endswith(f".{parent.host}")
    allowed = parse_authority(entry)
    return allowed is not None and allowed.host == host
