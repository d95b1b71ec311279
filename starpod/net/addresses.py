"""Which addresses are public, and which URLs may be asked at all. Pure functions; no network here.

The ranges are those of the IANA special-purpose registries (RFC 6890 and later), as the standard library knows them, and some that
lead elsewhere: addresses that carry an IPv4 address inside (mapped, 6to4, NAT64, Teredo) and metadata services in public ranges.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

from starpod.errors import InvalidInput

GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # a cloud's metadata and DNS, in a public range
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)
DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_URL = 8_192


@lru_cache(maxsize=1024)
def is_public(address: str) -> bool:
    """Whether a textual IP address belongs to one machine of the public internet; False for what is no address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(ip in network for network in NEVER if network.version == ip.version):
        return False
    if isinstance(ip, ipaddress.IPv6Address) and (ip not in GLOBAL_UNICAST or ip.scope_id is not None):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def is_address(host: str) -> bool:
    """Whether a host is an IP address in its usual notation; others (`127.1`, `0x7f000001`) are for the resolver to read."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def check_url(url: str) -> SplitResult:
    """The parts of an absolute http(s) URL. InvalidInput, with a text fit to show, for anything else and for one that holds a password."""
    try:
        parts = urlsplit(url.strip())
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise InvalidInput("Invalid URL") from error
    if not parts.scheme or len(url) > LONGEST_URL or any(ord(character) <= 32 for character in url.strip()):
        raise InvalidInput("Invalid URL")
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidInput("Only http and https URLs are allowed")
    if not host or port == 0:
        raise InvalidInput("Invalid URL")
    if "@" in parts.netloc:
        raise InvalidInput("URLs with a user name or password are not allowed")
    return parts


def is_listed(host: str, port: int, listed: Collection[str]) -> bool:
    """Whether `host` or `host:port` stands in a list; an IPv6 host stands there in brackets."""
    name = host.lower().strip("[]")
    names = {name, f"{name}:{port}"} if ":" not in name else {name, f"[{name}]", f"[{name}]:{port}"}
    return any(entry.lower() in names for entry in listed)
