"""May a page be shown in a frame of ours? Pure functions over its headers.

CSP: https://www.w3.org/TR/CSP3/#directive-frame-ancestors, with the matching of section 6.7.2; an address literal matches itself, as in
browsers. X-Frame-Options: https://html.spec.whatwg.org/#the-x-frame-options-header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
WHITESPACE = " \t\n\f\r"
SCHEME_SOURCE = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
HOST_SOURCE = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?|\[[0-9a-f:.]+\])"
    r"(?::(?P<port>\d+|\*))?(?P<path>/.*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of a URL; an IPv6 host stands in brackets."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of an http(s) URL. ValueError when it has none."""
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in DEFAULT_PORTS:
            raise ValueError("no http(s) URL")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(parts.scheme, host, parts.port or DEFAULT_PORTS[parts.scheme])

    @property
    def is_on_default_port(self) -> bool:
        """Whether the port is the scheme's own."""
        return self.port == DEFAULT_PORTS[self.scheme]


def refusal(headers: Mapping[str, Sequence[str]], page: Origin, ours: Origin) -> str:
    """Why a browser would not show `page` in a frame of `ours`; empty when it would. `headers` have lower-case names."""
    ancestors = list(frame_ancestors(headers.get("content-security-policy", ())))
    for sources in ancestors:
        if not any(_matches(source, page, ours) for source in sources.split()):
            return f"CSP frame-ancestors: {sources}"
    if ancestors:
        return ""  # X-Frame-Options is ignored then
    options = {
        value.strip(WHITESPACE).lower() for line in headers.get("x-frame-options", ()) for value in line.split(",")
    }
    known = options & {"deny", "sameorigin", "allowall"}
    if len(options) > 1:
        return f"X-Frame-Options: {', '.join(sorted(options))}" if known else ""
    if options == {"deny"} or (options == {"sameorigin"} and page != ours):
        return f"X-Frame-Options: {options.pop()}"
    return ""


def frame_ancestors(policies: Sequence[str]) -> Iterator[str]:
    """The value of `frame-ancestors` in each policy that has one: the first of a policy counts, and a header may hold several policies."""
    for header in policies:
        for policy in header.split(","):
            for directive in policy.split(";"):
                name, *values = directive.split()[:1000] or [""]
                if name.lower() == "frame-ancestors":
                    yield " ".join(values)
                    break


def _matches(source: str, page: Origin, ours: Origin) -> bool:
    """Whether a source expression in a policy of `page` allows `ours`."""
    if source == "*":
        return True
    if source.lower() == "'self'":
        same_ports = page.port == ours.port or (page.is_on_default_port and ours.is_on_default_port)
        return page == ours or (page.host == ours.host and same_ports and ours.scheme == "https")
    if (scheme := SCHEME_SOURCE.fullmatch(source)) is not None:
        return _scheme_matches(scheme[1], ours.scheme)
    found = HOST_SOURCE.fullmatch(source)
    if found is None:
        return False
    return (
        _scheme_matches(found["scheme"] or page.scheme, ours.scheme)
        and _host_matches(found["host"].lower(), ours.host.lower())
        and (found["port"] == "*" or (int(found["port"]) == ours.port if found["port"] else ours.is_on_default_port))
        and (found["path"] or "/") == "/"  # an ancestor is known by its origin only
    )


def _scheme_matches(allowed: str, scheme: str) -> bool:
    """A secure scheme may stand in for its insecure one, never the other way round."""
    return allowed.lower() == scheme or (allowed.lower(), scheme) == ("http", "https")


def _host_matches(pattern: str, host: str) -> bool:
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    return pattern == host
