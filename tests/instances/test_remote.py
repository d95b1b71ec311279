"""The backend's answers, good and bad, from a server of this test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import tornado.httpserver
import tornado.testing
import tornado.web

from starpod.clock import Clock, SystemClock
from starpod.config.schema import InstancesConfig
from starpod.errors import Conflict, NotFound, TooSlow, Unavailable, Upstream
from starpod.instances.remote import RemoteDriver
from starpod.instances.types import InstanceStatusChanged, NewInstance
from tests.fakes import FakeClock

ONE = {"id": "i-1", "status": "provisioning", "zone": "z", "starpod_api_key": "hidden"}


class Backend(tornado.web.RequestHandler):
    """Answers by the id it is asked for: `404`, `409`, `500`, `504`, `bad` and any other."""

    seen: list[tuple[str, str, str | None, bytes]]

    def initialize(self, seen: list[tuple[str, str, str | None, bytes]]) -> None:
        self.seen = seen

    async def get(self, path: str) -> None:
        self.seen.append(
            (self.request.method or "", path, self.request.headers.get("Authorization"), self.request.body)
        )
        word = path.strip("/").split("/")[0]
        if word.isdigit():
            self.set_status(int(word))
        elif word == "bad":
            self.write("<html>")
        elif word == "slow":
            await asyncio.Event().wait()
        elif path.endswith("/health"):
            self.write({"last_heartbeat": 1})
        else:
            self.write({"instances": [ONE]} if not path and self.request.method == "GET" else ONE)

    post = delete = get


@asynccontextmanager
async def backend(
    publish: Callable[[InstanceStatusChanged], object] = lambda event: None,
    clock: Clock | None = None,
    timeout_s: float = 10.0,
) -> AsyncIterator[tuple[RemoteDriver, list[tuple[str, str, str | None, bytes]]]]:
    seen: list[tuple[str, str, str | None, bytes]] = []
    server = tornado.httpserver.HTTPServer(
        tornado.web.Application([(r"/api/v1/instances(.*)", Backend, {"seen": seen})], log_function=lambda _: None)
    )
    socket, port = tornado.testing.bind_unused_port()
    server.add_socket(socket)
    environ = {
        "STARPOD_INSTANCE_BACKEND_URL": f"http://127.0.0.1:{port}/",
        "STARPOD_INSTANCE_API_KEY": "k",
        "ANTHROPIC_API_KEY": "never",
    }
    driver = RemoteDriver(
        environ=lambda: environ,
        clock=clock or SystemClock(),
        config=InstancesConfig,
        publish=lambda event: publish(event) and None,
        timeout_s=timeout_s,
    )
    try:
        yield driver, seen
    finally:
        await driver.close()
        server.stop()
        await server.close_all_connections()


@pytest.mark.gen_test
async def test_json_passes_through_without_keys_and_only_our_key_is_sent() -> None:
    async with backend() as (driver, seen):
        shown = {"id": "i-1", "status": "provisioning", "zone": "z"}
        assert await driver.list() == [shown]
        assert await driver.create(NewInstance(name="x")) == shown
        await driver.restart("i-1")
        assert [each[:3] for each in seen] == [
            ("GET", "", "Bearer k"), ("POST", "", "Bearer k"), ("POST", "/i-1/restart", "Bearer k"),
        ]  # fmt: skip
        assert seen[1][3] == b'{"name":"x"}'


@pytest.mark.gen_test
async def test_each_failure_has_its_own_error() -> None:
    async with backend() as (driver, _):
        for word, error in (
            ("404", NotFound),
            ("409", Conflict),
            ("500", Upstream),
            ("504", TooSlow),
            ("bad", Upstream),
        ):
            with pytest.raises(error):
                await driver.get(word)


@pytest.mark.gen_test
async def test_one_that_answers_too_slowly_is_given_up() -> None:
    async with backend(timeout_s=0.1) as (driver, _):
        with pytest.raises(TooSlow, match="did not answer in time"):
            await driver.get("slow")


@pytest.mark.gen_test
async def test_one_not_heard_of_is_restarted_and_what_changed_is_told() -> None:
    told: list[InstanceStatusChanged] = []
    clock = FakeClock()
    async with backend(told.append, clock) as (driver, seen):
        await driver.watch()
        assert told == []  # what is seen first has not changed
        ONE["status"] = "running"
        try:
            clock.advance(31)
            await driver.watch()
        finally:
            ONE["status"] = "provisioning"
        assert [(event.status, event.error) for event in told] == [("running", None), ("error", "no sign of life")]
        assert seen[-1][:2] == ("POST", "/i-1/restart")
        asked = len(seen)
        await driver.watch()
        assert len(seen) == asked  # the interval has not passed


@pytest.mark.gen_test
async def test_without_an_address_it_says_so() -> None:
    driver = RemoteDriver(environ=dict, clock=SystemClock(), config=InstancesConfig, publish=lambda event: None)
    with pytest.raises(Unavailable, match="STARPOD_INSTANCE_BACKEND_URL"):
        await driver.list()
