"""Hands the results of jobs to a function of the caller's, one after the other, whatever that function does."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable
from typing import Any

from starpod.cron.types import CronComplete
from starpod.events import EventBus
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

Notifier = Callable[[str, str, str, bool], Any]
"""Called with job name, session id ("" for a failed run), the whole answer or the reason of the failure, and success. It may be async."""
TIMEOUT_S = 30.0
MOST_WAITING = 1000


class NotifierQueue:
    """Calls the notifier beside the gateway's own work: one that fails or hangs delays the next results, and nothing else."""

    def __init__(self, notifier: Notifier, events: EventBus, tasks: TaskSet, *, timeout_s: float = TIMEOUT_S) -> None:
        self._notifier = notifier
        self._timeout_s = timeout_s
        self._waiting: asyncio.Queue[CronComplete] = asyncio.Queue(MOST_WAITING)
        self.close = events.subscribe(CronComplete, self._on_event)
        tasks.spawn(self._work(), name="notifier")

    def _on_event(self, event: CronComplete) -> None:
        if self._waiting.full():
            dropped = self._waiting.get_nowait()
            logger.warning("the notifier is too slow: the result of %r is not handed to it", dropped.job_name)
        self._waiting.put_nowait(event)

    async def _work(self) -> None:
        while True:
            event = await self._waiting.get()
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._call(event)
            except TimeoutError:
                logger.warning(
                    "the notifier took longer than %s s with the result of %r", self._timeout_s, event.job_name
                )
            except Exception:
                logger.exception("the notifier failed on the result of %r", event.job_name)

    async def _call(self, event: CronComplete) -> None:
        given = (event.job_name, event.session_id, event.text, event.success)
        if inspect.iscoroutinefunction(self._notifier):
            await self._notifier(*given)
            return
        result = await _in_thread(lambda: self._notifier(*given))
        if inspect.isawaitable(result):
            await result


async def _in_thread(function: Callable[[], Any]) -> Any:
    """The result of a blocking function. Its thread is not waited for when the process ends: it may hang."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)

    def work() -> None:
        result, error = None, None
        try:
            result = function()
        except Exception as caught:
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="notifier", daemon=True).start()
    return await done
