"""Bash, BashOutput, BashStop: commands in the user's home."""

from __future__ import annotations

import asyncio

from pydantic import Field

from starpod.config.schema import Config
from starpod.tools import sandbox
from starpod.tools.run import Run
from starpod.tools.runs import Runs
from starpod.tools.sandbox import Limits
from starpod.tools.types import Arguments, ToolContext, ToolFailure, ToolSpec

MOST_BACKGROUND_RUNS = 8
"""Of one user at a time."""


class BashArguments(Arguments):
    command: str = Field(min_length=1, max_length=100_000, description="What to run; it starts in the home directory")
    timeout: int = Field(default=120_000, ge=1, description="Longest time in milliseconds")
    description: str = Field(default="", description="What it does, in a few words")
    run_in_background: bool = Field(default=False, description="Return at once; BashOutput and BashStop take the id")


class RunArguments(Arguments):
    id: str = Field(description="Id of a command that was started in the background")


class Shell:
    """The three tools under the settings of one turn."""

    def __init__(self, runs: Runs, config: Config, *, is_admin: bool) -> None:
        self._runs = runs
        self._settings = config.tools
        self._network = config.internet.enabled
        # Without the sandbox a command sees all that the gateway's account sees, other people's files among it.
        self._is_confined = config.tools.shell_sandbox == "required" or not is_admin
        self._is_offered = config.tools.shell and (is_admin or config.tools.shell_for_users)

    def tools(self) -> tuple[ToolSpec, ...]:
        """None while the shell is switched off, or not for this user."""
        if not self._is_offered:
            return ()
        return (
            ToolSpec(
                "Bash",
                "Run a shell command in the home directory. Gives what it wrote; what it leaves running is ended with it, "
                "unless run_in_background is set.",
                BashArguments,
                self.bash,
                sequential=True,
            ),
            ToolSpec(
                "BashOutput", "What a command in the background wrote since the last time.", RunArguments, self.output
            ),
            ToolSpec("BashStop", "End a command in the background.", RunArguments, self.stop, sequential=True),
        )

    async def bash(self, context: ToolContext, arguments: BashArguments) -> str:
        """The output. ToolFailure with the output when the command failed or was cut off."""
        if "\0" in arguments.command:
            raise ToolFailure("The command holds a NUL character.")
        self._runs.sweep(keep_s=3600)
        if not arguments.run_in_background:
            return await self._foreground(context, arguments)
        mine = [run for run in self._runs.of(context.user_id) if not run.ended.is_set()]
        if len(mine) >= MOST_BACKGROUND_RUNS:
            ids = ", ".join(run.id for run in mine)
            raise ToolFailure(
                f"{len(mine)} commands run in the background already ({ids}). End one with BashStop first."
            )
        run = await self._start(context, arguments)
        return f"Started in the background with the id {run.id}. It ends when the gateway does."

    async def output(self, context: ToolContext, arguments: RunArguments) -> str:
        """What came since the last call, and how the command stands."""
        run = self._find(context, arguments.id)
        return _told(run.output.news(), run.status() or "[ended well]")

    async def stop(self, context: ToolContext, arguments: RunArguments) -> str:
        """End it; gives what it wrote at last."""
        run = self._find(context, arguments.id)
        run.stop("stopped")
        await run.ended.wait()
        return _told(run.output.news(), run.status() or "[ended well]")

    async def _foreground(self, context: ToolContext, arguments: BashArguments) -> str:
        run = await self._start(context, arguments)
        try:
            async with asyncio.timeout(run.limits.timeout_s):
                await run.ended.wait()
        except TimeoutError:
            run.stop("time")
            await run.ended.wait()
        except asyncio.CancelledError:
            # The person does not wait for the command's last words.
            run.stop("stopped")
            raise
        finally:
            self._runs.forget_when_ended(run)
        text = _told(run.output.text(), run.status())
        if run.status():
            raise ToolFailure(text)
        return text or "(no output)"

    async def _start(self, context: ToolContext, arguments: BashArguments) -> Run:
        settings = self._settings
        sandboxed = settings.shell_sandbox != "off" and await asyncio.to_thread(sandbox.sandbox_works)
        if self._is_confined and not sandboxed:
            raise ToolFailure(
                "The command was not run: it needs a sandbox, and bubblewrap is switched off, not installed or does not work here."
            )
        limits = Limits(
            timeout_s=min(arguments.timeout / 1000, settings.shell_timeout_secs),
            memory_mb=settings.shell_memory_mb,
            processes=settings.shell_processes,
            output_bytes=settings.shell_output_bytes,
        )
        await asyncio.to_thread(context.home.mkdir, parents=True, exist_ok=True)
        return await self._runs.start(
            arguments.command, context.user_id, context.home, limits, sandboxed=sandboxed, network=self._network
        )

    def _find(self, context: ToolContext, run_id: str) -> Run:
        run = self._runs.find(run_id, context.user_id)
        if run is None:
            known = ", ".join(run.id for run in self._runs.of(context.user_id)) or "none"
            raise ToolFailure(f"There is no command with the id {run_id!r}. Known ids: {known}.")
        return run


def _told(text: str, status: str) -> str:
    return "\n".join(filter(None, (text.rstrip("\n"), status)))
