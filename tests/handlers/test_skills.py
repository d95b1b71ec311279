"""The routes of skills: making, changing and deleting them, the slash menu, and drafts by the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Fail, script

pytestmark = pytest.mark.gen_test

PAGE = "/api/settings/skills"
BREW = {"name": "brew", "description": "Brews: <tea>", "body": "Boil the water.", "connectors": ["kettle"]}


async def test_a_skill_from_its_making_to_its_end(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        http = gateway.http
        made = await http.post(PAGE, json=BREW)
        assert made.status_code == 201
        body = made.json()
        assert {key: body[key] for key in ("name", "description", "body", "version")} == {
            "name": "brew",
            "description": "Brews: <tea>",
            "body": "Boil the water.",
            "version": None,
        }
        assert body["raw_content"].startswith("---\nname: brew\n") and body["created_at"].endswith(("Z", "+00:00"))
        (line,) = (await http.get(PAGE)).json()
        assert (line["name"], line["description"], line["offered"]) == ("brew", "Brews: <tea>", True)
        changed = await http.put(f"{PAGE}/brew", json={"description": "Coffee", "body": "Grind."})
        assert changed.status_code == 200 and changed.json()["status"] == "ok"
        detail = (await http.get(f"{PAGE}/brew")).json()
        assert (detail["description"], detail["body"], detail["connectors"]) == ("Coffee", "Grind.", ["kettle"])
        assert (await http.delete(f"{PAGE}/brew")).status_code == 204
        assert (await http.get(f"{PAGE}/brew")).status_code == 404
        assert (await http.get(PAGE)).json() == []
        audit = [line["detail"] for line in (await http.get("/api/settings/audit")).json()]
        assert audit[:3] == ["skill brew deleted", "skill brew changed", "skill brew created"]


async def test_what_is_twice_missing_or_misnamed_is_refused(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        http = gateway.http
        assert (await http.post(PAGE, json=BREW)).status_code == 201
        twice = await http.post(PAGE, json=BREW)
        assert twice.status_code == 400 and "already exists" in twice.json()["error"]
        change = {"description": "x", "body": "y"}
        assert (await http.put(f"{PAGE}/none", json=change)).status_code == 400
        assert (await http.delete(f"{PAGE}/none")).status_code == 400
        assert (await http.get(f"{PAGE}/none")).status_code == 404
        for name in ("../x", "A", "", "a b", "generate", "x" * 65):
            answer = await http.post(PAGE, json=BREW | {"name": name})
            assert answer.status_code == 400 and "name" in answer.json()["error"]
        assert (await http.post(PAGE, json=BREW | {"name": "x", "body": " "})).status_code == 400
        assert (await http.post(PAGE, json=BREW | {"name": "x", "description": "d" * 2_000})).status_code == 400
        wrong = await http.post(PAGE, json={"name": 1, "description": None})
        assert wrong.status_code == 422 and set(wrong.json()["fields"]) == {"name", "description", "body"}
        assert [line["name"] for line in (await http.get(PAGE)).json()] == ["brew"]
        assert not (gateway.state.paths.agent_home / "x").exists()


@pytest.mark.parametrize("name", ["..%2f..%2fdb", "%2e%2e", "brew%00", "%F0%9F%98%80"])
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    async with Gateway(tmp_path) as gateway:
        for answer in (await gateway.http.get(f"{PAGE}/{name}"), await gateway.http.delete(f"{PAGE}/{name}")):
            assert answer.status_code in (400, 404, 405)
        assert gateway.state.paths.core_db.exists()


async def test_a_broken_skill_says_why_and_can_be_mended(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        folder = gateway.state.paths.skills_dir / "brew"
        folder.mkdir(parents=True)
        (folder / "SKILL.md").write_text("---\nname: tea\ndescription: x\n---\nx")
        (line,) = (await gateway.http.get(PAGE)).json()
        assert "folder is 'brew'" in line["error"] and line["offered"] is False
        assert (await gateway.http.get("/api/skills")).json() == []
        assert (await gateway.http.get(f"{PAGE}/brew")).json()["raw_content"].endswith("x")
        await gateway.http.put(f"{PAGE}/brew", json={"description": "Brews", "body": "Boil."})
        assert (await gateway.http.get("/api/skills")).json() == [{"name": "brew", "description": "Brews"}]


async def test_everybody_has_the_menu_and_only_admins_the_pages(tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings={"skills": ["brew"]}) as gateway:
        for name in ("brew", "secret"):
            await gateway.http.post(PAGE, json=BREW | {"name": name})
        _, key = await gateway.user()
        person = gateway.client(key)
        assert (await person.get("/api/skills")).json() == [{"name": "brew", "description": "Brews: <tea>"}]
        for answer in (await person.get(PAGE), await person.post(PAGE, json=BREW), await person.delete(f"{PAGE}/brew")):
            assert answer.status_code == 403
        assert (await gateway.client().get("/api/skills")).status_code == 401
        offered = {line["name"]: line["offered"] for line in (await gateway.http.get(PAGE)).json()}
        assert offered == {"brew": True, "secret": False}


def draft(**changes: Any) -> str:
    return json.dumps({"description": "Brews tea", "body": "# Tea\nBoil."} | changes)


async def test_a_draft_comes_from_the_model_and_is_not_stored(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script(f"Here it is:\n```json\n{draft()}\n```"))
        answer = await gateway.http.post(f"{PAGE}/generate", json={"name": "brew", "prompt": "for guests"})
        assert answer.json() == {"description": "Brews tea", "body": "# Tea\nBoil."}
        assert "for guests" in json.dumps(gateway.provider.requests[0].body["messages"])
        assert (await gateway.http.get(PAGE)).json() == []


async def test_a_draft_that_is_nonsense_is_asked_for_once_more(tmp_path: Path) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script('{"description": 3}'), script(draft()))
        answer = await gateway.http.post(f"{PAGE}/generate", json={"name": "brew"})
        assert answer.status_code == 200 and len(gateway.provider.requests) == 2
        gateway.provider.play(script("Sure!"))
        answer = await gateway.http.post(f"{PAGE}/generate", json={"name": "brew"})
        assert answer.status_code == 500 and "cannot be used" in answer.json()["error"]
        assert len(gateway.provider.requests) == 2
        gateway.provider.play(script(Fail(401)))
        answer = await gateway.http.post(f"{PAGE}/generate", json={"name": "brew"})
        assert answer.status_code == 500 and "Traceback" not in answer.text
