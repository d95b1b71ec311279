"""Models of a local Ollama. The server speaks its API; nobody waits for it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tests.gateway import TIMEOUT_S, Gateway

pytestmark = pytest.mark.gen_test
MODELS = "/api/settings/models"


class Ollama:
    """`/api/tags` and `/api/show`; `gate` holds the first back."""

    def __init__(self) -> None:
        self.names: object = ["qwen3.5:9b", "llava"]
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0
        ollama = self

        class Tags(RequestHandler):
            async def get(self) -> None:
                ollama.asked += 1
                await ollama.gate.wait()
                names = ollama.names
                rows = [{"name": name} for name in names] if isinstance(names, list) else names
                self.finish(json.dumps({"models": rows}))

        class Show(RequestHandler):
            def post(self) -> None:
                name = json.loads(self.request.body)["model"]
                info = {"qwen.context_length": 4096} if name.startswith("qwen") else {"clip.vision.block_count": 24}
                self.finish({"model_info": info})

        sock, self.port = bind_unused_port()
        self.server = HTTPServer(Application([("/api/tags", Tags), ("/api/show", Show)]))
        self.server.add_sockets([sock])


async def listed(gateway: Gateway, wanted: list[str]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while (await gateway.http.get(MODELS)).json()["models"]["ollama"] != wanted:
            pass


async def test_its_models_are_found_in_the_background(tmp_path: Path) -> None:
    ollama = Ollama()
    ollama.gate.clear()
    settings = {"providers": {"ollama": {"base_url": f"http://127.0.0.1:{ollama.port}/v1"}}}
    async with Gateway(tmp_path, settings=settings) as gateway:
        async with asyncio.timeout(1):
            assert (await gateway.http.get(MODELS)).json()["models"]["ollama"] == []
        ollama.gate.set()
        await listed(gateway, ["llava", "qwen3.5:9b"])
        models = gateway.state.agent.models
        assert models.context_window("ollama/qwen3.5:9b") == 4096
        assert models.context_window("ollama/llava") == 131_072
        assert models.supports_vision("ollama/llava") and not models.supports_vision("ollama/qwen3.5:9b")
        assert ollama.asked == 1
        await gateway.http.get(MODELS)
        assert ollama.asked == 1
    ollama.server.stop()


@pytest.mark.parametrize("names", [{"a": 1}, [None, 5], "x", None])
async def test_nonsense_means_no_models(tmp_path: Path, names: object) -> None:
    ollama = Ollama()
    ollama.names = names
    settings = {"providers": {"ollama": {"base_url": f"http://127.0.0.1:{ollama.port}"}}}
    async with Gateway(tmp_path, settings=settings) as gateway:
        await gateway.state.agent.ollama.ask()
        assert ollama.asked == 1
        assert (await gateway.http.get(MODELS)).status_code == 200
    ollama.server.stop()


async def test_nobody_there_is_no_error(tmp_path: Path) -> None:
    settings = {"providers": {"ollama": {"base_url": "http://127.0.0.1:1"}}}
    async with Gateway(tmp_path, settings=settings) as gateway:
        await gateway.state.agent.ollama.ask()
        assert (await gateway.http.get(MODELS)).json()["models"]["ollama"] == []


async def test_a_provider_that_is_off_is_not_asked(tmp_path: Path) -> None:
    ollama = Ollama()
    settings = {"providers": {"ollama": {"base_url": f"http://127.0.0.1:{ollama.port}", "enabled": False}}}
    async with Gateway(tmp_path, settings=settings) as gateway:
        await gateway.state.agent.ollama.ask()
        assert ollama.asked == 0
    ollama.server.stop()
