"""WebFetch and WebSearch against a site on a loopback port."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from starpod.config.schema import InternetConfig
from starpod.net.guarded import GuardedClient
from starpod.tools.types import ToolContext, ToolFailure
from starpod.tools.web import FetchArguments, SearchArguments, Web
from tests.gateway import Gateway
from tests.net.site import LOCAL, Names, Site, page, redirect
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, script

CONTEXT = ToolContext("ann", "session", "turn", Path("/"), "user", lambda file: None, 1000)
HTML = "Content-Type: text/html"
ARTICLE = """<!doctype html><html><head><title>The boiler &amp; you</title></head><body>
<nav><a href="/home">Home</a></nav><article><h1>Boilers</h1>
<p>Every boiler has a <b>valve</b>, and the <a href="/valves?a=1">page about valves</a> says how to close it. It is best to
close it slowly, twice a year, and to write down when it was done so that nobody has to guess.</p>
<ul><li>first</li><li>second</li></ul><table><tr><th>Part</th><th>Price</th></tr><tr><td>valve</td><td>12</td></tr></table>
<pre><code>close(valve)
</code></pre></article><script>alert("not text")</script></body></html>"""


def web(settings: dict[str, Any] | None = None, **environ: str) -> Web:
    client = GuardedClient(lambda: ("site.example",), Names(site_example=LOCAL))
    return Web(client, InternetConfig(**settings or {}), lambda: environ)


async def fetched(url: str, **settings: Any) -> str:
    return await web(settings).fetch(CONTEXT, FetchArguments(url=url))


async def refusal(url: str, **settings: Any) -> str:
    with pytest.raises(ToolFailure) as caught:
        await fetched(url, **settings)
    return str(caught.value)


@pytest.mark.gen_test
async def test_a_page_becomes_markdown_with_title_and_absolute_links() -> None:
    async with Site({"/": redirect("/boiler"), "/boiler": page(ARTICLE, HTML)}) as site:
        text = await fetched(site.url("/"))
    assert text.startswith(f"# The boiler & you\n\nSource: {site.url('/boiler')}\n\n")
    assert f"[page about valves]({site.url('/valves?a=1')})" in text
    assert "**valve**" in text
    assert "- first" in text
    assert "| valve | 12 |" in text
    assert "close(valve)" in text
    assert "not text" not in text


@pytest.mark.gen_test
async def test_a_front_page_without_an_article_shows_its_links() -> None:
    links = "".join(f'<tr><td><a href="/item/{n}">Story number {n}</a></td></tr>' for n in range(20))
    async with Site({"/": page(f"<title>News</title><table>{links}</table>", HTML)}) as site:
        text = await fetched(site.url("/"))
    assert all(f"Story number {n}" in text for n in range(20))
    assert site.url("/item/7") in text


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Type: text/html; charset=iso-8859-1", "<p>Grüße aus Köln</p>".encode("latin-1")),
        (HTML, '<meta charset="windows-1252"><p>Grüße aus Köln</p>'.encode("cp1252")),
        (HTML, "<p>Grüße aus Köln</p>".encode()),
        ("Content-Type: text/html; charset=nonsense", "<p>Grüße aus Köln</p>".encode()),
        ("Content-Type: text/plain; charset=latin-1", "Grüße aus Köln".encode("latin-1")),
        ("X: no content type", b"<!doctype html><p>Gr&uuml;&szlig;e aus K&ouml;ln</p>"),
    ],
)
async def test_the_characters_of_a_page_survive(headers: str, body: bytes) -> None:
    async with Site({"/": page(body, headers)}) as site:
        assert "Grüße aus Köln" in await fetched(site.url("/"))


@pytest.mark.gen_test
async def test_json_and_plain_text_come_as_they_are() -> None:
    async with Site({"/": page('{"a": [1, 2]}', "Content-Type: application/json")}) as site:
        assert await fetched(site.url("/")) == f'Source: {site.url("/")}\n\n{{"a": [1, 2]}}'


@pytest.mark.gen_test
@pytest.mark.parametrize("media_type", ["application/pdf", "image/png", "video/mp4", "application/octet-stream"])
async def test_what_is_no_text_is_named(media_type: str) -> None:
    async with Site({"/": page(b"%PDF-1.7\0\0", f"Content-Type: {media_type}")}) as site:
        assert await refusal(site.url("/")) == (
            f"{site.url('/')} is {media_type} (10 bytes), not a page that can be read as text."
        )


@pytest.mark.gen_test
async def test_long_pages_are_cut_and_say_so() -> None:
    async with Site({"/": page("x" * 5000, "Content-Type: text/plain")}) as site:
        cut = await fetched(site.url("/"), max_text_chars=100)
        short = await fetched(site.url("/"), max_fetch_bytes=100)
    assert cut.endswith("x" * 100 + "\n\n[cut: 100 of 5000 characters are shown]")
    assert short.endswith("x" * 100 + "\n\n[only the first 100 bytes of the page were read]")


@pytest.mark.gen_test
async def test_errors_of_the_server_and_refused_addresses_are_told() -> None:
    async with Site({"/teapot": page("", status="418 I'm a Teapot")}) as site:
        assert "404 Not Found" in await refusal(site.url("/missing"))
        assert "418" in await refusal(site.url("/teapot"))
    assert await refusal("http://127.0.0.1/") == "Requests to private/internal addresses are not allowed."
    assert await refusal("ftp://site.example/") == "Only http and https URLs are allowed."
    assert await refusal("http://nowhere.example/") == "Could not resolve hostname."


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"\xff\xfe\x00\x01" * 100,
        b"<div>" * 100_000,
        b"<a href='" + b"x" * 500_000,
        b"<!ENTITY" * 1000,
        b"<p>" + b"&" * 100_000,
    ],
    ids=["empty", "bare", "binary", "nested", "unclosed", "entities", "ampersands"],
)
async def test_broken_pages_harm_nobody(body: bytes) -> None:
    async with Site({"/": page(body, HTML)}) as site:
        try:
            text = await fetched(site.url("/"))
        except ToolFailure as error:
            text = str(error)
        assert site.url("/") in text


@pytest.mark.gen_test
async def test_a_page_that_is_a_compressed_bomb_is_cut() -> None:
    bomb = gzip.compress(b"<p>boom</p>" * 5_000_000)
    async with Site({"/": page(bomb, HTML, "Content-Encoding: gzip")}) as site:
        text = await fetched(site.url("/"), max_fetch_bytes=100_000)
    assert text.endswith("[only the first 100000 bytes of the page were read]")


def results(*items: tuple[str, str, str]) -> bytes:
    found = [{"title": title, "url": url, "description": text} for title, url, text in items]
    return page(json.dumps({"type": "search", "web": {"results": found}}), "Content-Type: application/json")


@pytest.mark.gen_test
async def test_a_search_lists_what_was_found() -> None:
    reply = results(
        ("<strong>Boilers</strong> &amp; co", "https://a.example/", "all <b>about</b> it"), ("B", "https://b/", "")
    )
    async with Site({"/search": reply}) as site:
        tool = web({"search_url": site.url("/search")}, BRAVE_API_KEY="k-1")
        text = await tool.search(CONTEXT, SearchArguments(query="boiler & valve", count=7))
    assert text == "1. Boilers & co\n   https://a.example/\n   all about it\n2. B\n   https://b/"
    assert site.requests[0].startswith("GET /search?q=boiler+%26+valve&count=7 ")
    assert "x-subscription-token: k-1" in site.requests[0].lower()


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (page("{}", status="401 Unauthorized"), "does not accept the key"),
        (page("{}", status="429 Too Many Requests"), "no more searches now"),
        (page("{}", status="500 Internal Server Error"), "answered 500 Internal Server Error"),
        (redirect("http://elsewhere.example/"), "answered 302 Found"),
        (page("no json"), "could not be understood"),
        (page("[]"), "could not be understood"),
        (page('{"web": {"results": 3}}'), "could not be understood"),
        (page('{"web": {"results": [{"title": 3, "url": "x"}]}}'), "could not be understood"),
    ],
)
async def test_a_search_that_fails_says_why_and_never_shows_the_key(reply: bytes, told: str) -> None:
    async with Site({"/": reply}) as site:
        with pytest.raises(ToolFailure) as caught:
            await web({"search_url": site.url("/")}, BRAVE_API_KEY="k-1").search(CONTEXT, SearchArguments(query="x"))
    assert told in str(caught.value)
    assert "k-1" not in str(caught.value)


@pytest.mark.gen_test
async def test_a_search_without_results_or_without_a_key_is_told() -> None:
    async with Site({"/": page('{"type": "search"}')}) as site:
        settings = {"search_url": site.url("/")}
        assert await web(settings, BRAVE_API_KEY="k").search(CONTEXT, SearchArguments(query="x")) == "No results."
        with pytest.raises(ToolFailure, match="BRAVE_API_KEY is missing"):
            await web(settings).search(CONTEXT, SearchArguments(query="x"))
    assert len(site.requests) == 1


@pytest.mark.gen_test
async def test_the_agent_reads_a_page_during_a_turn(tmp_path: Path) -> None:
    async with Site({"/": page(ARTICLE, HTML)}) as site:
        settings = {"internet": {"allow_private_hosts": [f"127.0.0.1:{site.port}"]}}
        async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
            url = site.url("/", "127.0.0.1")
            gateway.provider.play(script(CallTool("WebFetch", json.dumps({"url": url}))), script("Read it."))
            frames = await (await gateway.socket()).say("read this")
    (result,) = [frame for frame in frames if frame["type"] == "tool_result"]
    assert not result["is_error"]
    assert result["content"].startswith("# The boiler & you")


@pytest.mark.gen_test
async def test_without_internet_the_agent_has_neither_tool(tmp_path: Path) -> None:
    offered = []
    for enabled in (True, False):
        folder = tmp_path / str(enabled)
        await asyncio.to_thread(folder.mkdir)
        async with Gateway(folder, OpenAIServer(), settings={"internet": {"enabled": enabled}}) as gateway:
            gateway.provider.play(script("Hello."))
            await (await gateway.socket()).say("hi")
            tools = {tool["function"]["name"] for tool in gateway.provider.requests[0].body["tools"]}
            offered.append({"WebFetch", "WebSearch"} & tools)
    assert offered == [{"WebFetch", "WebSearch"}, set()]
