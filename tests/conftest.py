"""What all tests share. Async tests are `async def` marked `@pytest.mark.gen_test`; pytest-tornado runs them on `io_loop`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tornado.ioloop import IOLoop


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """A fresh loop a test. pytest-tornado's own makes the loop current in a way that Tornado has deprecated."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    io_loop = IOLoop(asyncio_loop=loop, make_current=False)
    yield io_loop
    for task in asyncio.all_tasks(loop):
        task.cancel()
    # One more turn of the loop lets what was cancelled or closed end before the loop does.
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    io_loop.close(all_fds=True)
