"""Kills a real gateway with SIGKILL at random moments of a streaming turn and checks what is left: `python -m tests.crash --rounds 50`.

After each kill: a message that was acknowledged is there, so is all text that was read a quarter of a second before; the session loads,
nothing was asked of the provider again, sending the message once more joins the old turn, and the next message is answered.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tornado.websocket import WebSocketClientConnection, websocket_connect

from starpod.server import prepare
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, Say, script

KEY = "crash-test-key-" + "0" * 32
PIECES = tuple(f"word{number} " for number in range(400))
JOURNAL_S = 0.25
START_TIMEOUT_S = 20.0


@dataclass
class Seen:
    """What a client knew when the gateway died."""

    accepted: dict[str, Any] | None = None
    texts: list[tuple[float, str]] = field(default_factory=list)

    def text_before(self, moment: float) -> str:
        return "".join(text for at, text in self.texts if at <= moment)


class GatewayProcess:
    """One gateway as a child process, on one folder, started again and again."""

    def __init__(self, folder: Path, base_url: str, *, keep_port: bool = False) -> None:
        self.folder = folder
        self.port = 0
        self._keep_port = keep_port
        self._environ = {**os.environ, "STARPOD_API_KEY": KEY, "LOCAL_API_KEY": "unused"}
        self._process: asyncio.subprocess.Process | None = None
        paths, _ = prepare(folder, self._environ)
        lines = [line for line in paths.agent_toml.read_text().splitlines() if not line.startswith("models =")]
        settings = ['models = ["local/model"]', *lines, "[providers.local]", f'base_url = "{base_url}"', ""]
        paths.agent_toml.write_text("\n".join(settings))

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "starpod.server", "--dir", str(self.folder), "--port", str(self.port if self._keep_port else 0),
            env=self._environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), START_TIMEOUT_S)
        self.port = int(line.decode().rsplit(":", 1)[1])

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def get(self, path: str) -> Any:
        async with httpx2.AsyncClient(headers={"X-API-Key": KEY}) as client:
            response = await client.get(f"http://127.0.0.1:{self.port}{path}")
            response.raise_for_status()
            return response.json()

    async def connect(self) -> WebSocketClientConnection:
        return await websocket_connect(f"ws://127.0.0.1:{self.port}/ws?token={KEY}")


async def listen(socket: WebSocketClientConnection, seen: Seen) -> None:
    while (message := await socket.read_message()) is not None:
        event = json.loads(message)
        if event["type"] == "accepted":
            seen.accepted = event
        elif event["type"] == "text_delta":
            seen.texts.append((time.monotonic(), event["text"]))


async def run_round(gateway: GatewayProcess, provider: OpenAIServer, number: int, kill_after_s: float) -> None:
    """One message, one kill, one restart. AssertionError when anything was lost or done twice."""
    with_tools = number % 3 == 0
    answer = script(Say(PIECES, 0.005))
    provider.play(*([script(Say(PIECES[:20], 0.005), CallTool("FileList")), answer] if with_tools else [answer]))
    message_id, text = f"message-{number}", f"question {number}"
    frame = {"type": "message", "text": text, "channel_session_key": "crash", "client_message_id": message_id}
    seen = Seen()
    socket = await gateway.connect()
    ears = asyncio.ensure_future(listen(socket, seen))
    await socket.write_message(json.dumps(frame))
    await asyncio.sleep(kill_after_s)
    killed_at = time.monotonic()
    await gateway.kill()
    await ears
    socket.close()
    asked = len(provider.requests)

    await gateway.start()
    if seen.accepted is not None:
        messages = await gateway.get(f"/api/sessions/{seen.accepted['session_id']}/messages")
        mine = [row for row in messages if row["turn_id"] == seen.accepted["turn_id"]]
        assert [row["content"] for row in mine if row["role"] == "user"] == [text], "an acknowledged message is missing"
        kept = "".join(row["content"] for row in mine if row["role"] == "assistant")
        safe = seen.text_before(killed_at - JOURNAL_S)
        assert kept.startswith(safe), f"text is missing: {len(safe)} characters were safe, {len(kept)} are there"
        assert len(provider.requests) == asked, "the gateway asked the provider again by itself"
        uses = [json.loads(row["content"])["id"] for row in mine if row["role"] == "tool_use"]
        results = [json.loads(row["content"])["tool_use_id"] for row in mine if row["role"] == "tool_result"]
        assert sorted(uses) == sorted(results), "a tool call was left without a result"
    await check_alive(gateway, provider, frame, seen, asked)


async def check_alive(
    gateway: GatewayProcess, provider: OpenAIServer, frame: dict[str, Any], seen: Seen, asked: int
) -> None:
    """Send the old message again, then a new one."""
    socket = await gateway.connect()
    if seen.accepted is not None:
        await socket.write_message(json.dumps(frame))
        again = await read_until(socket, "accepted")
        assert again["is_duplicate"], "the same message was taken twice"
        assert again["turn_id"] == seen.accepted["turn_id"], "the same message led to another turn"
        await read_until(socket, "stream_end")
        assert len(provider.requests) == asked, "a repeated message was paid for again"
    provider.play(script("still alive"))
    await socket.write_message(json.dumps({"type": "message", "text": "and now?", "channel_session_key": "crash"}))
    end = await read_until(socket, "stream_end")
    assert not end["is_error"], f"the next message failed: {end['errors']}"
    socket.close()


async def read_until(socket: WebSocketClientConnection, kind: str) -> dict[str, Any]:
    while True:
        message = await asyncio.wait_for(socket.read_message(), START_TIMEOUT_S)
        assert message is not None, f"the socket closed before {kind}"
        event: dict[str, Any] = json.loads(message)
        if event["type"] == kind:
            return event


async def run(rounds: int, seed: int, folder: Path) -> None:
    """All rounds; the first failure ends the run with its round and seed."""
    chance = random.Random(seed)
    with OpenAIServer() as provider:
        gateway = GatewayProcess(folder, provider.base_url)
        await gateway.start()
        try:
            for number in range(rounds):
                kill_after_s = chance.choice((chance.uniform(0, 0.05), chance.uniform(0, 2.5), chance.uniform(1, 2.5)))
                try:
                    await run_round(gateway, provider, number, kill_after_s)
                except AssertionError as error:
                    raise AssertionError(
                        f"round {number} (seed {seed}, killed after {kill_after_s:.3f} s): {error}"
                    ) from error
        finally:
            await gateway.kill()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="repeat a failed run")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(2**32)
    print(f"{arguments.rounds} rounds, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(arguments.rounds, seed, Path(folder)))
    print(f"{arguments.rounds} rounds passed, nothing lost, nothing done twice")
    return 0


if __name__ == "__main__":
    sys.exit(main())
