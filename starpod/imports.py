"""Large libraries are imported when they are first used, in a thread, and one at a time.

Where modules import each other, two threads that come from different sides break Python's import locks: one sees a module that is only
half there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_one_at_a_time = threading.Lock()


async def import_in_thread(load: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `load`, which imports, off the event loop, once no other such call runs. What it raises is raised."""

    def alone() -> T:
        with _one_at_a_time:
            return load(*args, **kwargs)

    return await asyncio.to_thread(alone)
