"""SKILL.md: what is read, what is refused, and that whatever is written is read back as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starpod.errors import InvalidInput
from starpod.skills.document import check_body, check_description, check_name, dump, parse
from starpod.skills.types import SkillDocument

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"


def test_front_matter_is_read_as_it_stands() -> None:
    text = """\
---
name: brew
description: "Brew: strong, hot"
version: 1.10
license: MIT
connectors: [mail, calendar]
metadata:
  author: Ann
unknown: yes
---

# Brew

Boil it.
"""
    skill = parse(text, "brew")
    assert (skill.name, skill.description, skill.version) == ("brew", "Brew: strong, hot", "1.10")
    assert skill.body == "# Brew\n\nBoil it."
    assert skill.connectors == ("mail", "calendar")
    assert (skill.front_matter["metadata"], skill.front_matter["unknown"]) == ({"author": "Ann"}, "yes")


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter() -> None:
    skill = parse("\ufeff---\r\nname: brew\r\ndescription: Brews\r\n---\r\nBoil it.\r\n", "brew")
    assert (skill.description, skill.body) == ("Brews", "Boil it.")


def test_without_front_matter_the_folder_and_the_first_line_speak() -> None:
    skill = parse(f"\n# {'long ' * 40}\n\nDo it.\n", "brew")
    assert skill.name == "brew" and skill.description == ("long " * 40)[:120].strip()


def test_a_name_may_be_left_to_the_folder() -> None:
    assert parse("---\ndescription: Brews\n---\nBoil.", "brew").name == "brew"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "body is empty"),
        ("---\nname: brew\n", "not closed"),
        ("---\nname: brew\n---\nBoil.", "needs a description"),
        ("---\nname: brew\ndescription: x\n---\n\n", "body is empty"),
        ("---\nname: tea\ndescription: x\n---\nBoil.", "folder is 'brew'"),
        ("---\nname: Brew It\ndescription: x\n---\nBoil.", "lower-case letters"),
        ("---\nname: [a]\ndescription: x\n---\nBoil.", "must be text"),
        ("---\nname: 'brew\ndescription: x\n---\nBoil.", "is not YAML"),
        ("---\n\tname: brew\n---\nBoil.", "is not YAML in its line 1"),
        ("---\n- brew\n---\nBoil.", "key: value"),
        ("---\n" + "[" * 8_000 + "\n---\nBoil.", "not YAML"),
        (f"---\ndescription: x\n{BOMB}---\nBoil.", "nested too deeply"),
        ("---\ndescription: x\na: " + "x" * 20_000 + "\n---\nBoil.", "bytes at most"),
        ("---\ndescription: x\n---\nBo\x00il.", "control characters"),
        ("---\ndescription: !!python/object/apply:os.getcwd []\n---\nBoil.", "must be text"),
    ],
)
def test_what_cannot_be_used_is_told(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        parse(text, "brew")


@pytest.mark.parametrize("name", ["a", "weekly-report", "a" * 64, "7-days"])
def test_names_that_may_be(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "a--b", "A", "a_b", "a/b", "..", "a\n", "a" * 65, "\u00e9t\u00e9", "generate", "a b"]
)
def test_names_that_may_not_be(name: str) -> None:
    with pytest.raises(InvalidInput, match="name must be"):
        check_name(name)


@pytest.mark.parametrize("text", ["", "  \n", "x" * 1025, "a\x07b", "\ud800"])
def test_descriptions_that_may_not_be(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_description(text)


@pytest.mark.parametrize("text", ["", "\n", "\u00e9" * 200_000, "\x1b[2J", "\udfff"])
def test_bodies_that_may_not_be(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_body(text)


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("\n\t"), max_size=200)


@given(TEXT, TEXT)
def test_every_text_survives_being_written(description: str, body: str) -> None:
    try:
        made = SkillDocument("brew", check_description(description), check_body(body), {"version": "1.0"})
    except InvalidInput:
        return
    read = parse(dump(made), "brew")
    assert (read.description, read.body, read.version) == (made.description, made.body, "1.0")


def test_a_description_cannot_add_keys_of_its_own() -> None:
    text = dump(SkillDocument("brew", "x\n---\nname: other\nconnectors: [all]", "Boil.", {}))
    read = parse(text, "brew")
    assert read.name == "brew" and read.connectors == () and read.body == "Boil."
