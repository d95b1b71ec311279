"""Who may use what: every route as nobody, as a user and as an admin, with ids of nobody and of somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest

from handlers.operations import Route
from handlers.routes import ROUTES
from starpod.auth.types import OPERATOR, User
from starpod.outbox import store
from starpod.outbox.types import Message, RetryLater
from tests.gateway import Gateway

pytestmark = pytest.mark.gen_test(timeout=120)

# What is not about something that somebody owns: these parameters name things that all admins share, or a word of the route itself.
OPEN_NAMES = {"name", "section"}
ADMIN_ONLY = "Admin access required"
NOTHING = ((200, []), (200, {}), (200, {"status": "ok"}))
NOBODYS = "0" * 8 + "-0000-4000-8000-" + "0" * 12


def api_routes() -> list[tuple[Route, str]]:
    """Every operation of the API."""
    return [(route, method) for route in ROUTES if isinstance(route, Route) for method in route.operations]


async def ask(client: httpx2.AsyncClient, route: Route, method: str, **values: str) -> httpx2.Response:
    """Call a route with a body that is read, and with `values` or an id of nobody in its path."""
    words = {name: allowed[0] if allowed else values.get(name, NOBODYS) for name, allowed in route.parameters.items()}
    takes_body = route.operations[method].body is not None
    return await client.request(method, route.template.format(**words), json={} if takes_body else None)


async def test_nobody_gets_past_the_sign_in(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        stranger, wrong = gateway.client(), gateway.client("sp_live_" + "0" * 40)
        for route, method in api_routes():
            answer = await ask(stranger, route, method)
            if route.access == "anyone":
                assert answer.status_code != 401, (route, method)
            else:
                assert (answer.status_code, list(answer.json())) == (401, ["error"]), (route, method)
        assert (await wrong.get("/api/sessions")).status_code == 401


async def test_users_reach_nothing_that_is_for_admins(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        _, key = await gateway.user()
        client = gateway.client(key)
        for route, method in api_routes():
            answer = await ask(client, route, method)
            if route.access == "admin":
                assert (answer.status_code, answer.json()) == (403, {"error": ADMIN_ONLY}), (route, method)
            else:
                assert ADMIN_ONLY not in answer.text[:200] and answer.status_code != 401, (route, method, answer.text)


async def test_unknown_ids_are_not_found(tmp_path: Path) -> None:
    settings = {"instances": {"driver": "process"}}
    async with Gateway(tmp_path, settings=settings) as gateway:
        for route, method in api_routes():
            operation = route.operations[method]
            if set(route.parameters) - OPEN_NAMES and operation.body is None:
                answer = await ask(gateway.http, route, method)
                if operation.any_id:
                    assert (answer.status_code, answer.json()) in NOTHING, (route, method)
                else:
                    assert (answer.status_code, list(answer.json())) == (404, ["error"]), (route, method)


async def not_now(user_id: str, text: str) -> None:
    raise RetryLater("not now", 3600.0)


async def owned(gateway: Gateway, user: User, client: httpx2.AsyncClient) -> dict[str, str]:
    """One of everything that a user can have, as path parameters."""
    file = {"file_name": "a.txt", "mime_type": "text/plain", "data": "aGVsbG8="}
    chat = (await client.post("/api/chat", json={"text": "hello", "attachments": [file]})).json()
    session_id = chat["session_id"]
    await gateway.state.auth.links.set(user.id, 4711, None, actor=OPERATOR)
    await gateway.state.outbox.register("telegram", not_now)
    now = gateway.state.clock.now().timestamp()
    assert await gateway.state.database.run(store.add, Message("t", "text", "source"), user.id, now) == 1
    job = {"name": "mine", "prompt": "hi", "schedule": {"kind": "interval", "every_ms": 3_600_000}}
    return {
        "session_id": session_id,
        "file_id": str((await client.get(f"/api/sessions/{session_id}/files")).json()[0]["id"]),
        "response_id": (await client.post("/v1/responses", json={"model": "starpod", "input": "hi"})).json()["id"],
        "delivery_id": str((await client.get("/api/outbox")).json()["deliveries"][0]["id"]),
        "turn_id": chat["turn_id"],
        "message_id": str((await client.get(f"/api/sessions/{session_id}/messages")).json()[0]["id"]),
        "job_id": (await client.post("/api/cron/jobs", json=job)).json()["id"],
        "key_id": (await client.post("/api/keys", json={})).json()["meta"]["id"],
    }


# What only waits while a turn does: `test_only_the_owner_of_the_session_may_answer`.
TESTED_APART = {"approval_id", "answer_id"}
BODIES: dict[str, dict[str, Any]] = {
    "edit": {"message_id": 1, "text": "x"},
    "approvals": {"decision": "approve"},
}


async def test_what_is_somebody_elses_is_not_found(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        user, ann_key = await gateway.user(name="ann")
        _, bob_key = await gateway.user(name="bob")
        ann, bob = gateway.client(ann_key), gateway.client(bob_key)
        anns = await owned(gateway, user, ann)
        names = {
            name
            for route, _ in api_routes()
            if route.access == "user"
            for name, words in route.parameters.items()
            if not words
        }
        assert names - set(anns) - OPEN_NAMES == TESTED_APART
        lists = ("/api/sessions", "/api/cron/jobs", "/api/keys", "/api/outbox")
        before = {path: (await ann.get(path)).json() for path in lists}
        for route, method in api_routes():
            if route.access != "user" or not set(route.parameters) & set(anns):
                continue
            words = {
                name: allowed[0] if allowed else anns.get(name, NOBODYS) for name, allowed in route.parameters.items()
            }
            body = next((body for word, body in BODIES.items() if word in route.path), {})
            answer = await bob.request(method, route.template.format(**words), json=body)
            if route.operations[method].any_id:
                assert (answer.status_code, answer.json()) in NOTHING, (route, method)
            else:
                refused = 403 if route.path.startswith("/api/cron/") and method != "GET" else 404
                assert (answer.status_code, list(answer.json())) == (refused, ["error"]), (route, method)
        assert {path: (await ann.get(path)).json() for path in before} == before
