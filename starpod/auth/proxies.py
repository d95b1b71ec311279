"""Who is behind a proxy: pure functions on what it says of a request, which anybody else may say, too."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(peer: str, forwarded_for: str, trusted: tuple[str, ...]) -> str:
    """Where a request comes from. `forwarded_for` is X-Forwarded-For, to which each proxy adds whom it heard.

    Only what a trusted peer says counts, from the right: the first address that is none of ours, or the last that is one.
    """
    found = peer
    for said in reversed(forwarded_for.split(",")):
        if not is_trusted(found, trusted):
            break
        try:
            found = str(ipaddress.ip_address(said.strip().strip("[]")))
        except ValueError:
            break
    return found


def client_scheme(peer: str, forwarded_proto: str, trusted: tuple[str, ...]) -> str | None:
    """`http` or `https`, as the proxy says that it was asked; None when it says nothing that counts."""
    scheme = forwarded_proto.rpartition(",")[2].strip().lower()
    return scheme if scheme in ("http", "https") and is_trusted(peer, trusted) else None


def is_trusted(address: str, trusted: tuple[str, ...]) -> bool:
    """Whether an address is within these addresses and networks."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(known, ipaddress.IPv6Address) and known.ipv4_mapped is not None:
        known = known.ipv4_mapped
    return any(known in network for network in _networks(trusted))


@lru_cache(maxsize=8)
def _networks(trusted: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(each, strict=False) for each in trusted)
