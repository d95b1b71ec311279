"""`GET /api/frame-check` against a site on a loopback port."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fakes import FakeClock
from tests.gateway import Gateway
from tests.net.site import Site, page, redirect

META = """<html><head><META content='A &amp; B' property="og:title"><meta property=og:image content="/pic.png?a=1&amp;b=2">
<meta property="og:title" content="second"></head>"""


def gateway_for(folder: Path, site: Site) -> Gateway:
    settings = {"internet": {"allow_private_hosts": [f"127.0.0.1:{site.port}"]}}
    return Gateway(folder, settings=settings, clock=FakeClock())


async def check(gateway: Gateway, url: str) -> httpx2.Response:
    return await gateway.http.get("/api/frame-check", params={"url": url})


@pytest.mark.gen_test
async def test_a_page_that_can_be_framed(tmp_path: Path) -> None:
    async with Site({"/": page(META, "Content-Type: text/html")}) as site, gateway_for(tmp_path, site) as gateway:
        answer = await check(gateway, site.url("/", "127.0.0.1"))
    assert (answer.status_code, answer.json()) == (
        200,
        {"frameable": True, "reason": "", "ogImage": "", "ogTitle": ""},
    )


@pytest.mark.gen_test
async def test_a_page_that_cannot_shows_its_image_and_title(tmp_path: Path) -> None:
    replies = {"/": page(META, "X-Frame-Options: DENY", status="404 Not Found"), "/to": redirect("/")}
    async with Site(replies) as site, gateway_for(tmp_path, site) as gateway:
        for path in ("/", "/to"):
            assert (await check(gateway, site.url(path, "127.0.0.1"))).json() == {
                "frameable": False,
                "reason": "X-Frame-Options: deny",
                "ogImage": site.url("/pic.png?a=1&b=2", "127.0.0.1"),
                "ogTitle": "A & B",
            }


@pytest.mark.gen_test
async def test_the_gateway_knows_its_own_origin(tmp_path: Path) -> None:
    async with Site({}) as site, gateway_for(tmp_path, site) as gateway:
        site.replies["/ours"] = page("", f"Content-Security-Policy: frame-ancestors {gateway.url}")
        site.replies["/others"] = page("", "Content-Security-Policy: frame-ancestors http://127.0.0.1:1")
        assert (await check(gateway, site.url("/ours", "127.0.0.1"))).json()["frameable"]
        answer = (await check(gateway, site.url("/others", "127.0.0.1"))).json()
    assert answer["reason"] == "CSP frame-ancestors: http://127.0.0.1:1"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("url", "status", "text"),
    [
        ("", 400, "The query parameter url is missing"),
        ("example.com", 400, "Invalid URL"),
        ("http://", 400, "Invalid URL"),
        ("file:///etc/passwd", 400, "Only http and https URLs are allowed"),
        ("http://nowhere.invalid/", 400, "Could not resolve hostname"),
        ("http://127.0.0.1:1/", 403, "Requests to private/internal addresses are not allowed"),
        ("http://localhost/", 403, "Requests to private/internal addresses are not allowed"),
        ("http://[::ffff:169.254.169.254]/", 403, "Requests to private/internal addresses are not allowed"),
        ("http://0x7f000001/", 403, "Requests to private/internal addresses are not allowed"),
        ("http://a:b@example.com/", 400, "URLs with a user name or password are not allowed"),
    ],
)
async def test_what_is_no_public_page_is_refused(tmp_path: Path, url: str, status: int, text: str) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await check(gateway, url)
    assert (answer.status_code, answer.json()) == (status, {"error": text})


@pytest.mark.gen_test
async def test_only_users_may_ask(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await gateway.client().get("/api/frame-check?url=http://example.com")).status_code == 401


@pytest.mark.gen_test
async def test_a_redirect_to_a_private_address_is_refused(tmp_path: Path) -> None:
    async with Site({}) as site, gateway_for(tmp_path, site) as gateway:
        site.replies["/"] = redirect(f"http://127.0.0.1:{gateway.server.port}/api/health")
        assert (await check(gateway, site.url("/", "127.0.0.1"))).status_code == 403


@pytest.mark.gen_test
async def test_a_page_that_does_not_answer_cannot_be_framed(tmp_path: Path) -> None:
    async with Site({"/": b"nonsense\r\n\r\n"}) as site, gateway_for(tmp_path, site) as gateway:
        answer = (await check(gateway, site.url("/", "127.0.0.1"))).json()
    assert answer == {
        "frameable": False,
        "reason": "The server's answer was not valid HTTP",
        "ogImage": "",
        "ogTitle": "",
    }


def dripping(head: str) -> Any:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode() + META.encode())
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    return write


@pytest.mark.gen_test
async def test_a_body_that_never_ends_is_not_waited_for(tmp_path: Path) -> None:
    replies = {
        "/open": dripping("HTTP/1.1 200 OK\r\n\r\n"),
        "/shut": dripping("HTTP/1.1 200 OK\r\nX-Frame-Options: DENY\r\n\r\n"),
    }
    async with Site(replies) as site, gateway_for(tmp_path, site) as gateway:
        assert (await check(gateway, site.url("/open", "127.0.0.1"))).json()["frameable"]
        answer = (await check(gateway, site.url("/shut", "127.0.0.1"))).json()
    assert (answer["reason"], answer["ogTitle"]) == ("X-Frame-Options: deny", "A & B")


@pytest.mark.gen_test
async def test_answers_are_kept_for_a_while(tmp_path: Path) -> None:
    async with Site({"/": page("")}) as site, gateway_for(tmp_path, site) as gateway:
        url = site.url("/", "127.0.0.1")
        for _ in range(3):
            await check(gateway, url)
        assert len(site.requests) == 1
        clock = gateway.state.clock
        assert isinstance(clock, FakeClock)
        clock.advance(301)
        await check(gateway, url)
        assert len(site.requests) == 2


@pytest.mark.gen_test
async def test_strange_pages_harm_nobody(tmp_path: Path) -> None:
    deny = "X-Frame-Options: DENY"
    replies = {
        "/metas": page("<meta " * 100_000, deny),
        "/one": page("<meta " * 50_000 + ">", deny),
        "/image": page('<meta property="og:image" content="javascript:alert(1)">', deny),
        "/url": page('<meta property="og:image" content="http://[">', deny),
        "/charset": page("<meta property='og:title' content='x'>", deny, "Content-Type: text/html; charset=what"),
        "/binary": page(bytes(range(256)) * 100, deny),
    }
    async with Site(replies) as site, gateway_for(tmp_path, site) as gateway:
        for path in replies:
            answer = (await check(gateway, site.url(path, "127.0.0.1"))).json()
            assert answer["reason"] == "X-Frame-Options: deny"
            assert answer["ogImage"] == ""
