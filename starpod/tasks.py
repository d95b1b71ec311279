"""Background tasks that die with their owner. Nothing else in the gateway calls `asyncio.create_task`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")


class TaskSet:
    """Holds the handles of running tasks, so that none is lost to the garbage collector or fails unseen."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(
        self, coro: Coroutine[Any, Any, T], *, name: str, expected: tuple[type[Exception], ...] = ()
    ) -> asyncio.Task[T]:
        """Start `coro` as a task of this set. Its failure is logged, save `expected` ones, which are for who awaits it; the set goes on."""
        task = asyncio.get_running_loop().create_task(coro, name=f"{self._name}.{name}")
        self._tasks.add(task)
        task.add_done_callback(lambda ended: self._ended(ended, expected))
        return task

    async def close(self, *, timeout_s: float = 5.0) -> None:
        """Cancel what still runs and wait for it, at most `timeout_s` seconds."""
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_s)
            for task in late:
                logger.warning("task %s did not end within %s s of being cancelled", task.get_name(), timeout_s)

    def _ended(self, task: asyncio.Task[Any], expected: tuple[type[Exception], ...]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, expected):
            logger.error("task %s failed", task.get_name(), exc_info=error)
