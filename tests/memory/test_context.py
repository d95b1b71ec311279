"""What of memory goes into a prompt, and what is kept of a conversation."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from starpod.memory.context import bootstrap
from starpod.memory.places import identify, locate
from starpod.memory.transcripts import export, export_name, for_review
from starpod.paths import Paths, resolve_paths
from starpod.sessions.types import Message, Session


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = resolve_paths(tmp_path)
    (paths.users_dir / "ann" / "memory").mkdir(parents=True)
    paths.config_dir.mkdir()
    (paths.config_dir / "SOUL.md").write_text("soul")
    return paths


def test_the_blocks_stand_in_order_and_are_cut_between_characters(paths: Paths) -> None:
    own = paths.users_dir / "ann"
    (own / "USER.md").write_text("é" * 10)
    (own / "MEMORY.md").write_text("memory")
    for day in range(1, 6):
        (own / "memory" / f"2026-03-0{day}.md").write_text(f"day {day}")
    (own / "memory" / "projects.md").write_text("projects")
    text = bootstrap(paths, "ann", 7)
    assert text == (
        "--- SOUL.md ---\nsoul\n\n--- USER.md ---\nééé\n\n--- MEMORY.md ---\nmemory\n\n"
        "--- daily/2026-03-05.md ---\nday 5\n\n--- daily/2026-03-04.md ---\nday 4\n\n--- daily/2026-03-03.md ---\nday 3"
    )
    assert bootstrap(paths, "bob", 100) == bootstrap(paths, "cron", 100) == "--- SOUL.md ---\nsoul"


def test_a_pipe_or_bytes_that_are_no_text_do_no_harm(paths: Paths) -> None:
    own = paths.users_dir / "ann"
    os.mkfifo(own / "USER.md")
    (own / "MEMORY.md").write_bytes(b"a\xff\xfeb")
    assert bootstrap(paths, "ann", 100).endswith("--- MEMORY.md ---\nab")


def test_files_are_routed_by_name(paths: Paths) -> None:
    assert locate(paths, "memory.md", "ann").path == paths.users_dir / "ann" / "MEMORY.md"
    assert locate(paths, "memory/a/b.md", "ann").owner == "ann"
    assert locate(paths, "heartbeat.md", "ann").path == paths.config_dir / "HEARTBEAT.md"
    assert locate(paths, "notes.md", "ann").path == paths.agent_home / "notes.md"
    assert locate(paths, "MEMORY.md", "cron").path == paths.agent_home / "MEMORY.md"
    assert locate(paths, "MEMORY.md", "admin").owner == "admin"


def test_a_review_sees_the_newest_30000_bytes() -> None:
    text = for_review([("user", f"{number} " + "é" * 900) for number in range(100)])
    assert len(text.encode()) <= 30_000
    assert text.startswith("[user] 71 ")
    assert "[user] 99 " in text


def test_the_record_of_a_long_session_fits_into_a_memory_file() -> None:
    title = "日本" * 40
    session = Session(
        "12345678-abc", "2026-03-20", "", True, None, title, 9, "main", None, "ann", True, False, None, False
    )
    messages = [Message(n, session.id, "user", f"{n} " + "語" * 9_000, "", None) for n in range(100)]
    text = export(session, messages)
    assert len(text.encode()) < 1_048_576
    assert "beginning is left out" in text
    assert "99 語" in text
    assert len(export_name(session).encode()) < 200


def test_a_path_is_known_by_the_name_that_leads_to_it(paths: Paths) -> None:
    own = paths.users_dir / "ann"
    assert identify(paths, own / "memory" / "a.md") == ("ann", "memory/a.md")
    assert identify(paths, paths.config_dir / "SOUL.md") == ("admin", "SOUL.md")
    assert identify(paths, paths.agent_home / "notes.md") == ("cron", "notes.md")
    for path in (own / "home" / "x.md", paths.db_dir / "x.md", paths.config_dir / "x.md", paths.instance_root / "x.md"):
        found = identify(paths, path)
        assert found is None or locate(paths, found[1], found[0]).path == path
