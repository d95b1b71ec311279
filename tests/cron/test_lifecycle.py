"""BOOTSTRAP.md runs once, BOOT.md at every start, after the port is open; nobody waits for them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Fail, script

pytestmark = pytest.mark.gen_test


def write(gateway: Gateway, **texts: str) -> None:
    for name, text in texts.items():
        (gateway.state.paths.config_dir / f"{name}.md").write_text(text)


def read(gateway: Gateway, name: str) -> str:
    return (gateway.state.paths.config_dir / f"{name}.md").read_text()


async def restart(gateway: Gateway) -> None:
    await gateway.stop()
    await gateway.start()
    await settled(gateway)


async def settled(gateway: Gateway) -> None:
    """Wait until the start's own prompts are over."""
    tasks = [task for task in asyncio.all_tasks() if task.get_name() == "gateway.lifecycle"]
    if tasks:
        await asyncio.wait(tasks, timeout=10)


def asked(gateway: Gateway) -> list[str]:
    return [request_text(each) for each in gateway.provider.requests]


def request_text(request: Any) -> str:
    return str(request)


async def test_bootstrap_runs_once_and_boot_at_every_start(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        await settled(gateway)
        write(gateway, BOOTSTRAP="Introduce yourself to the house.", BOOT="Say that you are up.")
        gateway.provider.play(script("Hello, house."), script("I am up."), script("Up again."))
        await restart(gateway)
        first, second = asked(gateway)
        assert "Introduce yourself" in first
        assert "Say that you are up" in second
        assert read(gateway, "BOOTSTRAP") == ""
        await restart(gateway)
        assert len(asked(gateway)) == 3
        sessions = (await gateway.http.get("/api/sessions?limit=20&user=boot")).status_code
        assert sessions == 200


@pytest.mark.parametrize("text", ["", "# Start\n<!-- what to do at the start -->\n"])
async def test_files_that_say_nothing_call_no_model(tmp_path: Path, text: str) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        await settled(gateway)
        write(gateway, BOOTSTRAP=text, BOOT=text)
        await restart(gateway)
        assert asked(gateway) == []
        assert read(gateway, "BOOTSTRAP") == text


async def test_a_failed_bootstrap_stays_for_the_next_start(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        await settled(gateway)
        write(gateway, BOOTSTRAP="Introduce yourself.")
        gateway.provider.play(script(Fail(500)), script("Hello."))
        await restart(gateway)
        assert read(gateway, "BOOTSTRAP") == "Introduce yourself."
        await restart(gateway)
        assert read(gateway, "BOOTSTRAP") == ""
        assert len(asked(gateway)) == 2


async def test_what_was_answered_before_a_crash_is_not_asked_again(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        await settled(gateway)
        write(gateway, BOOTSTRAP="Introduce yourself.")
        gateway.provider.play(script("Hello."))
        await restart(gateway)
        # As if the process had been killed between the answer and the emptying of the file.
        write(gateway, BOOTSTRAP="Introduce yourself.")
        await restart(gateway)
        assert len(asked(gateway)) == 1
        assert read(gateway, "BOOTSTRAP") == ""


async def test_without_a_language_model_the_files_wait(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        await settled(gateway)
        write(gateway, BOOTSTRAP="Introduce yourself.", BOOT="Say that you are up.")
        await restart(gateway)
        assert read(gateway, "BOOTSTRAP") == "Introduce yourself."
        assert (await gateway.http.get("/api/sessions?limit=20")).json() == []
