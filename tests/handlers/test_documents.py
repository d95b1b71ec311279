"""The descriptions of the API: valid, whole, and the same as what the gateway does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from handlers.base import BaseHandler
from handlers.operations import Plain, Route
from handlers.routes import API, ROUTES
from tests.gateway import Gateway

ASYNCAPI_SCHEMAS = Path(__file__).resolve().parents[2] / "static" / "node_modules" / "@asyncapi" / "specs" / "schemas"


async def document(tmp_path: Path, name: str) -> dict[str, Any]:
    async with Gateway(tmp_path) as gateway:
        answer = await gateway.client().get(f"/api/{name}.json")
        assert answer.status_code == 200
        described: dict[str, Any] = answer.json()
        return described


@pytest.mark.gen_test
async def test_the_description_is_valid_openapi(tmp_path: Path) -> None:
    described = await document(tmp_path, "openapi")
    assert described["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(described).validate()


@pytest.mark.gen_test
async def test_every_route_is_described_or_says_why_not(tmp_path: Path) -> None:
    described = await document(tmp_path, "openapi")
    for route in ROUTES:
        if isinstance(route, Plain):
            assert route.why, route
        else:
            assert set(described["paths"][route.template]) == {method.lower() for method in route.operations}, route


def test_a_route_declares_the_methods_that_its_handler_has() -> None:
    for route in ROUTES:
        if isinstance(route, Route):
            assert issubclass(route.handler, BaseHandler)
            handler = route.handler.__new__(route.handler)
            assert set(handler.allowed_methods()) - {"HEAD", "OPTIONS"} == set(route.operations), route


@pytest.mark.gen_test
async def test_every_operation_has_a_name_a_summary_and_its_refusals(tmp_path: Path) -> None:
    described = await document(tmp_path, "openapi")
    operations = [operation for path in described["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation["summary"] and operation["tags"][0] in API
        is_open = operation["security"] == []
        assert ("401" in operation["responses"]) is not is_open or operation["operationId"] == "post_auth_login"
        succeeds = any(status.startswith("2") for status in operation["responses"])
        assert succeeds or operation["operationId"] == "post_system_update"


@pytest.mark.gen_test
async def test_settings_pages_are_described_by_the_settings_themselves(tmp_path: Path) -> None:
    described = await document(tmp_path, "openapi")
    page = described["paths"]["/api/settings/general"]["put"]["requestBody"]["content"]["application/json"]["schema"]
    assert page["properties"]["max_turns"]["type"] == "integer"
    assert page["properties"]["max_turns"]["description"]
    assert {"models", "max_turns", "server_addr"} <= set(page["required"])


@pytest.mark.gen_test
async def test_every_message_of_the_socket_is_described(tmp_path: Path) -> None:
    described = await document(tmp_path, "asyncapi")
    assert described["asyncapi"].startswith("3.")
    messages = described["components"]["messages"]
    for operation in described["operations"].values():
        for reference in operation["messages"]:
            channel, _, name = reference["$ref"].removeprefix("#/channels/").partition("/messages/")
            assert described["channels"][channel]["messages"][name] == {"$ref": f"#/components/messages/{name}"}
            assert messages[name]["summary"] and messages[name]["payload"]


@pytest.mark.gen_test
async def test_the_description_of_the_socket_is_valid_asyncapi(tmp_path: Path) -> None:
    """By the schema that AsyncAPI publishes, which comes with the packages that the UI is built with."""
    described = await document(tmp_path, "asyncapi")
    schema = json.loads((ASYNCAPI_SCHEMAS / f"{described['asyncapi']}.json").read_text())
    validator = jsonschema.Draft7Validator(schema)
    assert [error.message for error in validator.iter_errors(described)] == []
    operation = next(iter(described["operations"].values()))
    for spoilt in (
        described | {"info": {}},
        described | {"operations": {"x": operation | {"action": "shout"}}},
        described | {"channels": {"x": {"messages": 3}}},
    ):
        assert not validator.is_valid(spoilt)
