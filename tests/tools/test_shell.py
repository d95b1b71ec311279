"""Bash and its two companions, with real processes. What needs bubblewrap is skipped where it does not work."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from starpod.config.schema import Config
from starpod.tools.runs import Runs
from starpod.tools.sandbox import MARK, Limits, command_line, environment, sandbox_works
from starpod.tools.shell import BashArguments, RunArguments, Shell
from starpod.tools.types import ToolContext, ToolFailure
from tests.gateway import Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, script

needs_sandbox = pytest.mark.skipif(not sandbox_works(), reason="bubblewrap does not work here")


class Terminal:
    """The tools for a user in `home`. Without a sandbox unless told otherwise, so that the tests run everywhere."""

    def __init__(self, home: Path, runs: Runs, **settings: Any) -> None:
        config = Config.model_validate({"tools": {"shell": True, "shell_sandbox": "off", **settings}})
        self.runs = runs
        self.shell = Shell(runs, config, is_admin=True)
        self.context = ToolContext("ann", "s", "t", home, "admin", lambda file: None, 1000)

    async def bash(self, command: str, **arguments: Any) -> str:
        return await self.shell.bash(self.context, BashArguments(command=command, **arguments))

    async def failure(self, command: str, **arguments: Any) -> str:
        with pytest.raises(ToolFailure) as caught:
            await self.bash(command, **arguments)
        return str(caught.value)

    async def output(self, run_id: str) -> str:
        return await self.shell.output(self.context, RunArguments(id=run_id))

    async def stop(self, run_id: str) -> str:
        return await self.shell.stop(self.context, RunArguments(id=run_id))

    async def background(self, command: str) -> str:
        text = await self.bash(command, run_in_background=True)
        return text.removeprefix("Started in the background with the id ").partition(".")[0]


@asynccontextmanager
async def terminal(home: Path, **settings: Any) -> AsyncIterator[Terminal]:
    runs = Runs()
    try:
        yield Terminal(home, runs, **settings)
    finally:
        await runs.close()


async def until(holds: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Look until it holds: processes of the system send no event."""
    deadline = time.monotonic() + timeout_s
    while not await asyncio.to_thread(holds):
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


def alive(pid_file: Path) -> bool:
    """Whether the process that wrote its id there still runs."""
    try:
        return psutil.Process(int(pid_file.read_text())).status() != psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, OSError, ValueError):
        return False


@pytest.mark.gen_test
async def test_a_command_runs_at_home_and_its_output_comes_in_order(home: Path) -> None:
    async with terminal(home) as desk:
        assert await desk.bash("echo out; echo err >&2; pwd; echo $HOME") == f"out\nerr\n{home}\n{home}"
        assert await desk.bash("true") == "(no output)"
        assert await desk.bash("cat") == "(no output)"  # nothing to read: it does not wait for a person


@pytest.mark.gen_test
async def test_a_failed_command_is_an_error_with_its_output(home: Path) -> None:
    async with terminal(home) as desk:
        assert await desk.failure("echo before; exit 3") == "before\n[exit code 3]"
        assert await desk.failure("kill -KILL $$") == "[ended by SIGKILL]"
        assert "[exit code 127]" in await desk.failure("no-such-command")
        assert await desk.failure("echo \0") == "The command holds a NUL character."


@pytest.mark.gen_test
async def test_secrets_of_the_gateway_do_not_reach_a_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        "STARPOD_API_KEY",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "SLACK_BOT_TOKEN",
    ]
    for name in [*names, "LD_PRELOAD_X", "MY_OWN_TOKEN"]:
        monkeypatch.setenv(name, "hidden-value")
    monkeypatch.setenv("LC_TIME", "C")
    async with terminal(home) as desk:
        shown = await desk.bash("env")
    assert "hidden-value" not in shown
    assert "LC_TIME=C" in shown
    assert set(environment(home, "r", {"PATH": "/bin", "X": "1"})) == {
        "PATH", "HOME", "PWD", "SHELL", "TERM", "TMPDIR", MARK,
    }  # fmt: skip


@pytest.mark.gen_test
async def test_a_flood_is_kept_by_its_ends_and_blocks_nobody(home: Path) -> None:
    async with terminal(home, shell_output_bytes=2000) as desk:
        text = await desk.bash("echo first; head -c 100000 /dev/zero | tr '\\0' x; echo; echo last")
    assert text.startswith("first\nxxx")
    assert text.endswith("xxx\nlast")
    assert "bytes of output left out]" in text
    assert len(text) < 2200


