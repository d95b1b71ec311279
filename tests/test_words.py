"""The words of the browser UI: every language has them all, with the same gaps to fill, and what is used is there."""

from __future__ import annotations

import json
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from starpod.auth.types import EventType
from starpod.paths import shipped
from tests.gateway import Gateway

SOURCE = Path(__file__).resolve().parents[1] / "static" / "src"
WORDS = SOURCE / "i18n"
LANGUAGES = sorted(folder.name for folder in WORDS.iterdir() if folder.is_dir() and folder.name != "en")
# What is on the screen before any page was fetched.
SHELL_PARTS = ("app", "chat", "markdown", "overlay", "socket", "ui", "pages/Login.tsx")


@cache
def shell(language: str) -> dict[str, str]:
    if language != "en":
        found: dict[str, str] = json.loads((WORDS / language / "shell.json").read_text(encoding="utf-8"))
        return found
    text = (WORDS / language / "shell.ts").read_text(encoding="utf-8")
    return {key: json.loads(value) for key, value in re.findall(r'^ {2}"([^"]+)": ("(?:[^"\\]|\\.)*"),$', text, re.M)}


@cache
def pages(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((WORDS / language / "pages.json").read_text(encoding="utf-8"))
    return found


def used_in(*folders: str) -> set[str]:
    """Keys that are written out in a call of `t`, or given by name in a table."""
    places = [SOURCE / folder for folder in folders]
    sources = [path for place in places for path in (place.rglob("*.ts*") if place.is_dir() else [place])]
    return {key for path in sources for key in re.findall(r'\bt\(\s*"([\w.]+)"', path.read_text(encoding="utf-8"))}


def gaps(text: str) -> list[str]:
    return sorted(set(re.findall(r"\{(\w+)\}", text)))


def test_there_is_more_than_one_language() -> None:
    assert LANGUAGES
    assert len(shell("en")) > 100 and len(pages("en")) > 100


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("catalogue", [shell, pages])
def test_every_language_has_the_same_keys_and_gaps(language: str, catalogue: object) -> None:
    assert callable(catalogue)
    english, other = catalogue("en"), catalogue(language)
    assert sorted(english) == sorted(other)
    assert [key for key in english if gaps(english[key]) != gaps(other[key])] == []
    assert [key for key, text in other.items() if not text.strip()] == []


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_no_key_is_in_both_catalogues(language: str) -> None:
    assert shell(language).keys() & pages(language).keys() == set()


def test_the_first_screen_finds_its_words_before_any_page_is_fetched() -> None:
    assert used_in(*SHELL_PARTS) - shell("en").keys() == set()


def test_what_is_used_is_there() -> None:
    assert used_in(*SHELL_PARTS, "pages") - shell("en").keys() - pages("en").keys() == set()


def test_every_event_of_the_audit_log_has_a_name() -> None:
    named = {key.removeprefix("audit.") for key in pages("en") if key.startswith("audit.")}
    page = (SOURCE / "pages" / "settings" / "System.tsx").read_text(encoding="utf-8")
    assert named == set(get_args(EventType)) == set(re.findall(r'"audit\.(\w+)"', page))


@pytest.mark.gen_test
async def test_every_setting_has_a_label_in_every_language(tmp_path: Path) -> None:
    """English is the schema's own. A catalogue names a setting by its place in agent.toml, a secret by its name."""
    async with Gateway(tmp_path) as gateway:
        schema = (await gateway.http.get("/api/settings/schema")).json()
    wanted = {each["key"] for fields in schema["x-sections"].values() for each in fields}
    secrets = {secret["name"] for secret in schema["x-secrets"].values()}
    for language in LANGUAGES:
        words = json.loads((WORDS / language / "settings.json").read_text(encoding="utf-8"))
        assert words.keys() == wanted | secrets
        assert [key for key in wanted if len(words[key]) < 2 or not all(map(str.strip, words[key][:2]))] == []
        assert len(words) > 50


def test_the_suggestions_that_ship_are_in_every_language() -> None:
    prompts = tomllib.loads((shipped("conf") / "frontend.toml").read_text(encoding="utf-8"))["prompts"]
    own = {text: key for key, text in shell("en").items() if key.startswith("prompt.")}
    assert own.keys() == set(prompts)
    for language in LANGUAGES:
        assert {shell(language)[key] for key in own.values()}.isdisjoint(prompts)
