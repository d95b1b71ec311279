"""Who is behind a proxy, and who only says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from starpod.auth.proxies import client_address, client_scheme
from tests.gateway import Gateway

OURS = ("127.0.0.1", "10.1.0.1/8", "::1")


@pytest.mark.parametrize(
    ("peer", "said", "expected"),
    [
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("::ffff:127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("127.0.0.1", "10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "nonsense", "127.0.0.1"),
        ("127.0.0.1", "6.6.6.6, nonsense", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.7,,", "127.0.0.1"),
        ("198.51.100.1", "203.0.113.7", "198.51.100.1"),
    ],
)
def test_only_what_a_trusted_proxy_says_counts(peer: str, said: str, expected: str) -> None:
    assert client_address(peer, said, OURS) == expected
    assert client_address(peer, said, ()) == peer


@pytest.mark.parametrize(
    ("peer", "said", "expected"),
    [
        ("127.0.0.1", "https", "https"),
        ("127.0.0.1", "http, HTTPS ", "https"),
        ("127.0.0.1", "gopher", None),
        ("127.0.0.1", "", None),
        ("198.51.100.1", "https", None),
    ],
)
def test_the_scheme_is_that_of_the_proxy(peer: str, said: str, expected: str | None) -> None:
    assert client_scheme(peer, said, OURS) == expected


@pytest.mark.gen_test
@pytest.mark.parametrize(("trusted", "status", "is_secure"), [(["127.0.0.1"], 401, True), ([], 429, False)])
async def test_a_stranger_behind_the_proxy_shuts_out_nobody_else(
    tmp_path: Path, trusted: list[str], status: int, is_secure: bool
) -> None:
    settings = {"auth": {"failed_attempts": 2, "trusted_proxies": trusted}}
    async with Gateway(tmp_path, settings=settings) as gateway:

        def of(address: str, key: str) -> dict[str, str]:
            return {"X-Forwarded-For": address, "X-Forwarded-Proto": "https", "X-API-Key": key}

        page = {"Sec-Fetch-Site": "same-origin", "X-Forwarded-Proto": "https"}
        answer = await gateway.client().post("/api/auth/login", json={"key": gateway.key}, headers=page)
        assert ("Secure" in answer.headers["Set-Cookie"]) is is_secure
        http = gateway.client()
        for _ in range(2):
            assert (await http.get("/api/sessions", headers=of("203.0.113.7", "wrong"))).status_code == 401
        assert (await http.get("/api/sessions", headers=of("203.0.113.7", "wrong"))).status_code == 429
        assert (await http.get("/api/sessions", headers=of("203.0.113.8", "wrong"))).status_code == status
        events = [event for event in await gateway.state.auth.list_audit() if event.event_type == "failed_auth"]
        assert {event.ip_address for event in events} == ({"203.0.113.7", "203.0.113.8"} if trusted else {"127.0.0.1"})