@pytest.mark.gen_test
async def test_an_endless_flood_is_ended(home: Path) -> None:
    async with terminal(home, shell_output_bytes=100_000) as desk:
        text = await desk.failure("yes")
    assert text.endswith("[stopped: it wrote more than 6400000 bytes]")


@pytest.mark.gen_test
async def test_the_time_limit_ends_a_command_that_ignores_it(home: Path) -> None:
    async with terminal(home) as desk:
        text = await desk.failure("trap '' TERM; echo started; echo $$ > pid; while :; do sleep 0.1; done", timeout=300)
    assert text == "started\n[stopped after 0.3 seconds: the time limit]"
    assert not alive(home / "pid")


@pytest.mark.gen_test
async def test_a_command_may_tidy_up_when_its_time_is_over(home: Path) -> None:
    async with terminal(home) as desk:
        text = await desk.failure("trap 'echo tidied; exit 0' TERM; sleep 60 & wait", timeout=300)
    assert "tidied" in text


@pytest.mark.gen_test
async def test_no_longer_than_the_settings_allow(home: Path) -> None:
    async with terminal(home, shell_timeout_secs=1) as desk:
        assert "after 1 seconds" in await desk.failure("sleep 60", timeout=3_600_000)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "escape",
    [
        "sleep 60 & echo $! > pid",
        "nohup sleep 60 > /dev/null 2>&1 & echo $! > pid",
        "setsid sh -c 'echo $$ > pid; trap \"\" TERM HUP; while :; do sleep 1; done' &",
        "(setsid sh -c 'echo $$ > pid; exec sleep 60' > /dev/null 2>&1 &) &",
        "env -i setsid sh -c 'echo $$ > pid; exec sleep 60' & sleep 0.8",
    ],
    ids=["child", "nohup", "setsid", "daemon", "without-environment"],
)
async def test_what_a_command_leaves_running_ends_with_it(home: Path, escape: str) -> None:
    async with terminal(home) as desk:
        await desk.bash(f"{escape}\nwhile [ ! -s pid ]; do sleep 0.01; done")
        assert not alive(home / "pid")


@pytest.mark.gen_test
async def test_a_command_that_forks_too_much_is_ended_with_all_of_it(home: Path) -> None:
    async with terminal(home, shell_processes=30) as desk:
        text = await desk.failure("for i in $(seq 120); do sleep 61.5 & done; echo spawned; wait")
    assert text.endswith("[stopped: it started more than 30 processes]")
    left = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "61.5"]]
    assert left == []


@pytest.mark.gen_test
@pytest.mark.parametrize("sandbox", ["off", pytest.param("required", marks=needs_sandbox)])
async def test_a_command_that_forks_too_much_gets_no_time_to_go_on(home: Path, sandbox: str) -> None:
    async with terminal(home, shell_processes=30, shell_sandbox=sandbox) as desk:
        text = await desk.failure(
            "trap 'echo asked > tidied; exit' TERM; for i in $(seq 120); do sleep 61.6 & done; while :; do sleep 0.05; done"
        )
    assert text.endswith("[stopped: it started more than 30 processes]")
    assert not (home / "tidied").exists()
    left = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "61.6"]]
    assert left == []


@pytest.mark.gen_test
async def test_a_command_that_takes_too_much_memory_fails(home: Path) -> None:
    async with terminal(home, shell_memory_mb=64) as desk:
        text = await desk.failure("head -c 200000000 /dev/zero | tail -c 150000000 | wc -c; exit ${PIPESTATUS[1]}")
    assert "150000000" not in text


@pytest.mark.gen_test
async def test_cancelling_ends_the_command_at_once(home: Path) -> None:
    async with terminal(home) as desk:
        running = asyncio.ensure_future(desk.bash("trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done"))
        await until(lambda: alive(home / "pid"))
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert alive(home / "pid")  # it got its seconds to tidy up, and nobody waited for that
        await until(lambda: not alive(home / "pid"))


