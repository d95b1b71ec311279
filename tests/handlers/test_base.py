"""What holds for every route: hosts, headers, methods, bodies, and errors that are JSON and tell no secrets."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import peewee
import pytest

from tests.gateway import Gateway
from tests.handlers.support import JSON_TYPE, every_route, raw

pytestmark = pytest.mark.gen_test

READ = "/api/sessions/0/read"
POSTS = ("/api/chat", READ, "/api/sessions/0/archive", "/api/sessions/0/stop", "/api/auth/login")
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


async def test_only_our_own_host_names_are_answered(tmp_path: Path) -> None:
    settings = {"auth": {"allowed_hosts": ["chat.example.org"]}}
    async with Gateway(tmp_path, settings=settings) as gateway:
        for host in ("evil.example", "localhost.evil.example", "chat.example.org.evil.example", "\u00e9", "a b", ""):
            for path in ("/api/health", "/api/sessions", "/", "/ws", "/nothing"):
                answer = await gateway.http.get(path, headers=[(b"Host", host.encode())])
                assert answer.status_code in (400, 403), (host, path, answer.text)
        for host in ("localhost", "127.0.0.1", "LOCALHOST:80", "[::1]:3000", "chat.example.org:8443"):
            assert (await gateway.http.get("/api/health", headers={"Host": host})).status_code == 200, host


async def test_every_answer_carries_the_security_headers(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        http, stranger = gateway.http, gateway.client()
        answers = [
            await http.get("/"),
            await http.get("/assets/nothing.js"),
            await http.get("/api/health"),
            await http.get("/api/sessions"),
            await stranger.get("/api/sessions"),
            await http.get("/api/sessions/unknown"),
            await http.get("/api/nothing"),
            await http.get("/nothing"),
            await http.delete("/api/sessions"),
            await http.post("/api/chat", content=b"{", headers=JSON_TYPE),
            await http.post("/api/chat", json={"text": "hello"}, headers={"Accept": "text/event-stream"}),
            await http.get("/api/health", headers={"Host": "evil.example"}),
            await stranger.get("/ws"),
            await http.get("/ws"),
            await http.get("/ws", headers={"Host": "evil.example"}),
        ]
        for answer in answers:
            case = (str(answer.url), answer.status_code)
            assert answer.headers.get("X-Content-Type-Options") == "nosniff", case
            assert answer.headers.get("X-Frame-Options") == "DENY", case
            assert answer.headers.get("Referrer-Policy") == "no-referrer", case
            policy = answer.headers.get("Content-Security-Policy", "")
            assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, case
            assert "unsafe" not in policy and "*" not in policy, case
            assert answer.headers["Server"] == "Starpod", case
            assert "Access-Control-Allow-Origin" not in answer.headers, case


async def test_api_answers_are_never_stored(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        stranger = gateway.client()
        for answer in (
            await gateway.http.get("/api/health"),
            await gateway.http.get("/api/config"),
            await gateway.http.get("/api/sessions"),
            await gateway.http.get("/api/sessions/unknown"),
            await stranger.get("/api/sessions"),
            await gateway.http.get("/api/nothing"),
            await gateway.http.put("/api/chat"),
            await gateway.http.post("/api/chat", json={"text": "hello"}),
            await gateway.http.post("/api/chat", json={"text": "hello"}, headers={"Accept": "text/event-stream"}),
        ):
            assert answer.headers["Cache-Control"] == "no-store", answer.url
            assert "Etag" not in answer.headers, answer.url


async def test_unknown_paths_are_a_json_404(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for path in ("/api", "/api/", "/api/nothing", "/api/sessions/", "/api/sessions/a/b/c", "/api/health/", "/v1/x"):
            for method in ("GET", "POST", "DELETE"):
                answer = await gateway.client().request(method, path)
                assert answer.status_code == 404, (method, path)
                assert list(answer.json()) == ["error"]
                assert answer.headers["Content-Type"].startswith("application/json")


async def test_a_wrong_method_is_told_the_right_ones(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for method, path, allowed in (
            ("DELETE", "/api/sessions", {"GET", "HEAD"}),
            ("GET", "/api/chat", {"POST"}),
            ("PUT", "/api/chat", {"POST"}),
            ("POST", "/api/health", {"GET", "HEAD"}),
            ("PATCH", "/api/sessions/x/read", {"POST"}),
            ("POST", "/", {"GET", "HEAD"}),
        ):
            answer = await gateway.http.request(method, path)
            assert answer.status_code == 405, (method, path)
            assert set(answer.headers["Allow"].split(", ")) == allowed, (method, path)
            assert list(answer.json()) == ["error"]


async def test_made_up_methods_are_refused(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await raw(gateway, f"BREW /api/chat HTTP/1.1\nHost: localhost\nX-API-Key: {gateway.key}\n\n")
        assert answer.status == 405
        assert b"Traceback" not in answer.body


async def test_head_is_answered_wherever_get_is(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for path in ("/", "/api/health", "/api/health/ready", "/api/config", "/api/auth/verify", "/api/sessions"):
            get, head = await gateway.http.get(path), await gateway.http.head(path)
            assert (head.status_code, head.content) == (get.status_code, b""), path
            assert head.headers["Content-Type"] == get.headers["Content-Type"], path
            assert abs(int(head.headers["Content-Length"]) - len(get.content)) < 10, path
        assert (await gateway.http.head("/api/sessions/unknown")).status_code == 404
        assert (await gateway.client().head("/api/sessions")).status_code == 401


async def test_malformed_json_is_a_400(tmp_path: Path) -> None:
    bodies = (
        b"",
        b"{",
        b"{'text': 'x'}",
        b'{"text": "x",}',
        b"\xff\xfe",
        b'{"text": "\xff"}',
        b'{"text": "a\x00b"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": NaN',
        b"[" * 100_000,
        b'{"a":' * 50_000,
    )
    async with Gateway(tmp_path) as gateway:
        for path in POSTS:
            for body in bodies:
                answer = await gateway.http.post(path, content=body, headers=JSON_TYPE | SAME_SITE)
                assert answer.status_code == 400, (path, body[:30], answer.text[:200])
                assert list(answer.json()) == ["error"]
                assert len(answer.content) < 500
        assert (await gateway.http.get("/api/sessions")).json() == []


async def test_wrong_types_are_a_422_that_names_the_fields(tmp_path: Path) -> None:
    cases: tuple[tuple[str, Any, set[str]], ...] = (
        ("/api/chat", {}, {"text"}),
        ("/api/chat", {"text": None}, {"text"}),
        ("/api/chat", {"text": 5}, {"text"}),
        ("/api/chat", {"text": ["x"]}, {"text"}),
        ("/api/chat", {"text": "x", "model": 1, "channel_id": {}}, {"model", "channel_id"}),
        ("/api/chat", {"text": "x", "attachments": None}, {"attachments"}),
        (
            "/api/chat",
            {"text": "x", "attachments": [{}]},
            {f"attachments.0.{n}" for n in ("file_name", "mime_type", "data")},
        ),
        ("/api/chat", {"text": "x", "follow_up": "shout"}, {"follow_up"}),
        ("/api/chat", {"text": "x", "client_message_id": ""}, {"client_message_id"}),
        ("/api/chat", {"text": "x", "client_message_id": "i" * 201}, {"client_message_id"}),
        ("/api/chat", {"text": "x", "channel_session_key": "k" * 201}, {"channel_session_key"}),
        ("/api/chat", {"text": ""}, {"text"}),
        ("/api/chat", {"text": " \n"}, {"text"}),
        ("/api/chat", [], {"body"}),
        ("/api/chat", "text", {"body"}),
        ("/api/chat", 10**400, {"body"}),
        (READ, {"is_read": None}, {"is_read"}),
        (READ, {"is_read": "maybe"}, {"is_read"}),
        ("/api/sessions/0/archive", {"archived": []}, {"archived"}),
        ("/api/sessions/0/stop", {"turn_id": 1}, {"turn_id"}),
    )
    async with Gateway(tmp_path) as gateway:
        for path, body, fields in cases:
            answer = await gateway.http.post(path, json=body)
            assert answer.status_code == 422, (path, body, answer.text)
            assert set(answer.json()["fields"]) == fields and answer.json()["error"], (path, body, answer.text)
        assert (await gateway.http.get("/api/sessions")).json() == []


async def test_half_a_surrogate_pair_is_refused(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for name in ("text", "channel_session_key", "channel_id", "client_message_id", "model", "user_id"):
            body = json.dumps({"text": "x"} | {name: "\ud800"}).encode()
            answer = await gateway.http.post("/api/chat", content=body, headers=JSON_TYPE)
            if name not in ("user_id", "channel_id"):  # these are not used
                assert answer.status_code in (400, 422), (name, answer.text)
            assert answer.status_code < 500, (name, answer.text)


async def test_unknown_fields_huge_numbers_and_null_do_no_harm(tmp_path: Path) -> None:
    body = b'{"text": "hello", "model": null, "nonsense": %d, "more": 1e999, "deep": %s}'
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.http.post(
            "/api/chat", content=body % (10**300, b"[" * 50 + b"]" * 50), headers=JSON_TYPE
        )
        assert answer.status_code == 200, answer.text


async def test_zero_characters_are_kept(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.http.post("/api/chat", json={"text": "a\x00b\u2028\U0001f600"})
        messages = await gateway.http.get(f"/api/sessions/{answer.json()['session_id']}/messages")
        assert messages.json()[0]["content"] == "a\x00b\u2028\U0001f600"


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "json"])
async def test_a_body_that_is_not_declared_as_json_is_a_415(tmp_path: Path, content_type: str | None) -> None:
    async with Gateway(tmp_path) as gateway:
        headers = {} if content_type is None else {"Content-Type": content_type}
        for path in POSTS:
            answer = await gateway.http.post(path, content=b'{"text": "x"}', headers=headers | SAME_SITE)
            assert (answer.status_code, list(answer.json())) == (415, ["error"]), path


async def test_json_may_name_its_encoding(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for content_type in ("application/json; charset=utf-8", "Application/JSON"):
            answer = await gateway.http.post(READ, content=b"{}", headers={"Content-Type": content_type})
            assert answer.status_code == 404, content_type


async def test_a_body_over_the_limit_is_a_413(tmp_path: Path) -> None:
    async def chunks() -> Any:
        for _ in range(5):
            yield b" " * 512 * 1024

    async with Gateway(tmp_path) as gateway:
        fits = b'{"is_read": true}'.ljust(2 * 1024 * 1024)
        assert (await gateway.http.post(READ, content=fits, headers=JSON_TYPE)).status_code == 404
        for content in (fits + b" ", chunks()):
            answer = await gateway.http.post(READ, content=content, headers=JSON_TYPE)
            assert (answer.status_code, list(answer.json())) == (413, ["error"])
        assert (await gateway.http.get("/api/health")).status_code == 200


@pytest.mark.parametrize("length", ["3000000", "70000000", "99999999999999"])
async def test_a_body_that_only_announces_itself_too_large_is_not_waited_for(tmp_path: Path, length: str) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await raw(
            gateway,
            f"POST {READ} HTTP/1.1\nHost: localhost\nX-API-Key: {gateway.key}\n"
            f"Content-Type: application/json\nContent-Length: {length}\n\n",
        )
        assert (answer.status, list(answer.json())) == (413, ["error"])


async def test_a_connection_that_ends_with_its_answer_says_so(tmp_path: Path) -> None:
    """A proxy that keeps it would send the next request into a closed one."""
    async with Gateway(tmp_path) as gateway:
        for client, expected in ((gateway.client("wrong"), "close"), (gateway.http, None)):
            for path in ("/api/sessions", "/api/sessions/unknown"):
                assert (await client.get(path)).headers.get("Connection") == expected
            assert (await client.post(READ, json={})).headers.get("Connection") == expected
        assert (await gateway.http.get("/api/nowhere")).headers["Connection"] == "close"


@pytest.mark.parametrize("path", ["/api/chat", READ])
@pytest.mark.parametrize("framing", ["Content-Length: 1000000", "Transfer-Encoding: chunked"])
async def test_strangers_are_refused_before_their_body_is_read(tmp_path: Path, path: str, framing: str) -> None:
    async with Gateway(tmp_path) as gateway:
        answer = await raw(
            gateway, f"POST {path} HTTP/1.1\nHost: localhost\nContent-Type: application/json\n{framing}\n\n"
        )
        assert answer.status == 401 and "Missing API key" in answer.json()["error"]
        bad = await gateway.client().post(path, content=b"{", headers={"Content-Type": "text/plain"})
        assert bad.status_code == 401


async def test_bad_query_parameters_are_a_400(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        for path in ("/api/sessions?limit=", "/api/sessions/x/messages?limit=", "/api/sessions/x/messages?before="):
            for value in ("x", "-1", "1.5", "1e3", "", "%00", "%ff", "\u0661", "0x10", "9" * 30, "9" * 6000):
                answer = await gateway.http.get(path + value)
                assert answer.status_code == 400 and answer.json()["error"], (path, value[:20], answer.text)


@pytest.mark.parametrize(
    "head",
    [
        "NONSENSE\n\n",
        "GET / HTTP/9.9\nHost: localhost\n\n",
        "GET /api/health HTTP/1.1\nHost: localhost\nHost: evil.example\n\n",
        "GET /api/health HTTP/1.1\n\n",
        "POST /api/chat HTTP/1.1\nHost: localhost\nContent-Length: -1\n\n",
        "POST /api/chat HTTP/1.1\nHost: localhost\nContent-Length: x\n\n",
        "POST /api/chat HTTP/1.1\nHost: localhost\nContent-Length: 1\nContent-Length: 2\n\n",
        "GET /api/health HTTP/1.1\nHost: localhost\nX: " + "x" * 1_000_000 + "\n\n",
        "GET /api/health?" + "x" * 1_000_000 + " HTTP/1.1\nHost: localhost\n\n",
        "GET /api/health HTTP/1.1\nHost: localhost\nX-API-Key: a\x00b\n\n",
    ],
)
async def test_broken_requests_disturb_nobody(tmp_path: Path, head: str) -> None:
    async with Gateway(tmp_path) as gateway:
        try:
            answer = await raw(gateway, head)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        else:
            assert 400 <= answer.status < 500
            assert b"Traceback" not in answer.body and str(tmp_path).encode() not in answer.body
        assert (await gateway.http.get("/api/health")).status_code == 200


async def test_every_route_with_a_rule_holds_to_it(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        stranger = gateway.client()
        for route, path in every_route():
            for method in ("GET", "POST"):
                answer = await stranger.request(method, path, json={} if method == "POST" else None)
                if route.access == "anyone":
                    assert answer.status_code not in (401, 500), (method, path)
                else:
                    assert answer.status_code == 401, (method, path)


def _do_not_wait(connection: peewee.Database) -> None:
    connection.execute_sql("PRAGMA busy_timeout = 50")


async def test_a_locked_database_is_a_503_and_only_for_what_must_write(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        session_id = (await gateway.http.post("/api/chat", json={"text": "hello"})).json()["session_id"]
        await gateway.state.database.run(_do_not_wait)
        socket = await gateway.socket()
        other = sqlite3.connect(gateway.state.paths.core_db, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for path, body in (("/api/chat", {"text": "x"}), (f"/api/sessions/{session_id}/read", {})):
            answer = await gateway.http.post(path, json=body)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1"), answer.text
            assert "locked" in answer.json()["error"] and str(tmp_path) not in answer.text
        await socket.send("message", text="x", client_message_id="m1")
        error = await socket.next()
        assert (error["type"], error["status"], error["client_message_id"]) == ("error", 503, "m1")
        assert len((await gateway.http.get("/api/sessions")).json()) == 1
        assert (await gateway.http.get("/api/health")).status_code == 200
        other.execute("ROLLBACK")
        other.close()
        assert (await socket.say("x", client_message_id="m1"))[-1]["is_error"] is False


async def test_when_users_cannot_be_read_nobody_is_let_in(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        with sqlite3.connect(gateway.state.paths.core_db) as other:
            other.execute("ALTER TABLE users RENAME TO moved")
    async with Gateway(tmp_path, bootstrap=False) as gateway:
        for client in (gateway.client(), gateway.client(gateway.key)):
            for path in ("/api/sessions", "/ws"):
                answer = await client.get(path)
                assert answer.status_code >= 500, (path, answer.text)
                assert "Traceback" not in answer.text and "moved" not in answer.text
            verify = await client.get("/api/auth/verify")
            assert (verify.status_code, verify.json()) == (200, {"authenticated": False, "auth_disabled": False})


async def test_a_fault_of_ours_is_an_internal_error_without_details(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        with sqlite3.connect(gateway.state.paths.core_db) as other:
            other.execute("ALTER TABLE session_metadata RENAME TO moved")
        answer = await gateway.http.get("/api/sessions")
        assert (answer.status_code, answer.json()) == (500, {"error": "internal error"})
        socket = await gateway.socket()
        await socket.send("message", text="x")
        error = await socket.next()
        assert (
            error["type"] == "error" and "moved" not in error["message"] and "session_metadata" not in error["message"]
        )
        await socket.send("ping")
        assert await socket.next() == {"type": "pong"}
