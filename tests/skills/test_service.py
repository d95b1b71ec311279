"""Skills on disk: what is offered, that changes are seen at once, and that nothing is half written."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from starpod.config.schema import Config
from starpod.errors import InvalidInput, NotFound
from starpod.skills.folders import resources
from starpod.skills.service import Skills
from starpod.skills.types import BrokenSkill, Skill
from tests.fakes import FakeClock

pytestmark = pytest.mark.gen_test


def make(root: Path, name: str, text: str = "---\ndescription: Does {name}\n---\nDo {name}.\n") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "SKILL.md").write_text(text.replace("{name}", name))
    return folder


def service(root: Path, offered: Sequence[str] = ()) -> Skills:
    config = Config(skills=tuple(offered))
    return Skills(root, lambda: config, FakeClock())


async def test_no_folder_is_no_skills(tmp_path: Path) -> None:
    assert await service(tmp_path / "none").list_all() == []
    assert await service(tmp_path / "none").catalog() == ""


async def test_what_is_made_is_listed_and_kept(tmp_path: Path) -> None:
    skills = service(tmp_path)
    made = await skills.create("brew", "Brews: tea", "Boil it.", ["kettle"])
    (found,) = await service(tmp_path).list_all()
    assert isinstance(found, Skill) and found == made
    assert found.document.connectors == ("kettle",)
    assert found.created_at == FakeClock().now()
    await skills.update("brew", "Brews coffee", "Grind it.")
    changed = await skills.get_offered("brew")
    assert (changed.description, changed.body, changed.document.connectors) == (
        "Brews coffee",
        "Grind it.",
        ("kettle",),
    )
    assert changed.created_at == made.created_at
    await skills.delete("brew")
    assert await skills.list_all() == [] and os.listdir(tmp_path) == []


async def test_a_change_by_hand_is_seen_at_once(tmp_path: Path) -> None:
    skills = service(tmp_path)
    folder = make(tmp_path, "tea")
    assert [skill.name for skill in await skills.list_offered()] == ["tea"]
    (folder / "SKILL.md").write_text("---\ndescription: Other\n---\nOther.\n")
    assert (await skills.get_offered("tea")).description == "Other"
    make(tmp_path, "coffee")
    assert [skill.name for skill in await skills.list_offered()] == ["coffee", "tea"]
    (folder / "SKILL.md").unlink()
    assert [skill.name for skill in await skills.list_offered()] == ["coffee"]


async def test_a_broken_skill_is_listed_and_never_offered(tmp_path: Path) -> None:
    make(tmp_path, "good")
    make(tmp_path, "Bad Name")
    make(tmp_path, "other", "---\nname: elsewhere\ndescription: x\n---\nx")
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary").mkdir()
    (tmp_path / "binary" / "SKILL.md").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "huge").mkdir()
    (tmp_path / "huge" / "SKILL.md").write_bytes(b"x" * 1_000_000)
    os.mkfifo(make(tmp_path, "pipe").joinpath("SKILL.md.pipe"))
    (tmp_path / "pipe" / "SKILL.md").unlink()
    os.mkfifo(tmp_path / "pipe" / "SKILL.md")
    skills = service(tmp_path)
    broken = {skill.name: skill.error for skill in await skills.list_all() if isinstance(skill, BrokenSkill)}
    assert set(broken) == {"Bad Name", "other", "empty", "binary", "huge", "pipe"}
    assert "no SKILL.md" in broken["empty"] and "UTF-8" in broken["binary"] and "larger" in broken["huge"]
    assert "regular file" in broken["pipe"]
    assert [skill.name for skill in await skills.list_offered()] == ["good"]
    with pytest.raises(NotFound, match="The skills are: good"):
        await skills.activate("other")
    assert await skills.command("/other do it") is None


async def test_a_broken_skill_can_be_mended_and_deleted(tmp_path: Path) -> None:
    make(tmp_path, "other", "---\nname: [\n---\nx")
    make(tmp_path, "Bad Name")
    skills = service(tmp_path)
    await skills.update("other", "Now good", "Do.")
    assert (await skills.get_offered("other")).description == "Now good"
    await skills.delete("Bad Name")
    assert [skill.name for skill in await skills.list_all()] == ["other"]


async def test_only_one_of_two_makers_wins(tmp_path: Path) -> None:
    skills = service(tmp_path)
    made = await asyncio.gather(
        *(skills.create("brew", f"Brews {n}", "Boil.") for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(each, Skill) for each in made) == 1
    assert sum(isinstance(each, InvalidInput) and "already exists" in str(each) for each in made) == 4
    assert os.listdir(tmp_path) == ["brew"]


async def test_what_is_missing_cannot_be_changed(tmp_path: Path) -> None:
    skills = service(tmp_path)
    for change in (skills.update("nothing", "x", "y"), skills.delete("nothing"), skills.delete("../skills")):
        with pytest.raises(InvalidInput, match="not found"):
            await change


async def test_other_keys_of_a_skill_outlive_a_change(tmp_path: Path) -> None:
    make(tmp_path, "tea", "---\nlicense: MIT\ndescription: x\nversion: 1.10\nmetadata: {author: Ann}\n---\nx")
    skills = service(tmp_path)
    changed = await skills.update("tea", "Tea", "Boil.")
    assert changed.document.front_matter == {
        "name": "tea",
        "description": "Tea",
        "license": "MIT",
        "version": "1.10",
        "metadata": {"author": "Ann"},
    }


async def test_the_setting_chooses_what_is_offered(tmp_path: Path) -> None:
    make(tmp_path, "tea")
    make(tmp_path, "coffee")
    skills = service(tmp_path, ["tea", "unknown"])
    assert [skill.name for skill in await skills.list_offered()] == ["tea"]
    assert len(await skills.list_all()) == 2
    assert "coffee" not in await skills.catalog()


async def test_the_catalog_is_escaped_and_leaves_out_what_is_hidden(tmp_path: Path) -> None:
    make(tmp_path, "tea", '---\ndescription: "</description> <b>&\\n more"\n---\nThe body.')
    make(tmp_path, "coffee")
    skills = service(tmp_path)
    catalog = await skills.catalog()
    assert "<name>tea</name>\n<description>&lt;/description&gt; &lt;b&gt;&amp; more</description>" in catalog
    assert "The body" not in catalog
    assert "<name>tea</name>" not in await skills.catalog(hidden="tea")


async def test_activation_lists_the_files_and_no_links(tmp_path: Path) -> None:
    folder = make(tmp_path, "tea")
    for name in ("scripts/a.py", "references/deep/b.md", "assets/c.png", "other/d.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    (folder / "assets" / "link").symlink_to("/etc/hostname")
    assert resources(folder) == ["scripts/a.py", "references/deep/b.md", "assets/c.png"]
    content = await service(tmp_path).activate("tea")
    assert content.startswith('<skill_content name="tea">\nDo tea.\n</skill_content>')
    assert "<file>references/deep/b.md</file>" in content and "other" not in content


async def test_a_command_carries_the_skill_and_what_was_added(tmp_path: Path) -> None:
    make(tmp_path, "tea")
    skills = service(tmp_path)
    command = await skills.command("/tea  green,\nplease ")
    assert command is not None and command.name == "tea"
    assert "Execute it now" in command.text and "Do tea." in command.text and command.text.endswith("green,\nplease")
    assert await skills.command("/tea") is not None
    for text in ("/coffee", "/", "//tea", "/tea/x", "tea", "/TEA", "see /tea", "/etc/passwd is a file"):
        assert await skills.command(text) is None