@pytest.mark.gen_test
async def test_a_background_command_is_read_and_stopped(home: Path) -> None:
    async with terminal(home) as desk:
        run_id = await desk.background(
            "echo one; while [ ! -e go ]; do sleep 0.02; done; echo two; echo $$ > pid; sleep 60"
        )
        run = desk.runs.find(run_id, "ann")
        assert run is not None
        await until(lambda: run.output.size >= 4)
        assert await desk.output(run_id) == "one\n[still running]"
        assert await desk.output(run_id) == "[still running]"
        await asyncio.to_thread((home / "go").touch)
        await until(lambda: run.output.size >= 8)
        assert await desk.output(run_id) == "two\n[still running]"
        assert await desk.stop(run_id) == "[stopped]"
        assert not alive(home / "pid")
        assert await desk.output(run_id) == "[stopped]"


@pytest.mark.gen_test
async def test_a_background_command_that_ended_can_still_be_read(home: Path) -> None:
    async with terminal(home) as desk:
        run_id = await desk.background("echo done")
        run = desk.runs.find(run_id, "ann")
        assert run is not None
        await asyncio.wait_for(run.ended.wait(), 10)
        assert await desk.output(run_id) == "done\n[ended well]"
        assert await desk.stop(run_id) == "[ended well]"


@pytest.mark.gen_test
async def test_background_commands_are_their_owners_and_not_too_many(home: Path) -> None:
    async with terminal(home) as desk:
        ids = [await desk.background("sleep 60") for _ in range(8)]
        assert "8 commands run in the background already" in await desk.failure("sleep 60", run_in_background=True)
        desk.context = ToolContext("bob", "s", "t", home, "admin", lambda file: None, 1000)
        with pytest.raises(ToolFailure, match="Known ids: none"):
            await desk.output(ids[0])
        with pytest.raises(ToolFailure, match="There is no command"):
            await desk.stop(ids[0])


@pytest.mark.gen_test
async def test_background_commands_end_with_the_gateway(home: Path) -> None:
    async with terminal(home) as desk:
        await desk.background("trap '' TERM; setsid sh -c 'echo $$ > pid; sleep 60' & sleep 60")
        await until(lambda: alive(home / "pid"))
    assert not alive(home / "pid")


@needs_sandbox
@pytest.mark.gen_test
async def test_the_sandbox_shows_the_home_and_not_the_gateways_folder(tmp_path: Path, home: Path) -> None:
    secret = tmp_path / ".starpod" / "db" / "core.db"
    secret.parent.mkdir(parents=True)
    secret.write_text("the secret")
    link = home / "link"
    link.symlink_to(secret.parent)
    async with terminal(home, shell_sandbox="required") as desk:
        for path in (
            secret,
            "../.star*/db/core.db",
            "link/core.db",
            f"/proc/1/root{secret}",
            f"/proc/{os.getpid()}/environ",
        ):
            assert "the secret" not in await desk.failure(f"cat {path}")
        assert await desk.bash("echo hello > file; cat file; ls ..") == "hello\nhome"
    assert (home / "file").read_text() == "hello\n"
    assert secret.read_text() == "the secret"


@needs_sandbox
@pytest.mark.gen_test
async def test_the_sandbox_gives_no_rights_and_no_secrets_of_the_system(home: Path) -> None:
    async with terminal(home, shell_sandbox="required") as desk:
        assert "No such file" in await desk.failure("cat /etc/shadow")
        assert "CapEff:\t0000000000000000" in await desk.bash("cat /proc/self/status")
        assert "Read-only" in await desk.failure("touch /usr/bin/new")
        assert await desk.bash("mkdir /tmp/x && echo in > /tmp/x/y && cat /tmp/x/y") == "in"
        assert not await asyncio.to_thread(Path("/tmp/x/y").exists)
        assert await desk.bash("git --version || true; python3 -c 'print(1+1)' || true") != "(no output)"


def test_a_gateway_below_a_system_folder_is_hidden_from_its_sandbox() -> None:
    def line(root: str) -> str:
        hidden = Path(root) / ".starpod"
        home = hidden / "users" / "ann" / "home"
        limits = Limits(timeout_s=1, memory_mb=100, processes=10, output_bytes=1000)
        return " ".join(command_line("ls", home, limits, sandboxed=True, network=True, hidden=hidden))

    shown = line("/opt/agent")
    assert shown.index("--ro-bind-try /opt /opt") < shown.index("--tmpfs /opt/agent/.starpod ")
    assert shown.index("--tmpfs /opt/agent/.starpod ") < shown.index("--bind /opt/agent/.starpod/users/ann/home")
    assert "--tmpfs /srv" not in line("/srv/agent")


