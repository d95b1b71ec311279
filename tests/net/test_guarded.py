"""The guarded client against real sockets: loopback servers that the test lists as allowed, names that the test resolves."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import zlib
from pathlib import Path

import pytest

from starpod.errors import Forbidden, InvalidInput, StarpodError, Upstream
from starpod.net.guarded import Fetched, GuardedClient
from tests.net.certificate import self_signed
from tests.net.site import LOCAL, Names, Reply, Site, page, redirect


def client_for(names: Names | None = None, *allowed: str) -> GuardedClient:
    names = names or Names(site_example=LOCAL)
    return GuardedClient(lambda: allowed or ("site.example",), names)


async def fetch(client: GuardedClient, url: str, *, timeout_s: float = 5.0, max_bytes: int = 100_000) -> Fetched:
    try:
        return await client.fetch(url, timeout_s=timeout_s, max_bytes=max_bytes)
    finally:
        await client.aclose()


async def refusal(client: GuardedClient, url: str, *, timeout_s: float = 5.0) -> StarpodError:
    with pytest.raises(StarpodError) as caught:
        await fetch(client, url, timeout_s=timeout_s)
    return caught.value


@pytest.mark.gen_test
async def test_a_page_comes_with_its_headers_and_the_server_hears_the_name() -> None:
    async with Site({"/": page("hello", "X-A: 1", "X-A: 2")}) as site:
        names = Names(site_example=LOCAL)
        got = await fetch(client_for(names), site.url("/"))
    assert (got.status, got.body, got.is_cut) == (200, b"hello", False)
    assert got.headers["x-a"] == ("1", "2")
    assert f"Host: site.example:{site.port}" in site.requests[0]
    assert names.asked == ["site.example"]


@pytest.mark.gen_test
async def test_names_and_paths_outside_of_ascii_are_written_as_servers_know_them() -> None:
    async with Site({"/p%C3%A4th": page("x")}) as site:
        names = Names()
        names.answers["xn--mnchen-3ya.example"] = [["127.0.0.1"]]
        client = client_for(names, "xn--mnchen-3ya.example")
        assert (await fetch(client, site.url("/päth", "MÜNCHEN.example"))).body == b"x"


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "[::ffff:127.0.0.1]",
        "localhost",
        "0.0.0.0",
    ],
)
async def test_private_addresses_are_refused_in_every_notation(host: str) -> None:
    async with Site({"/": page("secret")}) as site:
        error = await refusal(GuardedClient(), site.url("/", host))
    assert isinstance(error, Forbidden | InvalidInput)
    assert site.requests == []


@pytest.mark.gen_test
@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "169.254.169.254", "100.64.0.1", "fd00:ec2::254"])
async def test_a_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    error = await refusal(client_for(Names(evil_example=[[address]])), "http://evil.example/")
    assert isinstance(error, Forbidden)
    assert str(error) == "Requests to private/internal addresses are not allowed"


@pytest.mark.gen_test
async def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async with Site({"/": page("secret")}) as site:
        names = Names(evil_example=[["8.8.8.8", "127.0.0.1"]])
        assert isinstance(await refusal(client_for(names), site.url("/", "evil.example")), Forbidden)
    assert site.requests == []


@pytest.mark.gen_test
async def test_a_redirect_to_a_private_address_is_refused() -> None:
    async with Site({"/secret": page("secret")}) as site:
        site.replies["/"] = redirect(f"http://127.0.0.1:{site.port}/secret")
        assert isinstance(await refusal(client_for(), site.url("/")), Forbidden)
    assert len(site.requests) == 1


@pytest.mark.gen_test
async def test_a_name_that_changes_its_address_between_hops_is_judged_again() -> None:
    """The first answer is used for the first connection only, and none is asked for twice for one connection."""
    async with Site({"/b": page("secret")}) as site:
        site.replies["/"] = redirect(site.url("/b"))
        names = Names(site_example=[["127.0.0.1"], ["10.0.0.1"]])
        allowed = [f"site.example:{site.port}"]
        client = GuardedClient(lambda: allowed if len(names.asked) < 2 else [], names)
        assert isinstance(await refusal(client, site.url("/")), Forbidden)
    assert names.asked == ["site.example", "site.example"]
    assert len(site.requests) == 1


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://site.example/", "http://user:pw@site.example/", "http://nowhere.example/"]
)
async def test_a_redirect_to_something_else_is_an_upstream_failure(location: str) -> None:
    async with Site({"/": redirect(location)}) as site:
        assert isinstance(await refusal(client_for(), site.url("/")), Upstream)
    assert len(site.requests) == 1


@pytest.mark.gen_test
async def test_redirects_are_followed_and_an_endless_chain_is_not() -> None:
    async with Site({"/": redirect("/b"), "/b": page("b"), "/loop": redirect("/loop")}) as site:
        client = client_for()
        got = await client.fetch(site.url("/"), timeout_s=5, max_bytes=100)
        assert (got.url, got.body) == (site.url("/b"), b"b")
        error = await refusal(client, site.url("/loop"))
    assert str(error) == "The server redirected too often"
    assert len(site.requests) == 2 + 11


def endless(head: str) -> Reply:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode())
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    return write


@pytest.mark.gen_test
async def test_an_endless_body_is_cut_and_the_connection_closed() -> None:
    async with Site({"/": endless("HTTP/1.1 200 OK\r\n\r\n")}) as site:
        got = await fetch(client_for(), site.url("/"), max_bytes=1000)
        assert (len(got.body), got.is_cut) == (1000, True)
        await asyncio.wait_for(site.gone.wait(), 5)


@pytest.mark.gen_test
async def test_the_endless_body_of_a_redirect_is_not_read() -> None:
    async with Site({"/": endless("HTTP/1.1 302 Found\r\nLocation: /b\r\n\r\n"), "/b": page("b")}) as site:
        assert (await fetch(client_for(), site.url("/"))).body == b"b"


@pytest.mark.gen_test
async def test_endless_headers_are_given_up() -> None:
    async with Site({"/": endless("HTTP/1.1 200 OK\r\nX: ")}) as site:
        assert isinstance(await refusal(client_for(), site.url("/")), Upstream)


@pytest.mark.gen_test
@pytest.mark.parametrize("head", ["", "HTTP/1.1 200 OK\r\n\r\n"])
async def test_a_slow_drip_ends_at_the_time_limit(head: str) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(head.encode())
        while True:
            writer.write(b"H")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with Site({"/": drip}) as site:
        error = await refusal(client_for(), site.url("/"), timeout_s=0.3)
    assert str(error) == "The server did not answer in full within 0.3 seconds"


@pytest.mark.gen_test
async def test_a_slow_name_server_ends_at_the_time_limit() -> None:
    class Slow(Names):
        async def resolve(self, host: str, port: int) -> list[str]:
            await asyncio.Event().wait()
            return []

    assert isinstance(await refusal(client_for(Slow()), "http://site.example/", timeout_s=0.1), Upstream)


@pytest.mark.gen_test
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_compressed_bomb_is_cut_at_the_limit(coding: str) -> None:
    zeros = bytes(50_000_000)
    bomb = gzip.compress(zeros) if coding == "gzip" else zlib.compress(zeros)
    async with Site({"/": page(bomb, f"Content-Encoding: {coding}")}) as site:
        got = await fetch(client_for(), site.url("/"), max_bytes=1000)
    assert (got.body, got.is_cut) == (bytes(1000), True)


@pytest.mark.gen_test
@pytest.mark.parametrize("coding", ["gzip, gzip", "br", "zstd", "nonsense"])
async def test_codings_that_were_not_asked_for_are_refused(coding: str) -> None:
    async with Site({"/": page(gzip.compress(gzip.compress(b"x")), f"Content-Encoding: {coding}")}) as site:
        assert isinstance(await refusal(client_for(), site.url("/")), Upstream)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (page(b"no gzip", "Content-Encoding: gzip"), "The server's answer could not be decompressed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "The server's answer was not valid HTTP"),
        (b"nonsense\r\n\r\n", "The server's answer was not valid HTTP"),
        (b"", "The server's answer was not valid HTTP"),
    ],
)
async def test_broken_answers_are_told_in_plain_words(reply: bytes, reason: str) -> None:
    async with Site({"/": reply}) as site:
        assert str(await refusal(client_for(), site.url("/"))) == reason


@pytest.mark.gen_test
async def test_unknown_names_and_closed_ports_are_told_apart() -> None:
    async with Site({}) as site:
        url = site.url("/")
    assert str(await refusal(client_for(), "http://nowhere.example/")) == "Could not resolve hostname"
    assert str(await refusal(client_for(), url)) == "The server could not be reached"


@pytest.mark.gen_test
async def test_cookies_of_one_fetch_are_not_sent_with_the_next() -> None:
    async with Site({"/": page("x", "Set-Cookie: a=b; Path=/")}) as site:
        client = client_for()
        for _ in range(2):
            await client.fetch(site.url("/"), timeout_s=5, max_bytes=100)
        await client.aclose()
    assert len(site.requests) == 2
    assert not any("cookie" in head.lower() for head in site.requests)


@pytest.mark.gen_test
async def test_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with Site({"/": page("direct")}) as site:
        assert (await fetch(client_for(), site.url("/"))).body == b"direct"


@pytest.mark.gen_test
async def test_tls_asks_for_the_name_and_checks_the_certificate(tmp_path: Path) -> None:
    asked: list[str | None] = []
    context = self_signed(tmp_path, "site.example")
    context.sni_callback = lambda sock, name, _: asked.append(name)
    async with Site({"/": page("x")}, context) as site:
        error = await refusal(client_for(), site.url("/"))
    assert str(error) == "The server's certificate could not be verified"
    assert asked == ["site.example"]
    assert isinstance(context, ssl.SSLContext)


@pytest.mark.gen_test
async def test_a_fetch_that_is_cancelled_leaves_the_server() -> None:
    async with Site({"/": endless("HTTP/1.1 200 OK\r\n\r\n")}) as site:
        client = client_for()
        task = asyncio.ensure_future(client.fetch(site.url("/"), timeout_s=30, max_bytes=2**40))
        await asyncio.wait_for(site.came.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(site.gone.wait(), 5)
        await client.aclose()
