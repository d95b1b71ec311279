"""Files of conversations: listed with them, and readable as long as they lie where they were left."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, script

pytestmark = pytest.mark.gen_test

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def attached(name: str, data: bytes, mime_type: str) -> dict[str, str]:
    return {"file_name": name, "mime_type": mime_type, "data": base64.b64encode(data).decode()}


async def test_files_of_both_directions_are_listed_and_given_out(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        (gateway.home / "report.html").write_text("<script>alert(1)</script>")
        gateway.provider.play(script(CallTool("Attach", json.dumps({"path": "report.html"}))), script("There."))
        socket = await gateway.socket()
        frames = await socket.say("look", attachments=[attached("größe 1.png", PNG, "image/png")])
        await socket.next("attachment")
        place = f"/api/sessions/{frames[-1]['session_id']}/files"
        came, went = (await gateway.http.get(place)).json()
        assert (came["direction"], came["file_name"], came["size_bytes"]) == ("in", "größe 1.png", len(PNG))
        assert (went["direction"], went["file_name"]) == ("out", "report.html")
        assert came["turn_id"] == went["turn_id"] == frames[-1]["turn_id"]
        picture = await gateway.http.get(f"{place}/{came['id']}")
        assert picture.content == PNG and picture.headers["content-type"] == "image/png"
        page = await gateway.http.get(f"{place}/{went['id']}")
        assert page.text == "<script>alert(1)</script>"
        assert page.headers["content-type"] == "application/octet-stream"
        assert page.headers["content-disposition"].startswith("attachment")
        assert "sandbox" in page.headers["content-security-policy"]


async def test_a_file_that_is_gone_grown_or_replaced_by_a_link_is_not_given_out(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Thanks."))
        frames = await (await gateway.socket()).say("look", attachments=[attached("a.txt", b"mine", "text/plain")])
        place = f"/api/sessions/{frames[-1]['session_id']}/files"
        (file,) = (await gateway.http.get(place)).json()
        (stored,) = (gateway.home / "downloads").iterdir()
        stored.unlink()
        gone = await gateway.http.get(f"{place}/{file['id']}")
        assert gone.status_code == 404 and gone.json() == {"error": "'a.txt' is no longer there"}
        os.symlink(gateway.state.paths.agent_toml, stored)
        assert (await gateway.http.get(f"{place}/{file['id']}")).status_code == 404
        assert (await gateway.http.get(f"{place}/nothing")).status_code == 404
        stored.unlink()
        with stored.open("wb") as grown:
            grown.truncate(1 << 40)  # takes no room on the disk, and more than there is in memory
        large = await gateway.http.get(f"{place}/{file['id']}")
        assert large.status_code == 404 and "no longer what it was" in large.json()["error"]


async def test_files_are_their_owners(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("Thanks."))
        _, key = await gateway.user()
        frames = await (await gateway.socket(key)).say("look", attachments=[attached("a.txt", b"mine", "text/plain")])
        place = f"/api/sessions/{frames[-1]['session_id']}/files"
        (file,) = (await gateway.client(key).get(place)).json()
        assert (await gateway.client(key).get(f"{place}/{file['id']}")).content == b"mine"
        _, other = await gateway.user()
        for path in (place, f"{place}/{file['id']}"):
            assert (await gateway.client(other).get(path)).status_code == 404
            assert (await gateway.client().get(path)).status_code == 401
