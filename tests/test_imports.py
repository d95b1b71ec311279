"""Several parts of a gateway may need the same large library at the same moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from starpod.agent import embeddings, provider_clients
from starpod.imports import import_in_thread
from starpod.tools.mcp import connection

sys.setswitchinterval(1e-5)  # as on a machine that is busy


async def main():
    await asyncio.gather(
        import_in_thread(connection._libraries),
        import_in_thread(provider_clients.import_sdk, "openai"),
        import_in_thread(embeddings._import),
        import_in_thread(provider_clients.import_sdk, "anthropic"),
    )
    import pydantic_ai.mcp, pydantic_ai.models.anthropic, pydantic_ai.models.openai


asyncio.run(main())
"""


def test_parts_that_need_the_model_library_at_once_all_get_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


IDLE = """
import asyncio, json, sys
from pathlib import Path
from starpod.server import Server, prepare
from starpod.state import open_state


async def main():
    paths, loaded = prepare(Path(sys.argv[1]), {})
    state = await open_state(paths, loaded, environ={})
    server = Server(state, host="127.0.0.1", port=0)
    await server.start()
    await state.memory_index.ready()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /api/health HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n")
    status = (await reader.readline()).decode()
    writer.close()
    from handlers.schemas import CLIENT_FRAME, ChatMessage, JobBody
    from starpod.tools.cron import AddArguments
    built = [kind.__name__ for kind in (ChatMessage, JobBody, AddArguments) if kind.__pydantic_complete__]
    print(json.dumps({"status": status, "modules": list(sys.modules), "built": built, "frame": CLIENT_FRAME.pydantic_complete}))
    await server.stop()


asyncio.run(main())
"""
# Each takes from half a megabyte to sixty, and is loaded with the first message, search, scrape or socket that needs it.
NEEDED_LATER = {
    "anthropic",
    "fastmcp",
    "genai_prices",
    "google.genai",
    "httpx2",
    "mcp",
    "openai",
    "opentelemetry",
    "prometheus_client",
    "pydantic_ai",
    "regex",
    "rich",
    "starpod.memory.finding",
    "starpod.memory.lexicon",
    "starpod.tools.families",
    "starpod.tools.files",
    "telegram",
    "trafilatura",
    "typer",
}


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a process holds whose gateway has answered one question for its health."""
    folder: Path = tmp_path_factory.mktemp("idle")
    done = subprocess.run(
        [sys.executable, "-c", IDLE, str(folder)], capture_output=True, text=True, timeout=60, env={"LANG": "C.UTF-8"}
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    assert "200" in str(found["status"])
    return found


def test_an_idle_gateway_has_not_loaded_what_only_later_is_needed(idle: dict[str, object]) -> None:
    modules = idle["modules"]
    assert isinstance(modules, list)
    assert "starpod.agent.service" in modules
    assert NEEDED_LATER & set(modules) == set()


def test_an_idle_gateway_has_not_built_the_readers_of_what_nobody_sent(idle: dict[str, object]) -> None:
    assert idle["built"] == []
    assert idle["frame"] is False
