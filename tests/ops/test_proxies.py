"""The settings for nginx and Caddy in `conf/`, tried by the programs themselves: with TLS, before a gateway that answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from starpod.paths import shipped
from tests.gateway import Gateway, Socket, said
from tests.handlers.support import events_of
from tests.net.certificate import self_signed_file
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Gate, Wait, script

NAME = "agent.example.org"
TIMEOUT_S = 20.0
STREAM = {"Accept": "text/event-stream"}
SETTINGS = {"auth": {"allowed_hosts": [NAME], "trusted_proxies": ["127.0.0.1"]}}

pytestmark = pytest.mark.gen_test(timeout=90)


def nginx(folder: Path, port: int, backend: int, certificate: Path) -> list[str]:
    """The shipped site on another port, with what Debian's nginx.conf says around it."""
    site = (shipped("conf") / "nginx" / "starpod.conf").read_text()
    site = re.sub(r"listen \[::\].*;", "", site).replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
    site = re.sub(r"(ssl_certificate ).*;", rf"\1{certificate};", site)
    site = re.sub(r"(ssl_certificate_key ).*;", rf"\1{certificate};", site).replace(
        "127.0.0.1:3000", f"127.0.0.1:{backend}"
    )
    places = "".join(
        f"{name}_temp_path {folder / name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\npid {folder / 'pid'};\nerror_log stderr;\nworker_processes 1;\nevents {{}}\n"
        f"http {{\naccess_log off;\ngzip on;\n{places}{site}}}\n"
    )
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, backend: int, certificate: Path) -> list[str]:
    """The shipped file on another port, with a certificate that nobody has to be asked for."""
    text = (shipped("conf") / "caddy" / "Caddyfile").read_text().replace("127.0.0.1:3000", f"127.0.0.1:{backend}")
    site = text.replace(f"{NAME} {{", f"https://{NAME}:{port} {{\n\tbind 127.0.0.1\n\ttls {certificate} {certificate}")
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


PROXIES = [
    pytest.param(
        make, marks=pytest.mark.skipif(shutil.which(make.__name__) is None, reason=f"there is no {make.__name__} here")
    )
    for make in (nginx, caddy)
]
Make = Callable[[Path, int, int, Path], list[str]]


class Proxied:
    """Clients that come to a gateway through its proxy, by the name that the proxy has."""

    def __init__(self, gateway: Gateway, port: int, trust: ssl.SSLContext) -> None:
        self.gateway = gateway
        self.host = f"{NAME}:{port}"
        self._at = f"localhost:{port}"
        self._trust = trust
        self.resources = contextlib.ExitStack()
        self.http = httpx2.AsyncClient(
            base_url=f"https://{self._at}",
            verify=trust,
            trust_env=False,
            timeout=TIMEOUT_S,
            headers={"Host": self.host, "X-API-Key": gateway.key},
        )

    async def socket(self, path: str = "/ws", **headers: str) -> Socket:
        request = HTTPRequest(
            f"wss://{self._at}{path}?token={self.gateway.key}",
            headers={"Host": self.host, **headers},
            ssl_options=self._trust,
        )
        connection = await asyncio.wait_for(websocket_connect(request), TIMEOUT_S)
        self.resources.callback(connection.close)
        return Socket(connection)


@contextlib.asynccontextmanager
async def proxied(make: Make, gateway: Gateway) -> AsyncIterator[Proxied]:
    """The proxy of these settings before the gateway, until the block is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(dir=gateway.folder) as folder:
        certificate = self_signed_file(Path(folder), NAME, "localhost")
        with started(make(Path(folder), port, gateway.server.port, certificate), Path(folder)) as process:
            await listening(port, process)
            found = Proxied(gateway, port, ssl.create_default_context(cafile=str(certificate)))
            async with found.http:
                with found.resources:
                    yield found


@contextlib.contextmanager
def started(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program, without a word of it on the screen, until the block is left."""
    environ = {**os.environ, **dict.fromkeys(("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"), str(folder))}
    with (folder / "log").open("w+b") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environ)
        try:
            yield process
        except BaseException:
            log.seek(0)
            print(log.read().decode(errors="replace"))
            raise
        finally:
            process.terminate()
            process.wait(TIMEOUT_S)


