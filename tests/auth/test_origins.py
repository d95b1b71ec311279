"""Which Host and Origin headers are ours."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from starpod.auth.origins import host_allowed, origin_allowed, parse_authority, same_origin_request

HOSTILE = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="[]:.@/*%0a1f-_ \t\n\x00éK", max_size=40),
    st.from_regex(r"(http|https|ws|null)?(://)?(\[[0-9a-f:.%]*\]|[a-z0-9.*-]*)(:[0-9]{0,6})?/?", fullmatch=True),
)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:3000",
        "localhost.",
        "127.0.0.1:3000",
        "127.0.0.1",
        "[::1]:3000",
        "[::1]",
        "::1",
        "[0:0::1]:80",
    ],
)
def test_loopback_is_always_ours(host: str) -> None:
    assert host_allowed(host, "127.0.0.1")
    assert host_allowed(host, "0.0.0.0")


@pytest.mark.parametrize(
    "host",
    [
        None, "", " ", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1.nip.io", "user@localhost",
        "localhost@evil", "localhost/", "localhost:", "localhost:99999", "localhost:0", "localhost:3000:1", "[::1", "::1]", "[localhost]",
        "192.168.1.5", "[fe80::1]", "local\u212aost", "localhost\n", "localhost\x00", "localhost evil", "*", "..", ".localhost", "1" * 400,
    ],
)  # fmt: skip
def test_foreign_and_malformed_hosts_are_refused(host: str | None) -> None:
    assert not host_allowed(host, "127.0.0.1")


def test_what_the_server_is_bound_to_is_ours() -> None:
    assert host_allowed("192.168.1.5:3000", "192.168.1.5")
    assert host_allowed("box.local", "box.local")
    assert host_allowed("[2001:db8::1]:3000", "2001:db8:0::1")
    assert not host_allowed("192.168.1.6", "192.168.1.5")


@pytest.mark.parametrize("bind_host", ["0.0.0.0", "::", "[::]", ""])
def test_bound_to_everything_any_address_is_ours_but_no_name(bind_host: str) -> None:
    assert host_allowed("192.168.1.5:3000", bind_host)
    assert host_allowed("[2001:db8::1]:3000", bind_host)
    assert not host_allowed("evil.example:3000", bind_host)


def test_listed_hosts_are_ours() -> None:
    allowed = ["chat.example.org", "*.example.net", " Other.Example:8443 "]
    for host in ("chat.example.org", "CHAT.example.org:443", "a.example.net", "a.b.example.net:1", "other.example"):
        assert host_allowed(host, "127.0.0.1", allowed), host
    for host in ("example.org", "x.chat.example.org", "example.net", "evilexample.net", "example.net.evil.org"):
        assert not host_allowed(host, "127.0.0.1", allowed), host
    assert host_allowed("anything.example", "127.0.0.1", ["*"])
    assert not host_allowed("user@anything", "127.0.0.1", ["*"])


def test_our_own_page_may_connect() -> None:
    assert origin_allowed("http://localhost:3000", "localhost:3000")
    assert origin_allowed("https://chat.example.org", "chat.example.org")
    assert origin_allowed("https://chat.example.org", "chat.example.org:443")
    assert origin_allowed("HTTP://[::1]:3000", "[0::1]:3000")
    assert origin_allowed(None, "localhost:3000")


@pytest.mark.parametrize(
    "origin",
    [
        "", "null", "NULL", "http://localhost", "http://localhost:5173", "http://127.0.0.1:3000", "https://evil.example", "http://localhost:3000.evil.example",
        "http://localhost:3000@evil.example", "http://evil.example/localhost:3000", "ftp://localhost:3000", "file://", "chrome-extension://abc",
        "localhost:3000", "http://localhost:3000 http://evil.example", "http://::1", "http://",
    ],
)  # fmt: skip
def test_foreign_pages_may_not(origin: str) -> None:
    assert not origin_allowed(origin, "localhost:3000", ["https://app.example.org", "null", "*", ""])


def test_listed_origins_may_connect_exactly() -> None:
    allowed = ["https://app.example.org/", "http://dev.example:5173"]
    assert origin_allowed("https://app.example.org", "localhost:3000", allowed)
    assert origin_allowed("https://app.example.org:443", "localhost:3000", allowed)
    assert origin_allowed("http://dev.example:5173", "localhost:3000", allowed)
    assert not origin_allowed("http://app.example.org", "localhost:3000", allowed)
    assert not origin_allowed("https://x.app.example.org", "localhost:3000", allowed)
    assert not origin_allowed("http://dev.example", "localhost:3000", allowed)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost:3000", "Host": "localhost:3000"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Sec-Fetch-Site": "same-origin,cross-site"}, False),
        ({"Sec-Fetch-Site": ""}, False),
        ({"Origin": "http://box.local:3000", "Host": "box.local:3000"}, True),
        ({"Origin": "http://evil.example", "Host": "box.local:3000"}, False),
        ({"Origin": "null", "Host": "box.local:3000"}, False),
        ({"Origin": "http://box.local:3000"}, False),
        ({"Host": "box.local:3000"}, False),
        ({}, False),
    ],
)
def test_a_change_by_cookie_must_come_from_our_own_page(headers: dict[str, str], expected: bool) -> None:
    assert same_origin_request(headers) is expected


@given(HOSTILE, HOSTILE, HOSTILE)
@example("[::ffff:127.0.0.1]:1", "::", "*.")
@example("\ud800", "\ud800", "*.\ud800")
def test_no_input_raises(host: str, other: str, entry: str) -> None:
    host_allowed(host, other, [entry])
    origin_allowed(host, other, [entry])
    origin_allowed(f"http://{host}", other, [f"https://{entry}"])
    same_origin_request({"Origin": host, "Host": other})
    same_origin_request({"Sec-Fetch-Site": host})


@given(HOSTILE)
def test_only_names_of_ours_pass_on_a_loopback_bind(host: str) -> None:
    if host_allowed(host, "127.0.0.1"):
        parsed = parse_authority(host)
        assert parsed is not None
        assert parsed.host in {"localhost", "::1"} or parsed.host.startswith("127.")


@given(st.from_regex(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,10}){0,3}", fullmatch=True), st.integers(1, 65535))
def test_a_page_is_same_origin_with_its_own_host(name: str, port: int) -> None:
    assert origin_allowed(f"http://{name}:{port}", f"{name}:{port}")
    assert not origin_allowed(f"http://{name}:{port}", f"{name}x:{port}")
