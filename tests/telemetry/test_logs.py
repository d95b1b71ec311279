"""Lines of the log say which request and turn they belong to; every answer says its id."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from starpod.paths import shipped
from starpod.telemetry import ids
from starpod.telemetry.logs import Ids, JsonLines
from tests.gateway import ADMIN_KEY, PROVIDER_KEY, Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import script


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the product logs meanwhile, as JSON."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.addFilter(Ids())
    handler.setFormatter(JsonLines())
    log = logging.getLogger("starpod")
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield text
    log.removeHandler(handler)
    log.setLevel(before)


@pytest.mark.gen_test
async def test_the_id_of_a_request_is_echoed_or_made(tmp_path: Path) -> None:
    async with Gateway(tmp_path) as gateway:
        given = await gateway.http.get("/api/sessions", headers={"X-Request-ID": "from-my-proxy.1"})
        assert given.headers["X-Request-ID"] == "from-my-proxy.1"
        made = [(await gateway.http.get("/api/health")).headers["X-Request-ID"] for _ in range(2)]
        assert made[0] != made[1]
        for bad in ("two words", "x" * 65, 'quote"', "{}"):
            answer = await gateway.http.get("/api/health", headers={"X-Request-ID": bad})
            assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["X-Request-ID"])
        refused = await gateway.client().get("/api/sessions", headers={"X-Request-ID": "me"})
        assert (refused.status_code, refused.headers["X-Request-ID"]) == (401, "me")


@pytest.mark.gen_test
async def test_a_turns_lines_name_it_and_the_request_that_started_it(tmp_path: Path, lines: io.StringIO) -> None:
    async with Gateway(tmp_path, OpenAIServer()) as gateway:
        gateway.provider.play(script("hello"))
        headers = {"X-Request-ID": "r1"}
        answer = await gateway.http.post("/api/chat", json={"text": "my secret words"}, headers=headers)
        turn_id = answer.json()["turn_id"]
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    # The first call of a model without a price is told.
    (line,) = [line for line in said if line["logger"] == "starpod.agent.costs"]
    assert (line["level"], line["request_id"], line["turn_id"]) == ("warning", "r1", turn_id)
    text = lines.getvalue()
    assert not any(secret in text for secret in ("my secret words", ADMIN_KEY, PROVIDER_KEY))


def test_extra_fields_stand_beside_the_message() -> None:
    record = logging.makeLogRecord({"name": "x", "msg": "try %s", "args": ("again",), "attempt": 2})
    assert {"message": "try again", "attempt": 2}.items() <= json.loads(JsonLines().format(record)).items()


def test_an_exception_stays_one_line() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        record = logging.makeLogRecord(
            {"name": "x", "msg": "failed", "exc_info": (ValueError, error, error.__traceback__)}
        )
    Ids().filter(record)
    text = JsonLines().format(record)
    assert "\n" not in text
    assert "ValueError: two\nlines" in json.loads(text)["exception"]


@pytest.mark.parametrize("formatter", ["line", "json"])
def test_the_shipped_settings_offer_lines_and_json(formatter: str) -> None:
    settings = yaml.safe_load((shipped("conf") / "logging.yaml").read_text())
    made = logging.config.DictConfigurator(settings)
    record = logging.makeLogRecord({"name": "x", "msg": "hello", "levelno": 20, "levelname": "INFO"})
    token = ids.request_id.set("r7")
    made.configure_filter(settings["filters"]["ids"]).filter(record)
    ids.request_id.reset(token)
    text = made.configure_formatter(settings["formatters"][formatter]).format(record)
    assert "hello" in text and "r7" in text