@pytest.mark.gen_test
async def test_people_who_are_no_admins_get_no_shell_outside_the_sandbox(home: Path) -> None:
    runs = Runs()
    config = Config.model_validate({"tools": {"shell": True, "shell_for_users": True, "shell_sandbox": "off"}})
    context = ToolContext("bob", "s", "t", home, "user", lambda file: None, 1000)
    with pytest.raises(ToolFailure, match="it needs a sandbox"):
        await Shell(runs, config, is_admin=False).bash(context, BashArguments(command="echo x > made"))
    assert not (home / "made").exists()


@needs_sandbox
@pytest.mark.gen_test
async def test_in_the_sandbox_nothing_is_left_running_either(home: Path) -> None:
    async with terminal(home, shell_sandbox="required") as desk:
        await desk.bash("(setsid sh -c 'trap \"\" TERM; exec env -i sleep 62.5' > /dev/null 2>&1 &) & sleep 0.1")
        text = await desk.failure("trap 'echo tidied; exit 1' TERM; sleep 62.5 & wait", timeout=300)
        assert "tidied" in text
    left = [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "62.5"]]
    assert left == []


@needs_sandbox
@pytest.mark.gen_test
async def test_without_internet_the_sandbox_has_no_network(home: Path) -> None:
    command = "ls /sys/class/net 2>/dev/null || cat /proc/net/dev"
    runs = Runs()
    config = Config.model_validate(
        {"tools": {"shell": True, "shell_sandbox": "required"}, "internet": {"enabled": False}}
    )
    context = ToolContext("ann", "s", "t", home, "admin", lambda file: None, 1000)
    shown = await Shell(runs, config, is_admin=True).bash(context, BashArguments(command=command))
    await runs.close()
    assert "lo" in shown
    assert "eth" not in shown


def test_the_shell_is_off_unless_switched_on_and_for_admins_only() -> None:
    def offered(is_admin: bool, **tools: bool) -> list[str]:
        config = Config.model_validate({"tools": tools})
        return [spec.name for spec in Shell(Runs(), config, is_admin=is_admin).tools()]

    assert offered(True) == []
    assert offered(False, shell=True) == []
    assert offered(True, shell=True) == ["Bash", "BashOutput", "BashStop"]
    assert offered(False, shell=True, shell_for_users=True) == ["Bash", "BashOutput", "BashStop"]


@pytest.mark.gen_test
async def test_stopping_a_turn_ends_its_command(tmp_path: Path) -> None:
    settings = {"tools": {"shell": True, "shell_sandbox": "off"}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        gateway.provider.play(script(CallTool("Bash", '{"command": "echo $$ > pid; sleep 60"}')))
        socket = await gateway.socket()
        await socket.send("message", text="go", channel_session_key="a")
        used = await socket.next("tool_use")
        await until(lambda: alive(gateway.home / "pid"))
        await socket.send("cancel", session_id=used["session_id"])
        end = await socket.next("stream_end")
        assert end["stopped"]
        await until(lambda: not alive(gateway.home / "pid"))


@pytest.mark.gen_test
async def test_long_output_is_whole_in_storage_and_cut_for_the_model(tmp_path: Path) -> None:
    settings = {"tools": {"shell": True, "shell_sandbox": "off"}, "compaction": {"max_tool_result_bytes": 1000}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        command = '{"command": "echo first; seq 10000; echo last; exit 1"}'
        gateway.provider.play(script(CallTool("Bash", command)), script("Failed."))
        frames = await (await gateway.socket()).say("go")
        rows = (await gateway.http.get(f"/api/sessions/{frames[-1]['session_id']}/messages")).json()
        shown = gateway.provider.requests[1].body["messages"][-1]["content"]
    (result,) = [frame for frame in frames if frame["type"] == "tool_result"]
    assert result["is_error"]
    assert len(result["content"]) == 503
    (stored,) = [row["content"] for row in rows if row["role"] == "tool_result"]
    assert "\\n9999\\n10000\\nlast" in stored
    assert "\\n5000\\n" in stored
    assert "first" in shown
    assert "last\\n[exit code 1]" in shown
    assert len(shown) < 1500
