"""Holds what a gateway answers and sends against its own descriptions. Every test that uses `Gateway` checks that by the way.

It is stricter than the descriptions: what they do not name must not be there.
"""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from handlers import asyncapi, openapi
from handlers.operations import Operation, Route
from handlers.routes import API, ROUTES

Frame = dict[str, Any]


class NotAsDescribed(AssertionError):
    """The gateway did something that its description does not name."""


def closed(schema: Any) -> Any:
    """The schema with all objects closed: what is not described must not be there."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if found.get("type") == "object" and isinstance(found.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """The description of the HTTP API with all answers closed."""
    found = copy.deepcopy(document)
    found["components"] = found["components"] | {"schemas": closed(found["components"]["schemas"])}
    for path in found["paths"].values():
        for operation in path.values():
            operation["responses"] = closed(operation["responses"])
    return found


def check_answer(method: str, path: str, status: int, content_type: str, body: bytes) -> None:
    """Raises NotAsDescribed unless the answer to a request is one that its route describes. HEAD and undeclared methods are free."""
    found = _find(method, path)
    if found is None:
        return
    route, operation = found
    responses = _document()["paths"][route.template][operation.method.lower()]["responses"]
    where = f"{method} {path} answered {status} {content_type}: {body[:300]!r}"
    if str(status) not in responses:
        raise NotAsDescribed(f"{where}. Described are {', '.join(responses)}.")
    response = responses[str(status)]
    if "$ref" in response:
        response = _document()["components"]["responses"][str(status)]
    media = content_type.split(";")[0]
    if body and media not in response.get("content", {}) and "*/*" not in response.get("content", {}):
        raise NotAsDescribed(f"{where}. Described are {', '.join(response.get('content', {})) or 'no contents'}.")
    if media == "application/json" and "*/*" not in response.get("content", {}):
        _validate(_validator(route.template, operation.method, status), json.loads(body), where)


def check_frame(frame: Frame) -> None:
    """Raises NotAsDescribed unless a message of the socket or of an event stream is described."""
    validator = _messages().get(frame.get("type", ""))
    if validator is None:
        raise NotAsDescribed(f"A message of a type that is not described: {frame}")
    _validate(validator, frame, f"The message {str(frame)[:300]}")


def _validate(validator: Draft202012Validator, value: Any, where: str) -> None:
    for error in validator.iter_errors(value):
        raise NotAsDescribed(f"{where}: {error.json_path} {error.message[:500]}")


def _find(method: str, path: str) -> tuple[Route, Operation] | None:
    """The route that answers, and what it declares; None for what is not described."""
    for route in ROUTES:
        if re.fullmatch(route.pattern, path):
            operation = route.operations.get(method) if isinstance(route, Route) else None
            return (route, operation) if operation is not None and isinstance(route, Route) else None
    return None


@cache
def _document() -> dict[str, Any]:
    return strict(json.loads(json.dumps(openapi.describe(API))))


@cache
def _validator(template: str, method: str, status: int) -> Draft202012Validator:
    document = _document()
    response = document["paths"][template][method.lower()]["responses"][str(status)]
    if "$ref" in response:
        response = document["components"]["responses"][str(status)]
    return Draft202012Validator(
        response["content"]["application/json"]["schema"] | {"components": document["components"]}
    )


@cache
def _messages() -> dict[str, Draft202012Validator]:
    """How to check each message that the gateway sends, by its type."""
    document = json.loads(json.dumps(asyncapi.describe()))
    sent = {
        reference["$ref"].rpartition("/")[2]
        for operation in document["operations"].values()
        if operation["action"] == "send"
        for reference in operation["messages"]
    }
    components = {"schemas": closed(document["components"]["schemas"])}
    found = {}
    for name in sent:
        schema = closed(document["components"]["messages"][name]["payload"])
        while "$ref" in schema:
            schema = components["schemas"][schema["$ref"].rpartition("/")[2]]
        found[schema["properties"]["type"]["const"]] = Draft202012Validator(schema | {"components": components})
    return found
