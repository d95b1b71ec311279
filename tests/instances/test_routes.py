"""The routes before a backend elsewhere: what it answers becomes a status that people can act on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import tornado.httpserver
import tornado.testing
import tornado.web

from tests.gateway import Gateway

TWO = [{"id": "abc-1", "status": "hatching", "starpod_api_key": "hidden"}, {"id": "abd-2", "status": "running"}]
LOG = b'2026-03-20T16:33:19Z WARN slow\n{"timestamp": 7, "level": "debug", "message": "json"}\nplain\n'


class Backend(tornado.web.RequestHandler):
    """Lists two instances; acts by the word in the path: a number is its status."""

    def initialize(self, seen: list[str]) -> None:
        self.seen = seen

    async def get(self, path: str) -> None:
        self.seen.append(f"{self.request.method} {path}")
        assert "never" not in str(self.request.headers)
        word = path.strip("/").partition("-0")[0]
        match path, word:
            case "", _ if self.request.method == "GET":
                self.write({"instances": TWO})
            case "/abc-1/logs", _:
                self.write(LOG)
            case "/abc-1/pause", _:
                self.set_status(405)
            case _, number if number.isdigit():
                self.set_status(int(number))
            case _, "cut":
                self.set_header("Content-Length", "100")
                self.write(b"{")
                await self.flush()
                self.request.connection.stream.close()  # type: ignore[attr-defined]
            case _:
                self.write(TWO[0])

    post = delete = get


class Elsewhere:
    """A gateway whose instances run at a `Backend`; `seen` is what that was asked."""

    def __init__(self, folder: Path, url: str | None = None, environ: Mapping[str, str] | None = None) -> None:
        self.seen: list[str] = []
        routes = [(r"/api/v1/instances(.*)", Backend, {"seen": self.seen})]
        self._server = tornado.httpserver.HTTPServer(tornado.web.Application(routes, log_function=lambda _: None))
        socket, port = tornado.testing.bind_unused_port()
        self._server.add_socket(socket)
        lines = {"STARPOD_INSTANCE_BACKEND_URL": url or f"http://127.0.0.1:{port}", "ANTHROPIC_API_KEY": "never"}
        self._environ = lines | dict(environ or {})
        self.gateway = Gateway(folder, settings={"instances": {"driver": "remote"}})

    async def __aenter__(self) -> Elsewhere:
        await self.gateway.__aenter__()
        text = "".join(f"{name}={value}\n" for name, value in self._environ.items())
        self.gateway.state.paths.env_file.write_text(text)
        await self.gateway.state.watcher.reload()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.gateway.__aexit__(None, None, None)
        self._server.stop()
        await self._server.close_all_connections()


@pytest.mark.gen_test
async def test_what_the_backend_says_passes_through_without_its_keys(tmp_path: Path) -> None:
    async with Elsewhere(tmp_path) as elsewhere:
        http = elsewhere.gateway.http
        assert (await http.get("/api/instances")).json() == [{"id": "abc-1", "status": "hatching"}, TWO[1]]
        assert (await http.get("/api/instances/abc")).json() == {"id": "abc-1", "status": "hatching"}
        assert (await http.post("/api/instances", json={"name": "x", "region": "eu"})).status_code == 201
        assert (await http.post("/api/instances/abc/pause")).json() == {"status": "paused"}
        assert elsewhere.seen[-2:] == [
            "POST /abc-1/pause",
            "POST /abc-1/stop",
        ]  # this backend knows the newer word only
        log = (await http.get("/api/instances/abc/logs?tail=3")).text
        assert log.splitlines() == [
            '{"timestamp":1774024399,"level":"warn","message":"slow"}',
            '{"timestamp":7,"level":"debug","message":"json"}',
            '{"timestamp":0,"level":"info","message":"plain"}',
        ]
        assert (await http.get("/i/abc/")).status_code == 409


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ab", 409), ("zz", 404), ("404", 404), ("409", 409), ("400", 400), ("422", 400), ("410", 404),
        ("401", 502), ("403", 502), ("429", 503), ("500", 502), ("503", 502), ("504", 504), ("302", 502), ("cut", 502),
    ],
)  # fmt: skip
async def test_each_failure_is_a_status_that_says_what_to_do(tmp_path: Path, word: str, status: int) -> None:
    async with Elsewhere(tmp_path) as elsewhere:
        instance_id = word if word in ("ab", "zz") else f"{word}-{'0' * 40}"  # a whole id is not looked up
        answer = await elsewhere.gateway.http.get(f"/api/instances/{instance_id}")
        assert (answer.status_code, "error" in answer.json()) == (status, True)


@pytest.mark.gen_test
async def test_a_backend_that_is_not_there(tmp_path: Path) -> None:
    socket, port = tornado.testing.bind_unused_port()
    socket.close()
    async with Elsewhere(tmp_path, f"http://127.0.0.1:{port}") as elsewhere:
        answer = await elsewhere.gateway.http.get("/api/instances")
        assert (answer.status_code, answer.json()) == (502, {"error": "List instances: the backend cannot be reached"})
