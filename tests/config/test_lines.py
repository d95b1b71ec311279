"""The line of each key, in every way that TOML can write one."""

from __future__ import annotations

import tomllib

import pytest

from starpod.config.lines import find_line

TEXT = '''# a comment with = and [brackets]
top = 1
text = """
fake = 2
[fake]
\\""" still inside"""""
raw = \'\'\'
raw_fake = "x
\'\'\'
list = [ # comment ]
  "a]",
  ["b", "c"],
  { deep = 1, deeper.key = 2 },
]

[auth] # note
cookie_days = 3
"quoted.key" = 4
'single' = 5

[ providers . "my llm" ]
options = { temperature = 1, nested = { a = "}" } }
providers_last.x = 1979-05-27T07:32:00Z

[[jobs]]
name = "one"
[[jobs]]
name = "two"
[jobs.inner]
value = 9
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("text",), 3),
        (("fake",), None),
        (("raw",), 7),
        (("raw_fake",), None),
        (("list",), 10),
        (("list", 0), 11),
        (("list", 1, 1), 12),
        (("list", 2, "deeper", "key"), 13),
        (("auth",), 16),
        (("auth", "cookie_days"), 17),
        (("auth", "quoted.key"), 18),
        (("auth", "single"), 19),
        (("auth", "not there"), 16),
        (("providers", "my llm"), 21),
        (("providers", "my llm", "options", "nested", "a"), 22),
        (("providers", "my llm", "providers_last", "x"), 23),
        (("jobs", 0, "name"), 26),
        (("jobs", 1, "name"), 28),
        (("jobs", 1, "inner", "value"), 30),
        (("nothing",), None),
    ],
)
def test_the_line_of_a_key(path: tuple[str | int, ...], line: int | None) -> None:
    tomllib.loads(TEXT)
    assert find_line(TEXT, path) == line


def test_windows_line_ends_count_once() -> None:
    assert find_line("a = 1\r\n\r\nb = 2\r\n", ("b",)) == 3


def test_an_empty_text_has_no_keys() -> None:
    assert find_line("", ("a",)) is None
