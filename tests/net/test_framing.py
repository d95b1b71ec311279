"""The rules of browsers, case by case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starpod.net.framing import Origin, refusal

OURS = "https://chat.example.org"
PAGE = "https://page.example.com"


def framed(page: str, ours: str, csp: list[str] | None = None, xfo: list[str] | None = None) -> bool:
    headers = {"content-security-policy": csp or [], "x-frame-options": xfo or []}
    return refusal(headers, Origin.of(page), Origin.of(ours)) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*", True),
        ("'none'", False),
        ("'NONE'", False),
        ("'none' *", True),  # 'none' beside others says nothing
        ("", False),
        ("https://chat.example.org", True),
        ("HTTPS://CHAT.Example.ORG", True),
        ("https://chat.example.org/", True),
        ("https://chat.example.org/path", False),
        ("https://chat.example.org:443", True),
        ("https://chat.example.org:8443", False),
        ("https://chat.example.org:*", True),
        ("http://chat.example.org", True),  # https is as good as http
        ("chat.example.org", True),
        ("chat.example.org:443", True),
        ("chat.example.org:80", False),
        ("*.example.org", True),
        ("https://*.example.org", True),
        ("*.org", True),
        ("*.chat.example.org", False),
        ("*.example.com", False),
        ("example.org", False),
        ("at.example.org", False),
        ("https:", True),
        ("http:", True),
        ("ftp:", False),
        ("wss:", False),
        ("data:", False),
        ("*:443", True),
        ("*:*", True),
        ("*:8080", False),
        ("http://*", True),
        ("'self'", False),
        ("'self' https://chat.example.org", True),
        ("https://a.example https://b.example", False),
        ("'self' *.nothing.example https:", True),
        ("'unsafe-inline'", False),
        ("nonsense://", False),
        ("*chat.example.org", False),
        ("https://*chat.example.org", False),
        ("chat.*.org", False),
    ],
)
def test_frame_ancestors(value: str, expected: bool) -> None:
    assert framed(PAGE, OURS, [f"frame-ancestors {value}"]) is expected


@pytest.mark.parametrize(
    ("page", "ours", "value", "expected"),
    [
        # 'self' is the page's own origin; a more secure one on the standard port counts as well.
        ("https://a.example", "https://a.example", "'self'", True),
        ("https://a.example", "https://a.example", "'SELF'", True),
        ("https://a.example", "http://a.example", "'self'", False),
        ("http://a.example", "https://a.example", "'self'", True),
        ("http://a.example:8080", "https://a.example", "'self'", False),
        ("http://a.example:8080", "https://a.example:8080", "'self'", True),
        ("https://a.example", "https://a.example:8443", "'self'", False),
        ("https://a.example", "https://b.a.example", "'self'", False),
        # Without a scheme, the page's own counts.
        ("https://a.example", "http://chat.local", "chat.local", False),
        ("http://a.example", "http://chat.local", "chat.local", True),
        ("http://a.example", "https://chat.local", "chat.local", True),
        # Without a port, the standard one counts.
        ("http://a.example", "http://localhost:3000", "localhost", False),
        ("http://a.example", "http://localhost:3000", "localhost:3000", True),
        ("http://a.example", "http://localhost:3000", "http://localhost:*", True),
        ("https://a.example", "http://localhost:3000", "localhost:3000", False),
        ("https://a.example", "http://localhost:3000", "http://localhost:3000", True),
        ("https://a.example", "http://127.0.0.1:3000", "http://127.0.0.1:3000", True),
        ("https://a.example", "http://[::1]:3000", "http://[::1]:3000", True),
        ("https://a.example", "http://localhost:3000", "https:", False),
        ("https://a.example", "http://localhost:3000", "http:", True),
        ("https://a.example", "http://localhost:3000", "*", True),
        ("https://a.example", "http://localhost:3000", "*:3000", False),
        ("http://a.example", "http://localhost:3000", "*:3000", True),
    ],
)
def test_schemes_and_ports(page: str, ours: str, value: str, expected: bool) -> None:
    assert framed(page, ours, [f"frame-ancestors {value}"]) is expected


@pytest.mark.parametrize(
    ("csp", "expected"),
    [
        (["default-src 'none'"], True),
        (["frame-src 'none'; child-src 'none'"], True),
        (["default-src 'self'; FRAME-Ancestors 'none' ; img-src *"], False),
        (["frame-ancestors *; frame-ancestors 'none'"], True),  # the first of a policy counts
        (["frame-ancestors 'none'; frame-ancestors *"], False),
        (["frame-ancestors *", "frame-ancestors 'none'"], False),  # every policy counts
        (["frame-ancestors *, frame-ancestors 'none'"], False),
        (["img-src x, frame-ancestors https:"], True),
        (["frame-ancestors"], False),
        ([";;; , ;"], True),
        (["frame-ancestors\t'none'"], False),
    ],
)
def test_policies(csp: list[str], expected: bool) -> None:
    assert framed(PAGE, OURS, csp) is expected


def test_a_policy_that_only_reports_does_not_count() -> None:
    headers = {"content-security-policy-report-only": ["frame-ancestors 'none'"]}
    assert refusal(headers, Origin.of(PAGE), Origin.of(OURS)) == ""


@pytest.mark.parametrize(
    ("xfo", "page", "expected"),
    [
        (["DENY"], PAGE, False),
        ([" deny "], PAGE, False),
        (["SAMEORIGIN"], PAGE, False),
        (["SAMEORIGIN"], OURS, True),
        (["SAMEORIGIN"], OURS + ":8443", False),
        (["DENY"], OURS, False),
        (["ALLOW-FROM https://elsewhere.example"], PAGE, True),
        (["ALLOWALL"], PAGE, True),
        (["nonsense"], PAGE, True),
        ([""], PAGE, True),
        (["deny, deny"], PAGE, False),
        (["sameorigin, sameorigin"], OURS, True),
        (["sameorigin", "SAMEORIGIN"], PAGE, False),
        (["deny, nonsense"], PAGE, False),
        (["sameorigin, nonsense"], OURS, False),
        (["allowall, nonsense"], PAGE, False),
        (["one, two"], PAGE, True),
        (["deny,"], PAGE, False),
    ],
)
def test_x_frame_options(xfo: list[str], page: str, expected: bool) -> None:
    assert framed(page, OURS, xfo=xfo) is expected


def test_frame_ancestors_count_more_than_x_frame_options() -> None:
    assert framed(PAGE, OURS, ["frame-ancestors *"], ["DENY"])
    assert not framed(OURS, OURS, ["frame-ancestors 'none'"], ["SAMEORIGIN"])
    assert not framed(PAGE, OURS, ["default-src *"], ["DENY"])


def test_the_reason_names_the_header_and_its_value() -> None:
    ours, page = Origin.of(OURS), Origin.of(PAGE)
    assert refusal({"x-frame-options": ["DENY"]}, page, ours) == "X-Frame-Options: deny"
    policy = {"content-security-policy": ["frame-ancestors  'self'   https://x.example"]}
    assert refusal(policy, page, ours) == "CSP frame-ancestors: 'self' https://x.example"


@given(st.text(max_size=200), st.text(max_size=50))
def test_no_header_breaks_the_reading(csp: str, xfo: str) -> None:
    framed(PAGE, OURS, [csp, f"frame-ancestors {csp}"], [xfo])