async def listening(port: int, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            assert process.poll() is None
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("make", PROXIES)
async def test_requests_and_large_bodies_pass(make: Make, tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings=SETTINGS) as gateway, proxied(make, gateway) as proxy:
        assert (await proxy.http.get("/api/health/ready")).status_code == 200
        assert "<html" in (await proxy.http.get("/")).text
        assert (await proxy.http.get("/api/sessions")).json() == []
        assert (await proxy.http.get("/api/sessions", headers={"X-API-Key": "wrong"})).status_code == 401
        page = {"Origin": f"https://{proxy.host}", "X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "http"}
        signed_in = await proxy.http.post("/api/auth/login", json={"key": gateway.key}, headers=page)
        assert signed_in.status_code == 200 and "Secure" in signed_in.headers["Set-Cookie"]
        # What a client says of itself is not passed on.
        events = await gateway.state.auth.list_audit()
        assert [event.ip_address for event in events if event.event_type == "login_ok"] == ["127.0.0.1"]
        upload = bytes(range(256)) * 12_000
        assert (await proxy.http.put("/api/files/raw?path=a.bin", content=upload)).status_code == 201
        assert (await proxy.http.get("/api/files/raw?path=a.bin")).content == upload
        assert (gateway.home / "a.bin").read_bytes() == upload


@pytest.mark.parametrize("make", PROXIES)
async def test_events_of_a_stream_come_as_they_are_made(make: Make, tmp_path: Path) -> None:
    """The model says the rest only when the beginning has arrived, so a proxy that holds it back never ends."""
    gate = Gate()
    async with (
        Gateway(tmp_path, OpenAIServer(), settings=SETTINGS) as gateway,
        proxied(make, gateway) as proxy,
    ):
        gateway.provider.play(script("early ", Wait(gate), "late"))
        seen = b""
        async with proxy.http.stream("POST", "/api/chat", json={"text": "hi"}, headers=STREAM) as answer:
            async for piece in answer.aiter_bytes():
                seen += piece
                if b"early" in seen:
                    gate.open()
        assert said(events_of(seen)) == "early late"


@pytest.mark.parametrize("make", PROXIES)
async def test_sockets_stay_open_and_say_why_they_close(make: Make, tmp_path: Path) -> None:
    gate = Gate()
    async with (
        Gateway(tmp_path, OpenAIServer(), settings=SETTINGS) as gateway,
        proxied(make, gateway) as proxy,
    ):
        gateway.provider.play(script("early ", Wait(gate), "late"))
        page = await proxy.socket(Origin=f"https://{proxy.host}")
        await page.send("message", text="hi", channel_session_key="a")
        assert (await page.next("text_delta"))["text"] == "early "
        gate.open()
        assert said(await page.until("stream_end")) == "late"
        await gateway.stop()
        assert (await page.closed()).code == 1001


@pytest.mark.parametrize("make", PROXIES)
async def test_an_instance_is_reached_through_both(make: Make, tmp_path: Path) -> None:
    async with Gateway(tmp_path, settings=SETTINGS) as gateway, proxied(make, gateway) as proxy:
        made = (await proxy.http.post("/api/instances", json={"name": "Bee"})).json()
        here = f"/i/{made['id']}"
        try:
            await running(proxy.http, made["id"])
            assert (await proxy.http.get(f"{here}/api/settings/general")).json()["agent_name"] == "Bee"
            assert "<html" in (await proxy.http.get(f"{here}/")).text
            answer = await proxy.http.post(f"{here}/api/chat", json={"text": "hello"}, headers=STREAM)
            assert events_of(answer.content)[-1]["type"] == "stream_end"
            page = await proxy.socket(f"{here}/ws", Origin=f"https://{proxy.host}")
            assert (await page.say("hello"))[-1]["is_error"] is False
        finally:
            await gateway.http.delete(f"/api/instances/{made['id']}")


async def running(http: httpx2.AsyncClient, instance_id: str) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            found: dict[str, Any] = json.loads((await http.get(f"/api/instances/{instance_id}")).content)
            if found["status"] == "running":
                return
            await asyncio.sleep(0.05)
