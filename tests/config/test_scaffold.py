"""The first start makes a whole agent; later ones overwrite nothing."""

from __future__ import annotations

import logging.config
import shutil
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from starpod.config.files import create_atomically, write_atomically
from starpod.config.loader import load_config, load_frontend
from starpod.config.problems import ConfigError
from starpod.config.scaffold import HOME_FOLDERS, create_agent, seed_user
from starpod.errors import InvalidInput
from starpod.paths import find_root, resolve_paths, shipped
from starpod.server import prepare


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 3, 20, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


def test_a_new_agent_is_complete_and_loads_without_warnings(tmp_path: Path) -> None:
    paths = create_agent(tmp_path, {}, FixedClock())
    loaded = load_config(paths, {})
    assert loaded.warnings == ()
    assert loaded.config.models == ("offline/assistant",)
    assert load_frontend(paths).warning is None
    assert "Nova" in (paths.config_dir / "SOUL.md").read_text()
    assert [(paths.config_dir / name).read_bytes() for name in ("HEARTBEAT.md", "BOOT.md", "BOOTSTRAP.md")] == [b""] * 3
    assert all((paths.home_dir / name).is_dir() for name in HOME_FOLDERS)
    assert paths.skills_dir.is_dir()
    assert stat.S_IMODE(paths.db_dir.stat().st_mode) == stat.S_IMODE(paths.users_dir.stat().st_mode) == 0o700
    assert find_root(tmp_path) == tmp_path
    assert list(tmp_path.rglob("*.tmp")) == []


@pytest.mark.parametrize(
    ("environ", "model"),
    [
        ({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"}, "anthropic/claude-haiku-4-5"),
        ({"GROQ_API_KEY": "k", "OPENAI_API_KEY": "k"}, "openai/gpt-4o"),
        ({"GEMINI_API_KEY": "k"}, "gemini/gemini-2.5-pro"),
        ({"GROQ_API_KEY": "k"}, "groq/llama-3.3-70b-versatile"),
        ({"DEEPSEEK_API_KEY": "k"}, "deepseek/deepseek-chat"),
        ({"OPENROUTER_API_KEY": "k"}, "openrouter/anthropic/claude-haiku-4-5"),
        ({"OPENAI_API_KEY": " "}, "offline/assistant"),
    ],
)
def test_the_model_follows_from_the_keys_at_hand(tmp_path: Path, environ: dict[str, str], model: str) -> None:
    assert load_config(create_agent(tmp_path, environ, FixedClock()), {}).config.models == (model,)


def test_only_the_models_line_differs_from_the_template(tmp_path: Path) -> None:
    written = create_agent(tmp_path, {}, FixedClock()).agent_toml.read_text().splitlines()
    template = (shipped("conf") / "agent.toml").read_text().splitlines()
    assert written[0] == "# Made on 2026-03-20."
    differing = [new for new, old in zip(written[1:], template, strict=True) if new != old]
    assert differing == ['models = ["offline/assistant"]']


def test_a_second_start_changes_no_file(tmp_path: Path) -> None:
    paths = create_agent(tmp_path, {}, FixedClock())
    paths.agent_toml.write_text("max_turns = 3\n")
    (paths.config_dir / "SOUL.md").write_text("mine")
    (paths.config_dir / "BOOT.md").unlink()
    create_agent(tmp_path, {"OPENAI_API_KEY": "k"}, FixedClock())
    assert paths.agent_toml.read_text() == "max_turns = 3\n"
    assert (paths.config_dir / "SOUL.md").read_text() == "mine"
    assert (paths.config_dir / "BOOT.md").exists()


def test_an_agent_that_was_made_by_hand_gets_what_it_lacks_and_keeps_what_it_has(tmp_path: Path) -> None:
    paths = resolve_paths(tmp_path)
    paths.config_dir.mkdir(parents=True)
    paths.agent_toml.write_text('agent_name = "Bee"\n')
    (paths.config_dir / "SOUL.md").write_text("mine")
    prepare(tmp_path, {})
    assert paths.agent_toml.read_text() == 'agent_name = "Bee"\n'
    assert (paths.config_dir / "SOUL.md").read_text() == "mine"
    assert [(paths.config_dir / name).read_bytes() for name in ("HEARTBEAT.md", "BOOT.md", "BOOTSTRAP.md")] == [b""] * 3
    assert all((paths.home_dir / name).is_dir() for name in HOME_FOLDERS)
    assert not (paths.config_dir / "frontend.toml").exists()  # without it there is no greeting


def test_an_agent_whose_missing_files_cannot_be_made_runs_without_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = create_agent(tmp_path, {}, FixedClock())
    shutil.rmtree(paths.home_dir)
    paths.home_dir.write_text("a file")
    assert prepare(tmp_path, {})[0] == paths
    assert "cannot be made" in caplog.text


def test_a_file_where_the_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / ".starpod").write_text("x")
    with pytest.raises(ConfigError, match=r"\.starpod.*cannot make the agent's files here"):
        create_agent(tmp_path, {}, FixedClock())


def test_a_user_gets_the_first_notes_once(tmp_path: Path) -> None:
    paths = create_agent(tmp_path, {}, FixedClock())
    folder = seed_user(paths, "admin")
    assert folder == paths.users_dir / "admin"
    assert "## Preferences" in (folder / "USER.md").read_text()
    (folder / "MEMORY.md").write_text("mine")
    seed_user(paths, "admin")
    assert (folder / "MEMORY.md").read_text() == "mine"


@pytest.mark.parametrize("user_id", ["", "..", "../x", "a/b", ".hidden", "a\0b", "a\n", "x" * 200])
def test_a_user_id_that_is_no_plain_name_makes_no_folder(tmp_path: Path, user_id: str) -> None:
    paths = create_agent(tmp_path, {}, FixedClock())
    with pytest.raises(InvalidInput):
        seed_user(paths, user_id)
    assert list(paths.users_dir.iterdir()) == []


def test_the_shipped_logging_settings_are_valid() -> None:
    settings = yaml.safe_load((shipped("conf") / "logging.yaml").read_text())
    logging.config.DictConfigurator(settings)  # checks the shape; configure() would change the test run's own logging
    assert settings["root"]["level"] == "INFO"


def test_replacing_a_file_keeps_its_link_and_sets_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_atomically(link, b"new", 0o600)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_failed_replacement_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(folder, b"new")
    assert list(tmp_path.iterdir()) == [folder]


def test_creating_never_replaces(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert create_atomically(path, b"first")
    assert not create_atomically(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]
