"""No path, however it is written, leads out of the home."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starpod.tools import home as homes
from starpod.tools.home import resolve, resolve_entry
from starpod.tools.types import ToolFailure


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("notes.md", "notes.md"),
        ("~/notes.md", "notes.md"),
        ("~", "."),
        (".", "."),
        ("./documents//plan.md", "documents/plan.md"),
        ("documents/../notes.md", "notes.md"),
        ("not/there/yet.txt", "not/there/yet.txt"),
        ("~root", "~root"),
        ("ünï cödé.txt", "ünï cödé.txt"),
    ],
)
def test_paths_are_relative_to_the_home(home: Path, path: str, expected: str) -> None:
    assert resolve(home, path) == (home.resolve() / expected)


def test_an_absolute_path_inside_the_home_is_accepted(home: Path) -> None:
    assert resolve(home, str(home / "notes.md")) == home.resolve() / "notes.md"


def test_a_home_that_is_reached_through_a_link_works(home: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(home)
    assert resolve(tmp_path / "alias", "a.txt") == home.resolve() / "a.txt"
    assert resolve(home, str(tmp_path / "alias" / "a.txt")) == home.resolve() / "a.txt"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/",
        "..",
        "../secret.txt",
        "~/../secret.txt",
        "documents/../../secret.txt",
        "../home/notes.md",
        "//etc/passwd",
        "",
        "   ",
        "a\0b",
        "/etc/passwd\0.txt",
        "\ud800",
        "x" * 256,
        "ü" * 128,
        "a/" * 3_000,
        ".starpod",
        ".starpod/db/core.db",
        ".STARPOD/db/core.db",
        "documents/.starpod/x",
    ],
)
def test_what_is_outside_private_or_no_path_is_refused(home: Path, path: str) -> None:
    for function in (resolve, resolve_entry):
        with pytest.raises(ToolFailure):
            function(home, path)


def test_a_sibling_with_the_same_prefix_is_outside(home: Path, tmp_path: Path) -> None:
    (tmp_path / "home2").mkdir()
    with pytest.raises(ToolFailure):
        resolve(home, str(tmp_path / "home2" / "a.txt"))


@pytest.mark.parametrize(
    "path", ["link", "link/passwd", "link/not-there", "dir/up/secret.txt", "dir/up/new.txt", "chain", "gone"]
)
def test_links_that_lead_out_are_refused(home: Path, path: str) -> None:
    (home / "link").symlink_to("/etc")
    (home / "dir").mkdir()
    (home / "dir" / "up").symlink_to("../..")
    (home / "chain").symlink_to("link")
    (home / "gone").symlink_to(home.parent / "not-there")
    with pytest.raises(ToolFailure, match="outside the home"):
        resolve(home, path)


def test_links_that_stay_inside_are_followed(home: Path) -> None:
    (home / "documents").mkdir()
    (home / "docs").symlink_to("documents")
    assert resolve(home, "docs/new.txt") == home.resolve() / "documents" / "new.txt"


def test_a_link_into_the_private_folder_is_refused(home: Path) -> None:
    (home / ".starpod").mkdir()
    (home / "innocent").symlink_to(".starpod")
    with pytest.raises(ToolFailure):
        resolve(home, "innocent/core.db")


def test_a_loop_of_links_stays_inside_and_cannot_be_opened(home: Path) -> None:
    (home / "a").symlink_to("b")
    (home / "b").symlink_to("a")
    for path in ("a", "a/x", "a/../../secret.txt"):
        try:
            resolved = resolve(home, path)
        except ToolFailure:
            continue
        assert resolved.is_relative_to(home.resolve())
        with pytest.raises((OSError, ToolFailure)):
            homes.open_file(home, resolved)


def test_a_link_that_is_swapped_in_after_the_decision_is_not_followed(home: Path) -> None:
    (home / "documents").mkdir()
    decided = resolve(home, "documents/secret.txt")
    (home / "documents").rmdir()
    (home / "documents").symlink_to(home.parent)
    with pytest.raises(NotADirectoryError):
        homes.open_file(home, decided)
    with pytest.raises(NotADirectoryError):
        homes.write_file(home, decided, b"overwritten")
    with pytest.raises(NotADirectoryError):
        homes.append_file(home, decided, b"overwritten")
    with pytest.raises(NotADirectoryError):
        homes.delete_entry(home, decided)
    assert (home.parent / "secret.txt").read_text() == "the secret"


_PART = st.one_of(
    st.sampled_from(["..", ".", "", "~", "link", "up", "in", "dir", "file", "loop", "home", "etc", ".starpod", " "]),
    st.text(max_size=5),
)
_PATH = st.one_of(st.builds("/".join, st.lists(_PART, max_size=8)), st.text(max_size=30))


@settings(max_examples=400, deadline=None)
@given(path=_PATH, absolute=st.booleans())
def test_whatever_is_resolved_is_inside(path: str, absolute: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(os.path.realpath(directory)) / "home"
        (home / "dir").mkdir(parents=True)
        (home / "file").write_text("x")
        (home / "link").symlink_to("/etc")
        (home / "dir" / "up").symlink_to("../..")
        (home / "in").symlink_to("dir")
        (home / "loop").symlink_to("loop")
        for function in (resolve, resolve_entry):
            try:
                resolved = function(home, f"{home}/{path}" if absolute else path)
            except ToolFailure:
                continue
            real = Path(os.path.realpath(resolved if function is resolve else resolved.parent))
            assert resolved.is_relative_to(home)
            assert real.is_relative_to(home) or resolved == home
            assert ".starpod" not in resolved.relative_to(home).parts
