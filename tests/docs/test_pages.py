"""Every command and snippet of README and documentation is tried, in the order of the page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.channels.telegram.bot_api import BotApi
from tests.docs.pages import ROOT, Reader, blocks
from tests.gateway import Gateway

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "pages").glob("*.md"))]


async def read(tmp_path: Path, page: Path) -> str:
    """Do what a page says on a fresh agent, and return what was printed."""
    folder = tmp_path / "agent"
    folder.mkdir()
    async with BotApi() as telegram:
        settings = {"channels": {"telegram": {"api_url": telegram.url}}}
        async with Gateway(folder, settings=settings) as gateway, Reader(gateway, shims=tmp_path / "bin") as reader:
            for block in blocks(page):
                try:
                    await reader.do(block)
                except AssertionError as error:
                    raise AssertionError(f"{page.name}, line {block.line}: {error}") from error
            return reader.output


@pytest.mark.gen_test(timeout=180)
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.stem)
async def test_what_a_page_says_works(tmp_path: Path, page: Path) -> None:
    printed = await read(tmp_path, page)
    if page.stem == "quickstart":
        answers = printed.split("I will remember")[1]
        assert "the plumber comes on Friday" in answers and "kept TELEGRAM_BOT_TOKEN" in answers


def test_no_block_is_without_a_language() -> None:
    """Else nobody would know how to try it."""
    bare = [f"{page.name}:{block.line}" for page in PAGES for block in blocks(page) if not block.language]
    fences = {page.name: len(re.findall(r"^ *```", page.read_text(encoding="utf-8"), re.MULTILINE)) for page in PAGES}
    assert bare == []
    assert fences == {page.name: 2 * len(blocks(page)) for page in PAGES}
