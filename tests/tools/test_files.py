"""The file tools as a model uses them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from pydantic_ai import BinaryContent

from starpod.tools import files
from starpod.tools import home as homes
from starpod.tools.types import ToolFailure
from tests.tools.support import Desk

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 30


def test_read_numbers_lines_from_one(desk: Desk) -> None:
    (desk.home / "a.txt").write_text("one\ntwo\nthree\n")
    assert desk.text("Read", file_path="a.txt") == "     1\tone\n     2\ttwo\n     3\tthree"
    assert desk.text("Read", file_path="a.txt", offset=2, limit=1).startswith(
        "     2\ttwo\n[more lines follow; Read with offset=3"
    )
    assert desk.text("Read", file_path="a.txt", offset=9) == "[the file has only 3 lines]"
    assert "offset" in desk.failure("Read", file_path="a.txt", offset=0)


def test_read_tells_of_an_empty_file(desk: Desk) -> None:
    (desk.home / "a.txt").touch()
    assert desk.text("Read", file_path="a.txt") == "[the file is empty]"


def test_read_shows_images_to_the_model(desk: Desk) -> None:
    (desk.home / "a.dat").write_bytes(PNG)
    result = desk.call("Read", file_path="a.dat")
    assert result.outcome == "success"
    assert isinstance(result.content, list)
    (image,) = [item for item in result.content if isinstance(item, BinaryContent)]
    assert image.media_type == "image/png"
    assert image.data == PNG


def test_read_refuses_a_huge_image(desk: Desk) -> None:
    with (desk.home / "a.png").open("wb") as file:
        file.write(PNG)
        file.truncate(21 * 1_048_576)
    assert "at most 20 MB" in desk.failure("Read", file_path="a.png")


def test_read_refuses_binary_files_directories_and_pipes(desk: Desk) -> None:
    (desk.home / "a.bin").write_bytes(b"ab\0cd")
    (desk.home / "folder").mkdir()
    os.mkfifo(desk.home / "pipe")
    assert "not a text file" in desk.failure("Read", file_path="a.bin")
    assert "is a directory" in desk.failure("Read", file_path="folder")
    assert "is a directory" in desk.failure("Read", file_path=".")
    assert "not a regular file" in desk.failure("Read", file_path="pipe")
    assert "does not exist" in desk.failure("Read", file_path="nothing")
    assert "a part of the path is a file" in desk.failure("Read", file_path="a.bin/x")


def test_read_survives_invalid_utf8(desk: Desk) -> None:
    (desk.home / "a.txt").write_bytes(b"caf\xe9\nok\n")
    assert desk.text("Read", file_path="a.txt") == "     1\tcaf�\n     2\tok"
    assert desk.text("FileRead", path="a.txt") == "caf�\nok\n"


def test_a_huge_file_is_cut_and_can_be_continued(desk: Desk) -> None:
    with (desk.home / "big.txt").open("w") as file:
        file.writelines(f"line {number} {'x' * 50}\n" for number in range(1, 50_001))
    first = desk.text("Read", file_path="big.txt")
    assert len(first.encode()) < 50_000
    following = int(first.rsplit("offset=", 1)[1].split()[0])
    assert desk.text("Read", file_path="big.txt", offset=following, limit=1).startswith(
        f"{following:>6}\tline {following} "
    )
    raw = desk.text("FileRead", path="big.txt")
    assert len(raw.encode()) < 50_000
    assert "only the first" in raw


def test_one_endless_line_is_cut(desk: Desk) -> None:
    (desk.home / "line.txt").write_text("ü" * 3_000_000 + "\nafter\n")
    text = desk.text("Read", file_path="line.txt")
    assert "[line cut: it has 6000001 bytes]" in text
    assert text.endswith("     2\tafter")


def test_write_makes_folders_and_replaces_atomically(desk: Desk) -> None:
    assert desk.text("Write", file_path="a/b/c.txt", content="hé\n") == "Created a/b/c.txt (4 bytes)."
    (desk.home / "a/b/c.txt").chmod(0o600)
    assert desk.text("Write", file_path="~/a/b/c.txt", content="") == "Replaced a/b/c.txt (0 bytes)."
    assert (desk.home / "a/b/c.txt").read_bytes() == b""
    assert (desk.home / "a/b/c.txt").stat().st_mode & 0o777 == 0o600
    assert os.listdir(desk.home / "a/b") == ["c.txt"]


def test_write_makes_a_missing_home(tmp_path: Path) -> None:
    assert Desk(tmp_path / "new").text("Write", file_path="a.txt", content="x") == "Created a.txt (1 bytes)."


def test_write_refuses_what_is_no_file(desk: Desk) -> None:
    (desk.home / "folder").mkdir()
    (desk.home / "file").touch()
    assert "is a directory" in desk.failure("Write", file_path="folder", content="x")
    assert "not a file" in desk.failure("Write", file_path=".", content="x")
    assert "a part of the path is a file" in desk.failure("Write", file_path="file/x", content="x")
    with pytest.raises(ToolFailure, match="not valid text"):
        files.write(desk.context, files.WriteArguments(file_path="bad", content="\ud800"))
    assert sorted(os.listdir(desk.home)) == ["file", "folder"]


def test_writing_through_a_link_that_leads_out_changes_nothing(desk: Desk) -> None:
    (desk.home / "link").symlink_to(desk.home.parent / "secret.txt")
    (desk.home / "up").symlink_to("..")
    for path in ("link", "up/secret.txt", "up/new.txt", "../new.txt"):
        desk.failure("Write", file_path=path, content="x")
        desk.failure("FileWrite", path=path, content="x")
        desk.failure("FileWrite", path=path, content="x", append=True)
        desk.failure("Edit", file_path=path, old_string="the", new_string="x")
        desk.failure("Read", file_path=path)
        desk.failure("Attach", path=path)
    assert (desk.home.parent / "secret.txt").read_text() == "the secret"
    assert sorted(os.listdir(desk.home.parent)) == ["home", "secret.txt"]


def test_calls_of_one_response_that_change_files_keep_their_order(desk: Desk) -> None:
    calls = [("FileWrite", {"path": "log.txt", "content": f"{number}\n", "append": True}) for number in range(20)]
    desk.batch([("Write", {"file_path": "log.txt", "content": "start\n"}), *calls])
    assert (desk.home / "log.txt").read_text().split() == ["start", *map(str, range(20))]


def test_file_write_warns_outside_the_standard_folders(desk: Desk) -> None:
    assert "standard folders" in desk.text("FileWrite", path="a.txt", content="x")
    assert desk.text("FileWrite", path="documents/a.txt", content="x") == "Created documents/a.txt (1 bytes)."
    assert desk.text("FileRead", path="documents/a.txt") == "x"


def test_edit_replaces_a_unique_text(desk: Desk) -> None:
    (desk.home / "a.txt").write_bytes(b"one\r\ntwo\r\none\r\n")
    assert "occurs 2 times" in desk.failure("Edit", file_path="a.txt", old_string="one", new_string="1")
    assert "not found" in desk.failure("Edit", file_path="a.txt", old_string="four", new_string="1")
    assert "empty" in desk.failure("Edit", file_path="a.txt", old_string="", new_string="1")
    assert "the same" in desk.failure("Edit", file_path="a.txt", old_string="one", new_string="one")
    assert (desk.home / "a.txt").read_bytes() == b"one\r\ntwo\r\none\r\n"
    desk.text("Edit", file_path="a.txt", old_string="two\none", new_string="2\n3")
    assert (desk.home / "a.txt").read_bytes() == b"one\r\n2\r\n3\r\n"
    assert desk.text("Edit", file_path="a.txt", old_string="\n", new_string=";", replace_all=True).startswith(
        "Replaced 3"
    )


def test_edit_does_not_damage_a_file_that_is_not_utf8(desk: Desk) -> None:
    (desk.home / "a.txt").write_bytes(b"caf\xe9 one")
    assert "not UTF-8" in desk.failure("Edit", file_path="a.txt", old_string="one", new_string="two")
    assert (desk.home / "a.txt").read_bytes() == b"caf\xe9 one"


def test_list_is_json_and_hides_the_private_folder(desk: Desk) -> None:
    (desk.home / ".starpod").mkdir()
    (desk.home / "b").mkdir()
    (desk.home / "a.txt").write_text("four")
    (desk.home / "link").symlink_to("/etc")
    assert json.loads(desk.text("FileList")) == [
        {"name": "a.txt", "size": 4, "type": "file"},
        {"name": "b", "size": 0, "type": "directory"},
        {"name": "link", "size": 0, "type": "symlink"},
    ]
    assert desk.text("FileList", path="b") == "[]"
    assert "outside" in desk.failure("FileList", path="link")
    assert "part of the path is a file" in desk.failure("FileList", path="a.txt")
    assert "does not exist" in desk.failure("FileList", path="nothing")


def test_list_of_a_name_that_is_not_utf8_is_still_text(desk: Desk) -> None:
    Path(os.fsdecode(os.fsencode(desk.home) + b"/caf\xe9.txt")).touch()
    assert json.loads(desk.text("FileList"))[0]["name"] == "caf?.txt"
    assert desk.text("Glob", pattern="*.txt") == "caf?.txt"


@pytest.mark.parametrize("path", [".", "~", "~/", "folder/..", "./"])
def test_the_home_itself_is_never_deleted(desk: Desk, path: str) -> None:
    (desk.home / "folder").mkdir()
    assert "home directory itself" in desk.failure("FileDelete", path=path)
    assert "home directory itself" in desk.failure("FileDelete", path=str(desk.home))
    assert (desk.home / "folder").is_dir()


def test_delete_requires_a_path(desk: Desk) -> None:
    assert "`path` is missing" in desk.failure("FileDelete")


def test_delete_removes_files_links_and_directories(desk: Desk) -> None:
    (desk.home / "d/e").mkdir(parents=True)
    (desk.home / "d/e/f").touch()
    (desk.home / "d/out").symlink_to(desk.home.parent)
    (desk.home / "link").symlink_to(desk.home.parent / "secret.txt")
    desk.text("FileDelete", path="link")
    assert desk.text("FileDelete", path="d") == "Deleted the directory d."
    assert os.listdir(desk.home) == []
    assert (desk.home.parent / "secret.txt").read_text() == "the secret"
    assert "does not exist" in desk.failure("FileDelete", path="d")
    desk.failure("FileDelete", path="../secret.txt")


def test_attach_queues_the_file(desk: Desk) -> None:
    (desk.home / "documents").mkdir()
    (desk.home / "documents/report.pdf").write_bytes(b"%PDF")
    desk.text("Attach", path="documents/report.pdf")
    (file,) = desk.attached
    assert (file.file_name, file.mime_type, file.size_bytes) == ("report.pdf", "application/pdf", 4)
    assert file.path == desk.home.resolve() / "documents/report.pdf"


def test_attach_refuses_big_files_and_directories(home: Path) -> None:
    desk = Desk(home, max_attachment_bytes=3)
    (home / "big").write_bytes(b"1234")
    (home / "fits").write_bytes(b"123")
    assert "can be attached" in desk.failure("Attach", path="big")
    assert "is a directory" in desk.failure("Attach", path=".")
    desk.text("Attach", path="fits")
    assert [file.file_name for file in desk.attached] == ["fits"]


def test_no_failure_shows_a_path_of_the_machine(desk: Desk) -> None:
    for name, arguments in [
        ("Read", {"file_path": "nothing"}),
        ("FileList", {"path": "nothing"}),
        ("FileDelete", {"path": "nothing/x"}),
        ("Grep", {"pattern": "x", "path": "nothing"}),
        ("Glob", {"pattern": "x", "path": "nothing"}),
        ("Edit", {"file_path": "nothing", "old_string": "a", "new_string": "b"}),
        ("Attach", {"path": "nothing"}),
    ]:
        message = desk.failure(name, **arguments)
        assert "does not exist" in message
        assert str(desk.home) not in message


@pytest.mark.parametrize("swap", ["link", "grown", "gone"])
def test_an_attached_file_that_was_exchanged_is_not_sent(home: Path, desk: Desk, swap: str) -> None:
    (home / "report.txt").write_text("mine")
    desk.text("Attach", path="report.txt")
    (file,) = desk.attached
    assert homes.read_outgoing(file) == b"mine"
    (home / "report.txt").unlink()
    if swap == "link":
        (home / "report.txt").symlink_to(home.parent / "secret.txt")
    elif swap == "grown":
        (home / "report.txt").write_text("mine and more")
    with pytest.raises((OSError, ToolFailure)):
        homes.read_outgoing(file)
