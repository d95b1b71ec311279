"""The index over real files: what it takes in, what it leaves alone, and what it survives."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from starpod.db.database import Database
from starpod.db.migrate import migrate
from starpod.errors import Unavailable
from starpod.memory.index import MemoryIndex
from starpod.memory.types import Hit
from starpod.server import prepare
from tests.fakes import FakeClock


class Memory:
    """An index on an agent folder, and files for it."""

    def __init__(self, folder: Path) -> None:
        self.paths, loaded = prepare(folder, {})
        self.core = Database(self.paths.core_db)
        migrate(self.core)
        self.index = MemoryIndex(self.core, self.paths, lambda: loaded.config, FakeClock())

    def put(self, name: str, text: str | bytes, user_id: str | None = "ann") -> Path:
        path = (self.paths.agent_home if user_id is None else self.paths.users_dir / user_id) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    async def find(self, text: str, **given: str) -> list[Hit]:
        return await self.index.search(text, user_id="ann", **given)  # type: ignore[arg-type]

    async def sources(self, text: str, **given: str) -> list[str]:
        return [hit.source.removeprefix("users/ann/") for hit in await self.find(text, **given)]


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Memory]:
    memory = Memory(folder)
    try:
        await memory.index.open()
        await memory.index.ready()
        yield memory
    finally:
        await memory.index.close()
        memory.core.close()


@pytest.mark.gen_test(timeout=30)
async def test_forgiving_matches(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        memory.put("memory/a.md", "The café's boilers were repaired by Zoë Müller. Allergic to peanuts.")
        memory.put("memory/b.md", "我们去年三月在东京修理了锅炉。お寿司を食べました。")
        memory.put("memory/c.md", "เมื่อวานเราไปซ่อมหม้อไอน้ำที่กรุงเทพ")
        await memory.index.refresh()
        for text in (
            "cafe",
            "boiler repairs",
            "zoe muller",
            "boilr",
            "reapired",
            "boil*",
            "peanut allergy",
            '"zoë müller"',
        ):
            assert (await memory.sources(text))[:1] == ["memory/a.md"], text
        for text in ("锅炉", "東京と寿司", "寿司"):
            assert (await memory.sources(text))[:1] == ["memory/b.md"], text
        assert (await memory.sources("หม้อไอน้ำ"))[:1] == ["memory/c.md"]


@pytest.mark.gen_test(timeout=30)
async def test_letters_and_words_written_otherwise(tmp_path: Path) -> None:
    """Each question has only words that stand otherwise in the text, so that one finds nothing when its rule is missing."""
    texts = {
        "новый холодильник": ("Приехал новый холодильник", "Moscow"),
        "اصلاح": ("كلف إصلاح السيارة كثيرا", "Amman"),
        "السباك": ("اتصل سباك آخر", "Amman"),
        "هندي": ("كتاب هِنْدِيّ قديم", "Amman"),
        "किताब": ("मेरी किताब खो गई", "Delhi"),
        "Hafenstrasse": ("Wir treffen uns in der Hafenstraße", "Kiel"),
        "Moeller": ("Frau Möller rief an", "Kiel"),
        "orsted": ("a book about Ørsted", "Aarhus"),
        "upgrade": ("then pg_upgrade ran for an hour", "terminal"),
        "lady birds": ("the ladybirds eat them", "roses"),
        "1240": ("the rent is 1,240 now", "lease"),
        "03415550148": ("call 0341 555 0148", "garage"),
        "wi-fi": ("the wifi is slow", "router"),
        "libfoo": ("a new lib-foo came out", "news"),
        "דוד": ("הדוד תוקן", "home"),
        "wheelbarrow": ("a wheel for the old barrow", "shed"),
    }
    async with opened(tmp_path) as memory:
        for number, (text, title) in enumerate(texts.values()):
            memory.put(f"memory/{number}.md", f"# {title}\n{text}")
        await memory.index.refresh()
        for number, question in enumerate(texts):
            hits = await memory.find(question)
            assert hits, question
            hit = hits[0]
            assert hit.source == f"users/ann/memory/{number}.md", question
            assert hit.marks, question


@pytest.mark.gen_test(timeout=30)
async def test_words_whose_stem_has_another_stem(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        memory.put("memory/a.md", "Houses, horses, leases, releases, nurses, databases, expenses and exercises.")
        await memory.index.refresh()
        for text in ("house", "horse", "lease", "release", "nurse", "database", "expense", "exercise"):
            assert await memory.sources(text) == ["memory/a.md"], text


@pytest.mark.gen_test(timeout=30)
async def test_words_for_the_same_thing_and_for_its_kind(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        memory.put("memory/a.md", "The hamster ran off again.")
        memory.put("memory/b.md", "Dr. Haddad looked at it: harmless.")
        memory.put("memory/c.md", "Burglars were in the cellar.")
        memory.put("memory/d.md", "Nothing at all, a quiet evening.")
        await memory.index.refresh()
        for text, name in (("our pet", "a"), ("the physician", "b"), ("theft in the basement", "c")):
            assert (await memory.sources(text))[0] == f"memory/{name}.md", text


@pytest.mark.gen_test(timeout=30)
async def test_a_question_that_only_names_a_day_finds_what_is_of_that_day(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        day = memory.index.today() - timedelta(days=1)
        memory.put(f"memory/{day}.md", "The gecko moved in.")
        memory.put(f"memory/{day - timedelta(days=40)}.md", "What happened yesterday is written up today.")
        await memory.index.refresh()
        for text in ("what happened yesterday", "yesterday", "gestern", "昨日", f"{day:%d.%m.%Y}"):
            assert (await memory.sources(text))[0] == f"memory/{day}.md", text


@pytest.mark.gen_test(timeout=30)
async def test_all_words_stand_above_some_and_newer_above_older(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        memory.put("memory/some.md", "boiler boiler boiler boiler")
        memory.put("memory/all.md", "the boiler needs a new valve")
        memory.put("memory/2026-03-19.md", "the wombat sleeps")
        memory.put("memory/2025-03-19.md", "the wombat sleeps too")
        memory.put("MEMORY.md", "a wombat sleeps always")
        await memory.index.refresh()
        assert await memory.sources("boiler valve") == ["memory/all.md", "memory/some.md"]
        found = await memory.sources("wombat")
        assert found.index("memory/2026-03-19.md") < found.index("memory/2025-03-19.md")
        assert (await memory.sources("wombat in March 2025"))[0] == "memory/2025-03-19.md"
        assert await memory.sources("wombat", since="2026-01-01", until="2026-12-31") == ["memory/2026-03-19.md"]
        assert await memory.sources("wombat", source="users/ann/MEMORY.md") == ["MEMORY.md"]


@pytest.mark.gen_test(timeout=60)
async def test_odd_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(tmp_path) as memory:
        (tmp_path / "outside.md").write_text("the secret ocelot")
        memory.put("memory/line.md", "x" * 500_000 + " narwhal " + "y" * 500_000)
        memory.put("memory/bytes.md", b"\xff\xfe broken \xc3\x28 pangolin".replace(b"\xff\xfe", b"\xff\xff"))
        memory.put("memory/nul.md", b"before\0after lemur")
        big = memory.put("memory/big.md", "the axolotl stands first\n")
        os.truncate(big, 200 * 1_048_576)
        link = memory.paths.users_dir / "ann" / "memory" / "link.md"
        link.symlink_to(tmp_path / "outside.md")
        (link.parent / "folder").symlink_to(tmp_path, target_is_directory=True)
        (link.parent / "loop.md").symlink_to(link.parent / "loop.md")
        os.mkfifo(link.parent / "pipe.md")
        (link.parent / "dangling.md").symlink_to(link.parent / "nowhere.md")
        await memory.index.refresh()
        assert await memory.sources("narwhal") == ["memory/line.md"]
        assert await memory.sources("pangolin") == ["memory/bytes.md"]
        assert await memory.sources("lemur") == ["memory/nul.md"]
        assert await memory.sources("axolotl") == ["memory/big.md"]
        assert await memory.sources("ocelot") == []
        assert "only its first 16 MB can be found" in caplog.text


@pytest.mark.gen_test(timeout=30)
async def test_only_changed_pieces_are_written_and_lines_stay_true(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        path = memory.put("memory/log.md", "".join(f"- entry {number} about otters\n" for number in range(300)))
        await memory.index.refresh()
        before = set(await memory.index.keys())
        path.write_text(path.read_text() + "- a late capybara\n")
        await memory.index.refresh([path])
        after = set(await memory.index.keys())
        assert len(before - after) <= 1 and len(after - before) <= 2
        (hit, *_) = await memory.find("capybara")
        lines = path.read_text().split("\n")
        assert hit.text == "\n".join(lines[hit.line_start - 1 : hit.line_end])
        path.unlink()
        await memory.index.refresh([path])
        assert await memory.sources("capybara") == []


@pytest.mark.gen_test(timeout=30)
async def test_a_restart_reads_nothing_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        path = memory.put("memory/log.md", "the first ibex")
        await memory.index.refresh()
        # The same size and time: whoever reads the file again would find the other word.
        found = path.stat()
        path.write_text("the first okap")
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    async with opened(tmp_path) as memory:
        assert await memory.sources("ibex") == ["memory/log.md"]


@pytest.mark.gen_test(timeout=30)
async def test_a_damaged_index_is_built_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        memory.put("memory/log.md", "the first ibex")
    (memory.paths.db_dir / "memory.db").write_bytes(b"no database " * 1_000)
    async with opened(tmp_path) as memory:
        assert await memory.sources("ibex") == ["memory/log.md"]


@pytest.mark.gen_test(timeout=60)
async def test_searches_go_on_while_the_index_is_rebuilt(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        for number in range(200):
            memory.put(f"memory/{number}.md", f"the ibex of hill {number}\n" * 200)
        await memory.index.refresh()
        rebuild = asyncio.ensure_future(memory.index.reindex())
        searches = 0
        while not rebuild.done():
            assert await memory.find("ibex")
            searches += 1
        assert (await rebuild).files >= 200
        assert searches > 1
        assert await memory.find("ibex")


@pytest.mark.gen_test(timeout=60)
async def test_a_full_disk_leaves_the_old_index(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        memory.put("memory/log.md", "the first ibex")
        await memory.index.refresh()
        memory.put("memory/much.md", "".join(f"word{number} " for number in range(200_000)))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
        try:
            with pytest.raises(Unavailable):
                await memory.index.reindex()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert await memory.sources("ibex") == ["memory/log.md"]
        assert not (memory.paths.db_dir / "memory.db.rebuild").exists()
        assert (await memory.index.reindex()).files >= 2


@pytest.mark.gen_test(timeout=30)
async def test_a_second_ranking_is_fused(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        memory.put("memory/a.md", "the boiler")
        memory.put("memory/b.md", "the thing that heats water")
        memory.put("memory/c.md", "a secret of bob's", "bob")
        await memory.index.refresh()

        class ByMeaning:
            async def rank(self, text: str, owners: object, limit: int) -> list[tuple[str, str]]:
                keys = await memory.index.keys()
                texts = await memory.index.texts(keys)
                return [key for key in keys if "heats" in texts[key] or "secret" in texts[key]]

        memory.index.ranker = ByMeaning()
        assert set(await memory.sources("boiler")) == {"memory/a.md", "memory/b.md"}


@pytest.mark.gen_test(timeout=30)
async def test_other_notes_of_a_person_are_found_but_not_what_lies_in_their_home(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        memory.put("notes/pets.md", "the quokka smiles")
        memory.put("home/projects/readme.md", "the quokka is code")
        memory.put("instances/one/notes.md", "the quokka runs", None)
        memory.put(".hidden/notes.md", "the quokka hides", None)
        await memory.index.refresh()
        assert await memory.sources("quokka") == ["notes/pets.md"]


@pytest.mark.gen_test(timeout=30)
async def test_a_file_that_vanishes_before_it_is_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        path = memory.put("memory/brief.md", "the quokka smiles")
        memory.index.note_changed(path)
        path.unlink()
        await memory.index.refresh([path, path.with_name("never.md")])
        assert await memory.sources("quokka") == []


class Vanishing:
    """Removes a file at the very moment at which the gateway opens it: after it was found and looked at, before it is read."""

    def __init__(self) -> None:
        self.path: Path | None = None
        self.count = 0
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        # Hooks stay for the life of the process: without a path this one does nothing.
        if self.path is not None and event == "open" and str(arguments[0]) == str(self.path):
            path, self.path = self.path, None
            path.unlink()
            self.count += 1


@pytest.mark.gen_test(timeout=30)
async def test_a_file_that_vanishes_while_it_is_being_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    vanishing = Vanishing()
    async with opened(tmp_path) as memory:
        for is_named in (True, False):
            path = memory.put("memory/brief.md", "the quokka smiles")
            stays = memory.put("memory/stays.md", "the wombat digs")
            vanishing.path = path
            await memory.index.refresh([path, stays] if is_named else None)
            assert await memory.sources("quokka") == []
            assert await memory.sources("wombat") == ["memory/stays.md"]
        # One that could be found already is forgotten, and a rebuild goes through without it.
        path = memory.put("memory/brief.md", "the quokka smiles")
        await memory.index.refresh()
        assert await memory.sources("quokka") == ["memory/brief.md"]
        vanishing.path = path
        await memory.index.reindex()
        assert await memory.sources("quokka") == []
        assert await memory.sources("wombat") == ["memory/stays.md"]
    assert vanishing.count == 3
    assert "cannot be read" not in caplog.text  # it is gone, and nobody has to do anything


@pytest.mark.gen_test(timeout=30)
async def test_a_file_that_is_emptied_and_removed_while_it_is_being_read(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        path = memory.put("memory/long.md", "the quokka smiles\n" * 50_000)
        reading = asyncio.ensure_future(memory.index.refresh([path]))
        await asyncio.to_thread(os.truncate, path, 100)
        await asyncio.to_thread(path.unlink)
        await reading
        await memory.index.refresh([path])
        assert await memory.sources("quokka") == []
