"""Edits of agent.toml come into force while the gateway runs; bad ones do not. The observer and the files are real, the clock is not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from starpod.config.loader import load_config
from starpod.config.problems import ConfigError
from starpod.config.schema import Config
from starpod.config.watcher import ConfigWatcher
from starpod.errors import Unavailable
from starpod.events import ConfigRejected, ConfigReloaded, EventBus
from starpod.paths import Paths

WAIT_S = 10.0


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


class Watched:
    """A watcher with a clock in hand and the events it published."""

    def __init__(self, paths: Paths) -> None:
        self.clock = FakeClock()
        self.events: list[ConfigReloaded | ConfigRejected] = []
        self._noted = asyncio.Event()
        bus = EventBus()
        bus.subscribe((ConfigReloaded, ConfigRejected), self.events.append)
        self.watcher = _Noting(paths, load_config(paths, {}), bus, self.clock, self._noted)

    async def edit(self, change: Callable[[], object]) -> None:
        """Change files, wait until the observer has told of it, and let the debounce pass."""
        self._noted.clear()
        change()
        await asyncio.wait_for(self._noted.wait(), WAIT_S)
        await self.settle()

    async def settle(self) -> None:
        self.clock.seconds += 1.0
        await self.watcher.settle()


class _Noting(ConfigWatcher):
    """Lets a test wait for the observer's report."""

    def __init__(self, paths: Paths, current: object, bus: EventBus, clock: FakeClock, noted: asyncio.Event) -> None:
        super().__init__(paths, current, bus, {}, clock=clock)  # type: ignore[arg-type]
        self._noted = noted

    def note_change(self) -> None:
        super().note_change()
        self._noted.set()


@asynccontextmanager
async def watching(paths: Paths) -> AsyncIterator[Watched]:
    watched = Watched(paths)
    watched.watcher.start()
    try:
        await watched.settle()
        assert watched.events == []
        yield watched
    finally:
        await watched.watcher.close()


@pytest.fixture
def edited(paths: Paths) -> Paths:
    paths.agent_toml.write_text("max_turns = 3\n")
    return paths


def test_an_edit_comes_into_force(edited: Paths) -> None:
    async def scenario() -> None:
        async with watching(edited) as watched:
            await watched.edit(lambda: edited.agent_toml.write_text("max_turns = 4\n"))
            assert watched.watcher.config.max_turns == 4
            assert watched.events == [ConfigReloaded(("max_turns",))]

    asyncio.run(scenario())


def test_an_editor_that_replaces_the_file_is_noticed(edited: Paths) -> None:
    def replace() -> None:
        other = edited.config_dir / "agent.toml~new"
        other.write_text("max_turns = 5\n")
        os.replace(other, edited.agent_toml)

    async def scenario() -> None:
        async with watching(edited) as watched:
            await watched.edit(replace)
            while watched.watcher.config.max_turns != 5:
                await watched.edit(lambda: None)
            assert watched.events[-1] == ConfigReloaded(("max_turns",))

    asyncio.run(scenario())


