"""Carries out what stands in the code blocks of a page, in order, as a reader would: one shell, one agent, one running gateway.

What would change the machine (packages, services, whatever needs sudo) or needs what it lacks (containers) is done by stand-ins that only
accept the call.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import tomlkit
import yaml

from starpod.config.loader import load_config
from tests.channels.telegram.bot_api import TOKEN
from tests.gateway import ADMIN_KEY, Gateway

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\S*)(?P<options>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$", re.M | re.S
)
STAND_INS = ("docker", "git", "pip", "sudo")
# What a terminal of its own runs: the gateway that the tests have started.
SERVERS = frozenset({"make run", "starpod serve"})
BLOCK_TIMEOUT_S = 60.0
# As a reader would notice it: an answer that is an error ends the page.
PRELUDE = r"""
set -euo pipefail
curl() { command curl --fail-with-body --show-error "$@"; }
"""


@dataclass(frozen=True, slots=True)
class Block:
    """One code block: its language, what stands behind it on the fence, and the dedented code."""

    language: str
    options: str
    code: str
    line: int


def blocks(path: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    return [
        Block(m["language"], m["options"], textwrap.dedent(m["code"]), text.count("\n", 0, m.start()) + 1)
        for m in BLOCK.finditer(text)
    ]


class Reader:
    """Does what a page says, on a running gateway. `output` is all that the commands printed."""

    def __init__(self, gateway: Gateway, *, shims: Path) -> None:
        self._gateway = gateway
        self._folder = gateway.folder
        self._shims = shims
        self.output = ""
        self._shell: asyncio.subprocess.Process

    async def __aenter__(self) -> Reader:
        self._shims.mkdir()
        for name in STAND_INS:
            (self._shims / name).write_text("#!/bin/sh\n")
            (self._shims / name).chmod(0o755)
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("STARPOD_", "PIP_"))}
        path = os.pathsep.join([str(self._shims), str(Path(sys.executable).parent), environ["PATH"]])
        self._environ = environ | {"PATH": path, "STARPOD_API_KEY": ADMIN_KEY, "NO_COLOR": "1", "COLUMNS": "200"}
        self._shell = await asyncio.create_subprocess_exec(
            "bash", "--norc", cwd=self._folder, env=self._environ, limit=2**22,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        await self._type(PRELUDE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shell.returncode is None:
            self._shell.kill()
        await self._shell.wait()

    async def do(self, block: Block) -> None:
        """Carry out one block. AssertionError with what was printed when it fails."""
        code = self._fill_in(block.code)
        match block.language:
            case "sh":
                if "terminal" in block.options:
                    assert code.strip() in SERVERS, code
                else:
                    await self._type(code)
            case "python":
                script = self._shims / f"line{block.line}.py"
                script.write_text(code)
                await self._type(f"python {script}")
            case "toml":
                title = re.search(r'title="([\w.-]+)"', block.options)
                await self._save(code, title[1] if title else "agent.toml")
            case "json":
                json.loads(code)
            case "yaml":
                yaml.safe_load(code)
            case "text" | "markdown":
                pass
            case _:
                raise AssertionError(f"nobody knows how to try a block of {block.language!r}")

    def _fill_in(self, code: str) -> str:
        """What a reader would put in the place of what the page shows."""
        address = self._gateway.url.removeprefix("http://")
        code = code.replace("127.0.0.1:3000", address).replace("123456:ABC-your-bots-token", TOKEN)
        return code.replace("sp_live_...", ADMIN_KEY)

    async def _type(self, code: str) -> None:
        assert self._shell.stdin is not None and self._shell.stdout is not None
        script = self._shims / "typed.sh"
        script.write_text(code + "\n")
        self._shell.stdin.write(f"source {script} </dev/null\necho; echo --done--\n".encode())
        said = ""
        async with asyncio.timeout(BLOCK_TIMEOUT_S):
            while not said.endswith("\n--done--\n"):
                line = await self._shell.stdout.readline()
                said += line.decode(errors="replace")
                assert line, f"failed:\n{code}\nprinted:\n{said}"
        self.output += said.removesuffix("\n--done--\n")

    async def _save(self, code: str, name: str) -> None:
        """Merge a block into a settings file, as a person would who edits it."""
        path = self._gateway.state.paths.config_dir / name
        before = load_config(self._gateway.state.paths, {}).warnings
        document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
        _merge(document, tomlkit.parse(code))
        path.write_text(tomlkit.dumps(document), encoding="utf-8")
        warnings = load_config(self._gateway.state.paths, {}).warnings
        assert set(warnings) <= set(before), warnings
        await self._gateway.state.watcher.reload()
        assert not self._gateway.state.watcher.problems


def _merge(into: dict[str, object], new: dict[str, object]) -> None:
    for key, value in new.items():
        old = into.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            _merge(old, value)
        else:
            into[key] = value
