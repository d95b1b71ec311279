"""Glob and Grep."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from starpod.tools import search, walk
from tests.tools.support import Desk


@pytest.fixture
def tree(desk: Desk) -> Desk:
    files = {
        "notes.md": "milk\nBread\nmilk again\n",
        "src/main.py": "import os\n\n\ndef main():\n    return 1\n",
        "src/deep/util.py": "x = 1\n",
        "src/deep/data.json": "{}\n",
        ".starpod/secret.py": "x = 'hidden'\n",
    }
    for age, (name, content) in enumerate(files.items()):
        path = desk.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    (desk.home / "outside").symlink_to(desk.home.parent)
    (desk.home / "leak.txt").symlink_to(desk.home.parent / "secret.txt")
    (desk.home / "blob.bin").write_bytes(b"milk\0milk")
    os.utime(desk.home / "blob.bin", (1, 1))
    return desk


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.py", ["src/main.py", "src/deep/util.py"]),
        ("src/*.py", ["src/main.py"]),
        ("**/*.py", ["src/main.py", "src/deep/util.py"]),
        ("src/**", ["src/main.py", "src/deep/util.py", "src/deep/data.json"]),
        ("**/deep/util.py", ["src/deep/util.py"]),
        ("*.{md,json}", ["notes.md", "src/deep/data.json"]),
        ("[mn]*.??", ["notes.md", "src/main.py"]),
        ("[!n]*.py", ["src/main.py", "src/deep/util.py"]),
        ("**", ["notes.md", "src/main.py", "src/deep/util.py", "src/deep/data.json", "blob.bin"]),
        ("*.none", ["No files found."]),
        ("secret*", ["No files found."]),
        ("notes.md[", ["No files found."]),
        ("(a|", ["No files found."]),
    ],
)
def test_glob_finds_files_inside_the_home_latest_first(tree: Desk, pattern: str, expected: list[str]) -> None:
    assert tree.text("Glob", pattern=pattern).split("\n") == expected


def test_glob_is_relative_to_its_path(tree: Desk) -> None:
    assert tree.text("Glob", pattern="deep/*.py", path="src") == "src/deep/util.py"
    assert "not a directory" in tree.failure("Glob", pattern="*", path="notes.md")


@pytest.mark.parametrize("pattern", ["../*", "/etc/*", "src/../../*", "", "x" * 2_000])
def test_glob_refuses_patterns_that_climb_out(tree: Desk, pattern: str) -> None:
    assert "glob pattern" in tree.failure("Glob", pattern=pattern)


@pytest.mark.parametrize("tool", ["Glob", "Grep"])
@pytest.mark.parametrize("path", ["..", "/etc", "outside", ".starpod"])
def test_searching_outside_is_refused(tree: Desk, tool: str, path: str) -> None:
    tree.failure(tool, pattern="x", path=path)


def test_glob_caps_its_result(desk: Desk) -> None:
    for number in range(search.MAX_FOUND + 5):
        (desk.home / f"{number}.txt").touch()
    lines = desk.text("Glob", pattern="*.txt").split("\n")
    assert len(lines) == search.MAX_FOUND + 1
    assert lines[-1] == f"[only the latest {search.MAX_FOUND} of {search.MAX_FOUND + 5} files]"


def test_grep_modes(tree: Desk) -> None:
    assert tree.text("Grep", pattern="milk") == "notes.md"
    assert tree.text("Grep", pattern="milk", output_mode="count") == "notes.md:2"
    assert tree.text("Grep", pattern="milk", output_mode="content") == "notes.md:1:milk\nnotes.md:3:milk again"
    content = {"pattern": "bread", "output_mode": "content", "-i": True, "-n": False}
    assert tree.batch([("Grep", content)])[0].content == "notes.md:Bread"
    assert tree.text("Grep", pattern="bread") == "No matches found."
    assert tree.text("Grep", pattern="secret|hidden") == "No matches found."


def test_grep_shows_lines_around_once(tree: Desk) -> None:
    def around(**options: int) -> list[str]:
        arguments = {
            "pattern": "milk|def",
            "output_mode": "content",
            **{f"-{name}": value for name, value in options.items()},
        }
        return str(tree.batch([("Grep", arguments)])[0].content).split("\n")

    assert around(C=1) == [
        "notes.md:1:milk",
        "notes.md-2-Bread",
        "notes.md:3:milk again",
        "src/main.py-3-",
        "src/main.py:4:def main():",
        "src/main.py-5-    return 1",
    ]
    assert around(A=1)[-2:] == ["src/main.py:4:def main():", "src/main.py-5-    return 1"]
    assert around(B=1)[-2:] == ["src/main.py-3-", "src/main.py:4:def main():"]


def test_grep_separates_groups(desk: Desk) -> None:
    (desk.home / "a").write_text("hit\n1\n2\n3\n4\nhit\n")
    text = desk.batch([("Grep", {"pattern": "hit", "output_mode": "content", "-C": 1})])[0].content
    assert text == "a:1:hit\na-2-1\n--\na-5-4\na:6:hit"


def test_grep_filters_by_glob_type_and_file(tree: Desk) -> None:
    assert tree.text("Grep", pattern=".", type="py").split("\n") == ["src/main.py", "src/deep/util.py"]
    assert tree.text("Grep", pattern=".", glob="deep/*.py", path="src") == "src/deep/util.py"
    assert tree.text("Grep", pattern="x", path="src/deep/util.py") == "src/deep/util.py"
    assert "not known" in tree.failure("Grep", pattern="x", type="cobol")
    assert tree.text("Grep", pattern="milk", output_mode="content", head_limit=1).split("\n") == [
        "notes.md:1:milk",
        "[there are more results; narrow the search]",
    ]


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "a{2", "(?P<n>a)(?P<n", "(" * 900, "", "x" * 2_000])
def test_a_bad_pattern_never_ends_the_run(tree: Desk, pattern: str) -> None:
    result = tree.call("Grep", pattern=pattern)
    assert result.outcome == "success" or "pattern" in str(result.content)


def test_a_catastrophic_pattern_is_given_up_when_its_time_is_up(desk: Desk) -> None:
    (desk.home / "evil.txt").write_text("a" * 50 + "b\n")
    budget = walk.Budget(deadline=time.monotonic() + 0.1)
    assert "took too long" in search.grep(desk.context, search.GrepArguments(pattern="(a|a)*$"), budget)
    assert search.grep(desk.context, search.GrepArguments(pattern="a+b$")) == "evil.txt"


def test_grep_cuts_long_lines_and_long_results(desk: Desk) -> None:
    (desk.home / "a.txt").write_text("x" * 5_000 + "\n")
    assert desk.text("Grep", pattern="x", output_mode="content").endswith("[line cut]")
    (desk.home / "b.txt").write_text("some words here\n" * 20_000)
    result = desk.text("Grep", pattern="words", output_mode="content")
    assert len(result.encode()) < 50_000
    assert result.endswith("[there are more results; narrow the search]")


def test_grep_reads_invalid_utf8_and_windows_lines(home: Path, desk: Desk) -> None:
    (home / "a.txt").write_bytes(b"caf\xe9 one\r\nnext\r\n")
    assert desk.text("Grep", pattern="one$", output_mode="content") == "a.txt:1:caf� one"
    assert desk.text("Grep", pattern="^$") == "No matches found."


def test_grep_tells_of_files_that_are_too_big(home: Path, desk: Desk) -> None:
    with (home / "big.txt").open("w") as file:
        file.write("needle\n")
        file.truncate(search.MAX_FILE_BYTES + 1)
    (home / "small.txt").write_text("needle\n")
    assert desk.text("Grep", pattern="needle") == "small.txt\n[1 file(s) over 20 MB left out]"
