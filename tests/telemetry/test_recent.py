"""The log as admins see it: bounded, filtered, without keys, and for nobody else."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from starpod.config.log_levels import apply_logging
from starpod.telemetry.recent import KEPT_CHARACTERS, KEPT_LINES, RecentLines
from tests.gateway import Gateway

logger = logging.getLogger("starpod.tests.recent")


@pytest.mark.gen_test
async def test_admins_see_the_newest_lines_by_level_and_place(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        logger.warning("a first trouble with %s", "ink")
        logger.error("a second trouble\nover two lines")
        asked = {"level": "warning", "tail": 2}
        lines = (await gateway.http.get("/api/logs", params=asked)).json()
        assert [line["message"] for line in lines] == ["a first trouble with ink", "a second trouble\nover two lines"]
        assert [line["level"] for line in lines] == ["warning", "error"]
        assert lines[0]["logger"] == "starpod.tests.recent" and lines[0]["time"].endswith("+00:00")
        errors = (await gateway.http.get("/api/logs", params={"level": "error", "tail": 1})).json()
        assert [line["id"] for line in errors] == [lines[1]["id"]]
        logger.warning("a third")
        newer = (await gateway.http.get("/api/logs", params=asked | {"after": lines[1]["id"]})).json()
        assert [line["message"] for line in newer] == ["a third"]
        for wrong in ({"level": "loud"}, {"tail": "-1"}, {"tail": "99999"}, {"after": "x"}):
            assert (await gateway.http.get("/api/logs", params=wrong)).status_code in (400, 422), wrong
        _, key = await gateway.user("user")
        assert (await gateway.client(key).get("/api/logs")).status_code == 403
        assert (await gateway.client().get("/api/logs")).status_code == 401


@pytest.mark.gen_test
async def test_a_key_in_an_address_is_not_told_and_a_gateway_that_ended_listens_no_more(tmp_path: Path) -> None:
    handlers = list(logging.getLogger().handlers)
    async with Gateway(tmp_path) as gateway:
        logging.getLogger("tornado.access").warning("401 GET /ws?token=%s&sessions=1", "sp_live_" + "ab" * 20)
        (line,) = (await gateway.http.get("/api/logs", params={"tail": 1})).json()
        assert line["message"] == "401 GET /ws?token=…&sessions=1"
    assert logging.getLogger().handlers == handlers


def test_it_holds_so_many_lines_and_so_much_of_each() -> None:
    recent = RecentLines()
    for number in range(KEPT_LINES + 5):
        recent.handle(
            logging.makeLogRecord({"name": "x", "msg": f"line {number}", "levelno": logging.INFO, "levelname": "INFO"})
        )
    recent.handle(
        logging.makeLogRecord({"name": "x", "msg": "x" * 100_000, "levelno": logging.INFO, "levelname": "INFO"})
    )
    recent.handle(logging.makeLogRecord({"name": "peewee", "msg": "('SELECT', ['secret'])", "levelno": logging.DEBUG}))
    lines = recent.newest(KEPT_LINES * 2)
    assert len(lines) == KEPT_LINES and lines[0].message == "line 6"
    assert len(lines[-1].message) == KEPT_CHARACTERS + 1


def test_an_edited_logging_yaml_leaves_it_in_place(tmp_path: Path) -> None:
    root, recent = logging.getLogger(), RecentLines()
    before, level = list(root.handlers), root.level
    root.addHandler(recent)
    try:
        (tmp_path / "logging.yaml").write_text("version: 1\ndisable_existing_loggers: false\nroot: {level: INFO}\n")
        apply_logging(tmp_path / "logging.yaml")
        logger.info("still heard")
        assert [line.message for line in recent.newest(1)] == ["still heard"]
    finally:
        root.handlers[:] = before
        root.setLevel(level)