def test_a_bad_edit_keeps_the_old_settings_and_tells_why_once(edited: Paths, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with watching(edited) as watched:
            await watched.edit(lambda: edited.agent_toml.write_text("max_turns = 'x'\n"))
            assert watched.watcher.config.max_turns == 3
            assert watched.watcher.last_error is not None
            assert "config/agent.toml, line 1: max_turns" in watched.watcher.last_error
            assert watched.events == [ConfigRejected(watched.watcher.last_error, "config/agent.toml", 1)]
            await watched.watcher.reload()
            assert len(watched.events) == 1

    asyncio.run(scenario())
    assert "settings not changed: config/agent.toml, line 1" in caplog.text


def test_taking_a_bad_edit_back_clears_the_error(edited: Paths) -> None:
    async def scenario() -> None:
        async with watching(edited) as watched:
            await watched.edit(lambda: edited.agent_toml.write_text("max_turns ="))
            await watched.edit(lambda: edited.agent_toml.write_text("max_turns = 3\n"))
            assert watched.watcher.last_error is None
            assert watched.events[-1] == ConfigReloaded(())

    asyncio.run(scenario())


def test_a_deleted_file_keeps_the_settings_until_it_is_back(edited: Paths) -> None:
    async def scenario() -> None:
        async with watching(edited) as watched:
            await watched.edit(edited.agent_toml.unlink)
            assert watched.watcher.config.max_turns == 3
            assert "missing" in (watched.watcher.last_error or "")
            await watched.edit(lambda: edited.agent_toml.write_text("max_turns = 6\n"))
            assert watched.watcher.config.max_turns == 6

    asyncio.run(scenario())


def test_nothing_is_read_until_a_second_after_the_last_change(edited: Paths) -> None:
    async def scenario() -> None:
        watched = Watched(edited)
        edited.agent_toml.write_text("max_turns = 4\n")
        watched.watcher.note_change()
        watched.clock.seconds += 0.9
        watched.watcher.note_change()
        watched.clock.seconds += 0.9
        await watched.watcher.settle()
        assert watched.watcher.config.max_turns == 3
        watched.clock.seconds += 0.1
        await watched.watcher.settle()
        assert watched.watcher.config.max_turns == 4

    asyncio.run(scenario())


def test_identical_content_and_comments_publish_nothing(edited: Paths) -> None:
    async def scenario() -> None:
        watched = Watched(edited)
        await watched.watcher.reload()
        edited.agent_toml.write_text("max_turns = 3 # three\n")
        await watched.watcher.reload()
        assert watched.events == []

    asyncio.run(scenario())


def test_an_edit_between_reading_and_watching_is_not_lost(edited: Paths) -> None:
    async def scenario() -> None:
        watched = Watched(edited)
        edited.agent_toml.write_text("max_turns = 9\n")
        watched.watcher.start()
        try:
            await watched.settle()
        finally:
            await watched.watcher.close()
        assert watched.watcher.config.max_turns == 9

    asyncio.run(scenario())


def test_a_changed_env_file_is_told_by_name_only(edited: Paths, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def scenario() -> None:
        async with watching(edited) as watched:
            await watched.edit(lambda: edited.env_file.write_text("OPENAI_API_KEY=sk-very-secret\n"))
            assert watched.events == [ConfigReloaded(("env.OPENAI_API_KEY",))]
            assert watched.watcher.current.environ["OPENAI_API_KEY"] == "sk-very-secret"

    asyncio.run(scenario())
    assert "env.OPENAI_API_KEY" in caplog.text
    assert "very-secret" not in caplog.text


def test_a_key_that_needs_a_restart_is_warned_of(edited: Paths, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        watched = Watched(edited)
        edited.agent_toml.write_text('server_addr = "127.0.0.1:4000"\n')
        await watched.watcher.reload()

    asyncio.run(scenario())
    assert "server_addr takes effect when the gateway is started again" in caplog.text


def test_a_kubernetes_swap_is_noticed(edited: Paths) -> None:
    """A mounted ConfigMap: the file is a link through `..data`, which is renamed over to the next version."""

    def version(number: int) -> None:
        folder = edited.config_dir / f"..v{number}"
        folder.mkdir()
        (folder / "agent.toml").write_text(f"max_turns = {number}\n")
        (edited.config_dir / "..data_tmp").symlink_to(folder.name)
        os.replace(edited.config_dir / "..data_tmp", edited.config_dir / "..data")

    edited.agent_toml.unlink()
    version(3)
    edited.agent_toml.symlink_to("..data/agent.toml")

    async def scenario() -> None:
        async with watching(edited) as watched:
            await watched.edit(lambda: version(4))
            assert watched.watcher.config.max_turns == 4

    asyncio.run(scenario())


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_an_edit_behind_a_link_is_noticed_without_the_observer(edited: Paths, linked: str) -> None:
    target = edited.agent_home / "elsewhere"
    target.mkdir()
    real = target / "agent.toml"
    real.write_text("max_turns = 3\n")
    edited.agent_toml.unlink()
    if linked == "file":
        edited.agent_toml.symlink_to(real)
    else:
        edited.config_dir.rmdir()
        edited.config_dir.symlink_to(target)

    async def scenario() -> None:
        watched = Watched(edited)
        await watched.watcher.settle()
        real.write_text("max_turns = 44\n")
        await watched.watcher.settle()
        assert watched.watcher.config.max_turns == 3
        await watched.settle()
        assert watched.watcher.config.max_turns == 44

    asyncio.run(scenario())


def test_other_files_are_put_into_force_and_their_mistakes_told(edited: Paths) -> None:
    other = edited.config_dir / "other.toml"
    applied: list[str] = []

    async def apply(path: Path) -> None:
        text = await asyncio.to_thread(lambda: path.read_text() if path.exists() else "missing")
        if text == "bad":
            raise ConfigError("other.toml, line 1: bad")
        applied.append(text)

    async def scenario() -> None:
        watched = Watched(edited)
        await watched.watcher.add_file("other.toml", apply)
        await watched.watcher.reload()
        assert applied == []
        for text in ("one", "bad", "bad", "one", "two"):
            other.write_text(text)
            await watched.watcher.reload()
        other.unlink()
        await watched.watcher.reload()
        assert applied == ["one", "one", "two", "missing"]
        assert watched.watcher.problems == {}
        told = [event.changed if isinstance(event, ConfigReloaded) else event.file for event in watched.events]
        assert told == [("other.toml",), "other.toml", (), ("other.toml",), ("other.toml",)]

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", [Unavailable("The database is locked."), RuntimeError("a bug")])
def test_a_file_that_cannot_be_applied_keeps_no_other_from_its_turn(edited: Paths, fault: Exception) -> None:
    other = edited.config_dir / "other.toml"
    faults = [fault]

    async def apply(path: Path) -> None:
        if faults:
            raise faults.pop()

    async def scenario() -> None:
        watched = Watched(edited)
        await watched.watcher.add_file("other.toml", apply)
        other.write_text("good")
        edited.agent_toml.write_text("max_turns = 3\n")
        await watched.watcher.reload()
        assert watched.watcher.config.max_turns == 3
        if isinstance(fault, Unavailable):
            assert watched.watcher.problems == {"other.toml": "The database is locked."}
            await watched.settle()  # by itself: the file is good
        else:
            await watched.watcher.reload()
        assert watched.events[-1] == ConfigReloaded(("other.toml",))
        assert watched.watcher.problems == {} and faults == []

    asyncio.run(scenario())


def test_what_needs_a_restart_is_known_until_it_is_taken_back(edited: Paths) -> None:
    async def scenario() -> None:
        watched = Watched(edited)
        edited.agent_toml.write_text('server_addr = "127.0.0.1:4000"\n')
        edited.env_file.write_text("STARPOD_VAULT_KEY=x\n")
        await watched.watcher.reload()
        assert watched.watcher.restart_needed == ("server_addr", "env.STARPOD_VAULT_KEY")
        edited.agent_toml.write_text("max_turns = 3\n")
        edited.env_file.unlink()
        await watched.watcher.reload()
        assert watched.watcher.restart_needed == ()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("max_tur"),
        lambda path: path.write_text("[turns"),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("models = ['no-slash']"),
        lambda path: path.write_text("timezone = 'Mars/Olympus'"),
        lambda path: path.write_text("max_turns = 99999999999999999999999"),
        lambda path: path.write_text("a = " + "[" * 5000),
        lambda path: (path.unlink(), path.symlink_to("nowhere")),
    ],
)
def test_no_damage_stops_the_gateway(edited: Paths, damage: Callable[[Path], object]) -> None:
    async def scenario() -> None:
        watched = Watched(edited)
        damage(edited.agent_toml)
        await watched.watcher.reload()
        assert watched.watcher.config.max_turns == 3
        assert watched.watcher.last_error is not None and "\n" not in watched.watcher.last_error
        assert [type(event) for event in watched.events] == [ConfigRejected]

    asyncio.run(scenario())


def test_an_empty_file_means_the_defaults(edited: Paths) -> None:
    async def scenario() -> None:
        watched = Watched(edited)
        edited.agent_toml.write_text("")
        await watched.watcher.reload()
        assert (watched.watcher.config.max_turns, watched.watcher.last_error) == (30, None)

    asyncio.run(scenario())


@pytest.mark.parametrize("section", [name for name, field in Config.model_fields.items() if name != "providers"])
def test_a_wrong_type_in_any_section_is_told_with_its_line(edited: Paths, section: str) -> None:
    async def scenario() -> None:
        watched = Watched(edited)
        edited.agent_toml.write_text(f"\n{section} = 1979-05-27\n")
        await watched.watcher.reload()
        assert watched.watcher.config.max_turns == 3
        (event,) = watched.events
        assert isinstance(event, ConfigRejected)
        assert (event.file, event.line) == ("config/agent.toml", 2) and section in event.reason

    asyncio.run(scenario())


def test_unknown_keys_are_kept_and_warned_of(edited: Paths) -> None:
    async def scenario() -> None:
        watched = Watched(edited)
        edited.agent_toml.write_text("max_turns = 4\nmystery = 1\n[memory]\nodd = true\n")
        await watched.watcher.reload()
        assert watched.watcher.config.max_turns == 4
        assert [warning.split(": ")[1] for warning in watched.watcher.current.warnings] == ["mystery", "memory.odd"]

    asyncio.run(scenario())
