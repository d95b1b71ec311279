"""What the messages of a request are for, and what a `data:` URL holds."""

from __future__ import annotations

import asyncio

import pytest

from starpod.channels.openai.conversation import MOST_BYTES, Link, Parted, Said, collect, from_data_url, part
from starpod.errors import InvalidInput, Upstream
from starpod.net.guarded import GuardedClient
from tests.net.site import Site, page

LOCAL = ("127.0.0.1",)


def test_what_the_person_said_last_is_the_message() -> None:
    parted = part(
        [
            Said("system", "Be brief."),
            Said("user", "one"),
            Said("assistant", "1"),
            Said("user", "two"),
            Said("system", "And kind."),
            Said("user", "three"),
        ]
    )
    assert parted.text == "two\n\nthree"
    assert parted.instructions == "Be brief.\n\nAnd kind."
    assert [(said.role, said.text) for said in parted.earlier] == [("user", "one"), ("assistant", "1")]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [Said("system", "Be brief.")],
        [Said("user", "one"), Said("assistant", "1")],
        [Said("user", "  \n")],
    ],
)
def test_without_words_of_the_person_at_the_end_there_is_no_message(messages: list[Said]) -> None:
    with pytest.raises(InvalidInput, match="last message") as caught:
        part(messages)
    assert "messages" in caught.value.fields


def test_a_file_alone_is_a_message() -> None:
    link = Link("data:,x", None, "messages.0.content.0")
    assert part([Said("user", "", (link,))]).links == (link,)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("data:image/png;base64,aGk=", ("image/png", b"hi")),
        ("data:image/png;name=a;base64,aG\nk=", ("image/png", b"hi")),
        ("DATA:text/plain,a%20b", ("text/plain", b"a b")),
        ("data:,plain", ("text/plain", b"plain")),
        ("data:;base64,aGk=", ("application/octet-stream", b"hi")),
    ],
)
def test_data_urls(url: str, expected: tuple[str, bytes]) -> None:
    assert from_data_url(Link(url, None, "x")) == expected


@pytest.mark.parametrize("url", ["data:image/png;base64", "data:image/png;base64,%%%", "data:image/png;base64,a"])
def test_broken_data_urls_name_their_place(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        from_data_url(Link(url, None, "messages.3.content.1.image_url"))
    assert list(caught.value.fields) == ["messages.3.content.1.image_url"]


@pytest.mark.gen_test
async def test_files_by_url_are_limited_together_too_wherever_they_stand() -> None:
    client = GuardedClient(lambda: LOCAL)
    half = MOST_BYTES // 2
    async with Site({"/half": page(b"x" * half), "/small": page(b"x")}) as site:
        first, last = (Link(site.url("/half", "127.0.0.1"), None, field) for field in ("first", "last"))
        small = Link(site.url("/small", "127.0.0.1"), None, "small")
        fits = await collect(Parted("", (Said("user", "see", (first,)),), "and", (last,)), client, MOST_BYTES)
        assert [len(file.data) for file in (*fits.earlier[0].files, *fits.files)] == [half, half]
        for third in (small, Link("data:,x", None, "small")):
            with pytest.raises(InvalidInput, match="together") as caught:
                await collect(Parted("", (Said("user", "see", (first, last)),), "and", (third,)), client, MOST_BYTES)
            assert list(caught.value.fields) == ["small"]
    await client.aclose()


@pytest.mark.gen_test
async def test_files_that_do_not_come_end_the_request() -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()

    client = GuardedClient(lambda: LOCAL)
    async with Site({"/never": silent}) as site:
        link = Link(site.url("/never", "127.0.0.1"), None, "x")
        with pytest.raises(Upstream, match=r"within 0\.2 seconds"):
            await collect(Parted("", (), "", (link,)), client, 1000, timeout_s=0.2)
    await client.aclose()
