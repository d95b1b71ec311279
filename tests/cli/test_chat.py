"""`starpod chat` against a gateway of the test's own, over real sockets; the command line runs in this process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tornado.web
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from starpod.cli import main
from starpod.cli.gateway import parse_events
from starpod.db.lock import GatewayLock

ROOT = Path(__file__).resolve().parents[2]
START = {"type": "stream_start", "session_id": "s1"}
QUESTION = {"type": "approval_request", "session_id": "s1", "approval_id": "q1", "name": "Bash", "subject": "git push"}
END = {"type": "stream_end", "session_id": "s1", "is_error": False, "stopped": False}


def delta(text: str) -> dict[str, Any]:
    return {"type": "text_delta", "text": text}


@dataclass
class ScriptedGateway:
    """Answers `POST /api/chat` with the messages it was given, and keeps what it was asked."""

    messages: list[dict[str, Any]] = field(default_factory=lambda: [START, delta("Hel"), delta("lo"), END])
    status: int = 200
    refusal: dict[str, Any] | str = field(default_factory=dict)
    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hold: bool = False  # send the messages, then nothing more until the client leaves
    stopped: list[str] = field(default_factory=list)
    answers: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)


class ChatHandler(tornado.web.RequestHandler):
    def initialize(self, gateway: ScriptedGateway) -> None:
        self.gateway = gateway
        self.left = asyncio.Event()

    async def post(self) -> None:
        self.gateway.asked.append(json.loads(self.request.body))
        self.gateway.headers.append(dict(self.request.headers))
        self.set_status(self.gateway.status)
        if self.gateway.status != 200:
            self.write(self.gateway.refusal)
            return
        self.set_header("Content-Type", "text/event-stream")
        self.write(": keep-alive\n\n")
        for number, message in enumerate(self.gateway.messages, start=1):
            self.write(f"id: {number}\nevent: {message['type']}\ndata: {json.dumps(message)}\n\n")
            await self.flush()
        if self.gateway.hold:
            await self.left.wait()

    def on_connection_close(self) -> None:
        self.left.set()


class StopHandler(tornado.web.RequestHandler):
    def initialize(self, gateway: ScriptedGateway) -> None:
        self.gateway = gateway

    def post(self, session_id: str) -> None:
        self.gateway.stopped.append(session_id)
        self.write({"stopped": True})


class ApprovalHandler(tornado.web.RequestHandler):
    def initialize(self, gateway: ScriptedGateway) -> None:
        self.gateway = gateway

    def post(self, session_id: str, approval_id: str) -> None:
        self.gateway.answers.append((session_id, approval_id, json.loads(self.request.body)))
        self.write({"ok": True})


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    scripted = ScriptedGateway()
    sock, port = bind_unused_port()
    scripted.url = f"http://127.0.0.1:{port}"
    stop: list[Any] = []
    ready = threading.Event()

    async def serve() -> None:
        ended = asyncio.Event()
        given = {"gateway": scripted}
        routes = [
            ("/api/chat", ChatHandler, given),
            ("/api/sessions/(.*)/stop", StopHandler, given),
            ("/api/sessions/(.*)/approvals/(.*)", ApprovalHandler, given),
        ]
        server = HTTPServer(tornado.web.Application(routes, log_function=lambda _: None))
        server.add_socket(sock)
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(ended.set))
        ready.set()
        await ended.wait()
        server.stop()
        await server.close_all_connections()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="scripted-gateway")
    thread.start()
    assert ready.wait(10)
    yield scripted
    stop[0]()
    thread.join(10)


@pytest.fixture(autouse=True)
def outside_any_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STARPOD_API_KEY", raising=False)


def test_the_answer_alone_goes_to_stdout(gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.messages = [
        START,
        {"type": "tool_use", "id": "1", "name": "Read", "input": {"file_path": "notes.md"}},
        {"type": "tool_result", "tool_use_id": "1", "content": "no such file", "is_error": True},
        delta("Hel"),
        delta("lo"),
        END,
    ]
    assert main(["chat", "hi", "--url", gateway.url]) == 0
    out, err = capsys.readouterr()
    assert out == "Hello\n"
    assert "Read" in err
    assert "no such file" in err


def test_session_model_and_key_are_sent(gateway: ScriptedGateway) -> None:
    argv = [
        "chat",
        "hi",
        "--url",
        gateway.url,
        "--session",
        "work",
        "--model",
        "offline/assistant",
        "--key",
        "sp_live_1",
    ]
    assert main(argv) == 0
    asked = gateway.asked[0]
    assert (asked["text"], asked["channel_session_key"], asked["model"]) == ("hi", "work", "offline/assistant")
    assert asked["client_message_id"]
    assert gateway.headers[0]["X-Api-Key"] == "sp_live_1"
    assert gateway.headers[0]["Accept"] == "text/event-stream"


def test_the_key_may_come_from_the_environment(gateway: ScriptedGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARPOD_API_KEY", "sp_live_2")
    assert main(["chat", "hi", "--url", gateway.url]) == 0
    assert gateway.headers[0]["X-Api-Key"] == "sp_live_2"


def test_without_an_address_the_running_gateway_of_the_folder_is_asked(
    gateway: ScriptedGateway, tmp_path: Path
) -> None:
    assert main(["init"]) == 0
    lock = GatewayLock(tmp_path / ".starpod" / "db")
    lock.acquire()
    lock.announce(gateway.url)
    try:
        assert main(["chat", "hi"]) == 0
    finally:
        lock.release()
    assert len(gateway.asked) == 1


def test_without_a_gateway_the_agent_answers_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert main(["chat", "what is 12 * (3 + 4)?", "--session", "sums"]) == 0
    assert "84" in capsys.readouterr().out
    assert main(["keys", "list"]) == 0
    assert "starpod chat" not in capsys.readouterr().out  # nobody has signed up yet, so no key was needed


def _heeds_interrupts() -> None:
    # A test run that was started in the background by a shell ignores them, and its children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_an_interrupt_stops_the_turn(gateway: ScriptedGateway) -> None:
    gateway.messages, gateway.hold = [START, delta("half\n")], True
    command = [sys.executable, "-m", "starpod", "chat", "hi", "--url", gateway.url]
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_heeds_interrupts
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert gateway.stopped == ["s1"]
    assert err == "stopped\n"


@pytest.mark.parametrize(
    ("typed", "decision", "remember"),
    [
        ("y", "approve", "once"),
        ("s", "approve", "session"),
        ("Always", "approve", "forever"),
        ("", "deny", "once"),
        ("?", "deny", "once"),
    ],
)
def test_a_call_that_waits_is_decided_on_the_terminal(
    gateway: ScriptedGateway, typed: str, decision: str, remember: str
) -> None:
    gateway.messages = [START, QUESTION, END]
    command = [sys.executable, "-m", "starpod", "chat", "hi", "--url", gateway.url]
    terminal, stdin = os.openpty()
    try:
        os.write(terminal, f"{typed}\n".encode())
        environ = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environ, stdin=stdin, capture_output=True, text=True, timeout=30, check=True)
    finally:
        os.close(terminal)
        os.close(stdin)
    assert gateway.answers == [("s1", "q1", {"decision": decision, "remember": remember})]
    assert done.stdout == ""
    assert "waits for your word: git push" in done.stderr


def test_without_a_terminal_a_call_that_waits_is_only_told(
    gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.messages = [START, QUESTION, {"type": "approval_result", "approval_id": "q1", "outcome": "timeout"}, END]
    assert main(["chat", "hi", "--url", gateway.url]) == 0
    out, err = capsys.readouterr()
    assert (out, gateway.answers) == ("", [])
    assert err == "? waits for your word: git push\n  timeout\n"


def test_a_failed_turn_is_told_and_fails_the_command(
    gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.messages = [START, delta("Hal"), END | {"is_error": True, "errors": ["API error: overloaded"]}]
    assert main(["chat", "hi", "--url", gateway.url]) == 1
    out, err = capsys.readouterr()
    assert out == "Hal\n"
    assert "API error: overloaded" in err


def test_a_stream_without_an_end_fails_the_command(gateway: ScriptedGateway) -> None:
    gateway.messages = [START, delta("Hal")]
    assert main(["chat", "hi", "--url", gateway.url]) == 1


def test_unknown_messages_are_passed_over(gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.messages = [START, {"type": "from_the_future", "text": "?"}, delta("ok"), END]
    assert main(["chat", "hi", "--url", gateway.url]) == 0
    assert capsys.readouterr().out == "ok\n"


def test_an_answer_cannot_drive_the_terminal(gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.messages = [START, delta("a\x1b[2Jb\x1b]0;title\x07c\r\td"), END]
    assert main(["chat", "hi", "--url", gateway.url]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "\r" not in out
    assert "\td" in out


@pytest.mark.parametrize(
    ("status", "refusal", "told"),
    [
        (401, {"error": "Invalid API key"}, "Invalid API key"),
        (422, {"error": "model: unknown"}, "model: unknown"),
        (503, {"error": "The database is locked"}, "The database is locked"),
        (502, "<html>bad gateway</html>", "status 502"),
    ],
)
def test_a_refusal_is_one_line(
    gateway: ScriptedGateway, capsys: pytest.CaptureFixture[str], status: int, refusal: dict[str, str] | str, told: str
) -> None:
    gateway.status, gateway.refusal = status, refusal
    assert main(["chat", "hi", "--url", gateway.url]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


def test_no_gateway_is_one_line_that_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        assert main(["chat", "hi", "--url", address]) == 2
    err = capsys.readouterr().err
    assert "starpod serve" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(("url", "key"), [("not a url", "k"), ("ftp://127.0.0.1", "k"), ("http://127.0.0.1:1", "clé")])
def test_an_unusable_address_or_key_is_one_line(capsys: pytest.CaptureFixture[str], url: str, key: str) -> None:
    assert main(["chat", "hi", "--url", url, "--key", key]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_an_event_may_span_lines_and_comments_are_none() -> None:
    lines = [": ping", "", "event: x", 'data: {"type":', 'data: "a"}', "", 'data:{"type": "b"}', "", "data: [1]"]
    assert list(parse_events(lines)) == [{"type": "a"}, {"type": "b"}]
