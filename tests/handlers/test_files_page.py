"""The files page over HTTP: a person's home, what is in it, what is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway
from tests.handlers.support import JSON_TYPE, raw

pytestmark = pytest.mark.gen_test

ROUTES = (
    ("GET", "/api/files?path=x", None),
    ("GET", "/api/files/info?path=x", None),
    ("GET", "/api/files/read?path=x", None),
    ("GET", "/api/files/raw?path=x", None),
    ("PUT", "/api/files/raw?path=x", None),
    ("PUT", "/api/files/write", {"path": "x", "content": ""}),
    ("DELETE", "/api/files?path=x", None),
    ("POST", "/api/files/mkdir", {"path": "x"}),
    ("POST", "/api/files/move", {"path": "x", "to": "y"}),
)
BAD_PATHS = (
    "/etc/passwd",
    "\\windows",
    "..",
    "../x",
    "a/../../x",
    "a/..",
    "a\\..\\x",
    ".starpod",
    ".starpod/db/core.db",
    ".STARPOD/x",
    "a/.starpod/x",
    "x" * 300,
    "a/" * 3000 + "x",
)


async def call(client: Any, method: str, path: str, body: Any = None, **more: Any) -> Any:
    return await client.request(method, path, **({} if body is None else {"json": body}), **more)


async def test_a_file_is_written_listed_read_moved_and_deleted(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        http = gateway.http
        answer = await http.put("/api/files/write", json={"path": "documents/plan ü.md", "content": "# Plan\n"})
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert (gateway.home / "documents" / "plan ü.md").read_text() == "# Plan\n"
        listed = (await http.get("/api/files", params={"path": "documents"})).json()
        assert [(each["name"], each["type"], each["size"]) for each in listed] == [("plan ü.md", "file", 7)]
        top = (await http.get("/api/files")).json()
        assert {"documents/", "downloads/"} <= {each["name"] for each in top if each["type"] == "directory"}
        assert [each["name"] for each in top] == sorted(each["name"] for each in top)
        text = (await http.get("/api/files/read", params={"path": "documents/plan ü.md"})).json()
        assert (text["path"], text["content"], text["size"]) == ("documents/plan ü.md", "# Plan\n", 7)
        assert (await http.post("/api/files/mkdir", json={"path": "projects/a/b"})).json() == {"status": "ok"}
        assert (await http.post("/api/files/mkdir", json={"path": "projects/a/b"})).status_code == 200
        moved = await http.post("/api/files/move", json={"path": "documents/plan ü.md", "to": "projects/a/plan.md"})
        assert moved.status_code == 200 and (gateway.home / "projects/a/plan.md").read_text() == "# Plan\n"
        assert (await http.delete("/api/files", params={"path": "projects/a"})).json() == {"status": "ok"}
        assert not (gateway.home / "projects/a").exists() and (gateway.home / "projects").is_dir()


async def test_bytes_go_up_and_come_down_as_they_are(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4000
    async with Gateway(tmp_path) as gateway:
        where = {"path": "pictures/a b.png"}
        assert (await gateway.http.put("/api/files/raw", params=where, content=data)).status_code == 201
        down = await gateway.http.get("/api/files/raw", params=where)
        assert down.content == data and down.headers["content-type"] == "image/png"
        assert down.headers["content-disposition"] == "inline; filename*=UTF-8''a%20b.png"
        assert "sandbox" in down.headers["content-security-policy"] and down.headers["x-frame-options"] == "SAMEORIGIN"
        assert down.headers["x-content-type-options"] == "nosniff"
        saved = await gateway.http.get("/api/files/raw", params={**where, "download": "true"})
        assert saved.headers["content-disposition"].startswith("attachment;")
        head = await gateway.http.head("/api/files/raw", params=where)
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(data)), b"")
        again = await gateway.http.put("/api/files/raw", params=where, content=b"other")
        assert again.status_code == 409 and "there already" in again.json()["error"]
        assert (gateway.home / "pictures/a b.png").read_bytes() == data
        replaced = await gateway.http.put("/api/files/raw", params={**where, "replace": "1"}, content=b"other")
        assert replaced.status_code == 200 and (gateway.home / "pictures/a b.png").read_bytes() == b"other"


async def test_html_in_a_home_can_do_nothing(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        (gateway.home / "page.html").write_text("<script>alert(1)</script>")
        answer = await gateway.http.get("/api/files/raw?path=page.html")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("sandbox;") and "script-src" not in policy and "default-src 'none'" in policy


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
async def test_nobody_gets_in_without_a_key_or_without_the_right(
    tmp_path: Path, method: str, path: str, body: Any
) -> None:
    async with Gateway(tmp_path) as gateway:
        assert (await call(gateway.client(), method, path, body)).status_code == 401
        _, key = await gateway.user()
        answer = await call(gateway.client(key), method, path, body)
        assert (answer.status_code, answer.json()) == (
            403,
            {"error": "Filesystem access is not enabled for this user"},
        )


async def test_everybody_has_a_home_of_their_own(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        (_, ann), (_, bob) = [await gateway.user(has_files=True) for _ in range(2)]
        await gateway.client(ann).put("/api/files/write", json={"path": "diary.md", "content": "mine"})
        for client in (gateway.client(bob), gateway.http):
            assert (await client.get("/api/files/read?path=diary.md")).status_code == 404
            assert "diary.md" not in {each["name"] for each in (await client.get("/api/files")).json()}
        assert (await gateway.client(ann).get("/api/files/read?path=diary.md")).json()["content"] == "mine"
        assert not (gateway.home / "diary.md").exists()


@pytest.mark.parametrize("path", BAD_PATHS)
async def test_a_path_that_leads_out_is_refused_everywhere(tmp_path: Path, path: str) -> None:
    async with Gateway(tmp_path) as gateway:
        http = gateway.http
        answers = [
            await http.get(f"/api/files{kind}", params={"path": path}) for kind in ("", "/info", "/read", "/raw")
        ]
        answers.append(await http.put("/api/files/raw", params={"path": path}, content=b"x"))
        answers.append(await http.put("/api/files/write", json={"path": path, "content": "x"}))
        answers.append(await http.post("/api/files/mkdir", json={"path": path}))
        answers.append(await http.delete("/api/files", params={"path": path}))
        (gateway.home / "own.txt").write_text("x")
        answers.append(await http.post("/api/files/move", json={"path": "own.txt", "to": path}))
        answers.append(await http.post("/api/files/move", json={"path": path, "to": "x.txt"}))
        assert {answer.status_code for answer in answers} == {400}
        for answer in answers:
            assert answer.json()["error"] and str(gateway.folder) not in answer.text
        assert (gateway.home / "own.txt").exists()


async def test_links_are_followed_inside_the_home_only(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    (tmp_path / "agent").mkdir()
    async with Gateway(tmp_path / "agent") as gateway:
        (gateway.home / "documents" / "note.md").write_text("inside")
        os.symlink(gateway.home / "documents", gateway.home / "docs")
        os.symlink(outside, gateway.home / "out")
        os.symlink(outside / "secret.txt", gateway.home / "leak.txt")
        os.symlink(gateway.folder / ".starpod", gateway.home / "gateway")
        assert (await gateway.http.get("/api/files/read?path=docs/note.md")).json()["content"] == "inside"
        for path in ("out/secret.txt", "leak.txt", "out", "gateway/config/agent.toml", "gateway"):
            for kind in ("", "/info", "/read", "/raw"):
                answer = await gateway.http.get(f"/api/files{kind}?path={path}")
                assert answer.status_code == 400 and "secret" not in answer.text.replace("secret.txt", ""), path
        assert (
            await gateway.http.put("/api/files/write", json={"path": "leak.txt", "content": "x"})
        ).status_code == 400
        assert (
            await gateway.http.put("/api/files/write", json={"path": "out/new.txt", "content": "x"})
        ).status_code == 400
        shown = {each["name"]: each for each in (await gateway.http.get("/api/files")).json()}
        assert shown["docs/"]["type"] == "directory" and not shown["docs/"]["is_broken"]
        assert shown["leak.txt"] | {"modified_at": ""} == {
            "name": "leak.txt",
            "type": "file",
            "size": 0,
            "modified_at": "",
            "is_broken": True,
        }
        for name in ("leak.txt", "out"):
            assert (await gateway.http.delete(f"/api/files?path={name}")).status_code == 200
            assert name not in os.listdir(gateway.home)
        assert (outside / "secret.txt").read_text() == "secret" and sorted(os.listdir(outside)) == ["secret.txt"]


async def test_what_cannot_be_done_is_told_by_its_kind(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        http = gateway.http
        (gateway.home / "photo.bin").write_bytes(b"\x00\xff\x80")
        (gateway.home / "latin.txt").write_bytes("Käse".encode("latin-1"))
        (gateway.home / "file.txt").write_text("x")
        with (gateway.home / "huge.txt").open("wb") as huge:
            huge.truncate(51 * 1_048_576)
        os.mkfifo(gateway.home / "pipe")
        expected = (
            ("GET", "/api/files?path=nothing", None, 404),
            ("GET", "/api/files?path=file.txt", None, 400),
            ("GET", "/api/files/read", None, 400),
            ("GET", "/api/files/raw", None, 400),
            ("GET", "/api/files/info?path=nothing", None, 404),
            ("GET", "/api/files/info?path=pipe", None, 400),
            ("GET", "/api/files/info", None, 400),
            ("GET", "/api/files/read?path=nothing", None, 404),
            ("GET", "/api/files/read?path=documents", None, 400),
            ("GET", "/api/files/raw?path=documents", None, 400),
            ("GET", "/api/files/read?path=pipe", None, 400),
            ("GET", "/api/files/read?path=photo.bin", None, 422),
            ("GET", "/api/files/read?path=latin.txt", None, 422),
            ("GET", "/api/files/read?path=huge.txt", None, 422),
            ("GET", "/api/files/raw?path=huge.txt", None, 422),
            ("GET", "/api/files/raw?path=file.txt&download=maybe", None, 400),
            ("DELETE", "/api/files", None, 400),
            ("DELETE", "/api/files?path=", None, 400),
            ("DELETE", "/api/files?path=.", None, 400),
            ("DELETE", "/api/files?path=documents/..", None, 400),
            ("DELETE", "/api/files?path=nothing", None, 404),
            ("PUT", "/api/files/raw", None, 400),
            ("PUT", "/api/files/write", {"path": "documents", "content": ""}, 400),
            ("PUT", "/api/files/write", {"path": ".", "content": ""}, 400),
            ("PUT", "/api/files/write", {"path": "file.txt/inner", "content": ""}, 400),
            ("PUT", "/api/files/write", {"path": "nul\0byte", "content": ""}, 400),
            ("PUT", "/api/files/write", {"content": ""}, 422),
            ("PUT", "/api/files/write", {"path": "a", "content": 3}, 422),
            ("PUT", "/api/files/write", {"path": "a", "content": None}, 422),
            ("POST", "/api/files/mkdir", {"path": "file.txt"}, 409),
            ("POST", "/api/files/mkdir", {}, 422),
            ("POST", "/api/files/move", {"path": "nothing", "to": "x"}, 404),
            ("POST", "/api/files/move", {"path": "file.txt", "to": "documents"}, 409),
            ("POST", "/api/files/move", {"path": "documents", "to": "documents/inner"}, 400),
            ("POST", "/api/files/move", {"path": ".", "to": "x"}, 400),
        )
        for method, path, body, status in expected:
            answer = await call(http, method, path, body)
            assert answer.status_code == status, (method, path, body, answer.text)
            assert answer.json()["error"] and str(tmp_path) not in answer.text
        assert (gateway.home / "documents").is_dir() and (gateway.home / "file.txt").read_text() == "x"
        lone = await raw(
            gateway,
            f"PUT /api/files/write HTTP/1.1\nHost: 127.0.0.1\nX-API-Key: {gateway.key}\n"
            f"Content-Type: {JSON_TYPE['Content-Type']}\nContent-Length: 38\n\n",
            b'{"path":"a.txt","content":"\\ud800ab"} ',
        )
        assert lone.status in (400, 422)


async def test_two_who_edit_one_file_do_not_lose_each_others_work(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        http = gateway.http
        new = {"path": "a.md", "content": "one", "expected_hash": ""}
        assert (await http.put("/api/files/write", json=new)).status_code == 200
        assert (await http.put("/api/files/write", json=new)).status_code == 409
        seen = (await http.get("/api/files/read?path=a.md")).json()["hash"]
        (gateway.home / "a.md").write_text("by the agent")
        late = await http.put("/api/files/write", json={"path": "a.md", "content": "two", "expected_hash": seen})
        assert late.status_code == 409 and "changed since you opened it" in late.json()["error"]
        assert (gateway.home / "a.md").read_text() == "by the agent"


async def test_a_file_that_grew_beyond_all_texts_is_another_one_and_not_read_whole(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        with (gateway.home / "log").open("wb") as file:
            file.truncate(1 << 40)  # takes no room on the disk, and more than there is in memory
        body = {"path": "log", "content": "x", "expected_hash": "0" * 64}
        answer = await gateway.http.put("/api/files/write", json=body)
        assert answer.status_code == 409 and (gateway.home / "log").stat().st_size == 1 << 40


async def test_a_text_over_the_limit_is_refused_and_one_of_it_is_not(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        most = "\n" * (5 * 1_048_576)
        assert (await gateway.http.put("/api/files/write", json={"path": "a", "content": most})).status_code == 200
        assert (await gateway.http.get("/api/files/read?path=a")).json()["size"] == len(most)
        over = await gateway.http.put("/api/files/write", json={"path": "a", "content": most + "x"})
        assert over.status_code == 413 and (gateway.home / "a").stat().st_size == len(most)


async def test_what_a_file_is_can_be_asked_before_it_is_read(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        (gateway.home / "a.md").write_text("ü" * 5000)
        (gateway.home / "b.bin").write_bytes(b"\x00\x01")
        (gateway.home / "c.txt").write_bytes(b"\xff\xfe\xfd\xfc\xfb")
        (gateway.home / "d.svg").write_text("")
        found = [
            (await gateway.http.get("/api/files/info", params={"path": path})).json()
            for path in ("a.md", "b.bin", "c.txt", "d.svg", "documents", ".")
        ]
        assert [(each["type"], each["size"], each["mime_type"], each["is_text"]) for each in found] == [
            ("file", 10000, "text/markdown", True),
            ("file", 2, "application/octet-stream", False),
            ("file", 5, "text/plain", False),
            ("file", 0, "image/svg+xml", True),
            ("directory", 0, "inode/directory", False),
            ("directory", 0, "inode/directory", False),
        ]
