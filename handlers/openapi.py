"""The description of the HTTP API (OpenAPI 3.1), made from the route table and the types that requests are read by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal

from pydantic import TypeAdapter

from handlers.answers import Error
from handlers.base import ADMIN_ONLY, COOKIE, MISSING_KEY, RATE_LIMITED
from handlers.operations import JSON, LONGEST_ID, Operation, Route
from starpod.version import __version__

ABOUT = """The HTTP API of a Starpod gateway. Errors are JSON with an `error` that is fit to show to a person and, where fields of
the request are at fault, `fields` that say what is wrong with each. Unknown fields and query parameters are ignored. Beside
what is listed, any path answers 405 to other methods, HEAD wherever there is GET, and 413 to a body that is too large. While there are no
users, every route is open."""
SECURITY = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key such as `sp_live_...`"},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key as a bearer token."},
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "What `/api/auth/login` sets. Requests that change something also need a same-origin `Origin`.",
    },
}
REFUSALS = {
    400: "The request cannot be read, or cannot be carried out as it is.",
    401: "No key was sent, or it is not valid.",
    402: "A budget is used up.",
    403: "The caller may not do this, or the host name or origin is not allowed.",
    404: "It does not exist, or belongs to somebody else.",
    409: "It contradicts what is already there.",
    413: "The body is too large.",
    415: "The body is not sent as JSON.",
    422: "Fields of the request do not fit.",
    429: "Too many requests; `Retry-After` says when to come again.",
    500: "A fault of the gateway; its log says more.",
    502: "A service that the gateway depends on failed.",
    503: "The gateway cannot answer now; `Retry-After` says when to come again.",
    504: "A service that the gateway depends on did not answer in time.",
}
ERROR = {"$ref": "#/components/schemas/Error"}
RETRIED = (429, 503)
EXAMPLES: dict[int, Error] = {
    401: {"error": MISSING_KEY},
    403: {"error": ADMIN_ONLY},
    422: {"error": "text: Field required", "fields": {"text": "Field required"}},
    429: {"error": RATE_LIMITED},
}
Mode = Literal["validation", "serialization"]
Schemas = Mapping[int, dict[str, Any]]


def refusals(route: Route, operation: Operation) -> list[int]:
    """The statuses with which an operation may refuse, beside what it answers itself."""
    found = {400, 403, 500, 503, *operation.errors}
    if route.access != "anyone":
        found |= {401, 429}
    if operation.query is not None or operation.body is not None:
        found.add(422)
    if operation.body is not None:
        found |= {413, 415}
    if operation.is_upload:
        found.add(413)
    if route.parameters:
        found.add(404)
    return sorted(found - operation.also.keys())


def describe(api: Mapping[str, Sequence[Route]]) -> dict[str, Any]:
    """The document for routes by their headings."""
    schemas, components = _schemas([route for routes in api.values() for route in routes])
    paths: dict[str, dict[str, Any]] = {}
    for heading, routes in api.items():
        for route in routes:
            path = paths.setdefault(route.template, {})
            for method, operation in route.operations.items():
                path[method.lower()] = _operation(heading, route, operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Starpod", "version": __version__, "description": ABOUT, "license": {"name": "MIT"}},
        "servers": [{"url": "/"}],
        "tags": [{"name": heading} for heading in api],
        "paths": paths,
        "components": {
            "schemas": components,
            "responses": {str(status): _refusal(status, ERROR) for status in REFUSALS},
            "securitySchemes": SECURITY,
        },
    }


def types_of(operation: Operation) -> Iterator[tuple[Any, Mode]]:
    """Every type of JSON that an operation names, and whether it is read or written."""
    if operation.body is not None:
        yield operation.body, "validation"
    for given in (operation.answer, *operation.also.values()):
        if given is not None:
            yield given, "serialization"


def _schemas(routes: Sequence[Route]) -> tuple[Schemas, dict[str, Any]]:
    """The schema of every type by its identity, and the named ones that they refer to."""
    wanted: dict[int, tuple[int, Mode, TypeAdapter[Any]]] = {
        id(Error): (id(Error), "serialization", TypeAdapter(Error))
    }
    for route in routes:
        for operation in route.operations.values():
            for kind, mode in (*types_of(operation), (_error_shape(route), "serialization")):
                wanted.setdefault(id(kind), (id(kind), mode, TypeAdapter(kind)))
    made, rest = TypeAdapter.json_schemas(list(wanted.values()), ref_template="#/components/schemas/{model}")
    return {key: schema for (key, _), schema in made.items()}, rest["$defs"]


def _operation(heading: str, route: Route, operation: Operation, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _name(route, operation),
        "tags": [heading],
        "summary": operation.summary,
        "security": [] if route.access == "anyone" else [{name: []} for name in SECURITY],
        "responses": _responses(route, operation, schemas),
    }
    about = [operation.about] if operation.about else []
    if route.access == "admin":
        about.append("For admins.")
    if about:
        described["description"] = " ".join(about)
    if parameters := [*_path_parameters(route), *_query_parameters(operation)]:
        described["parameters"] = parameters
    if operation.is_upload:
        described["requestBody"] = {"content": {"application/octet-stream": {}}}
    if operation.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": schemas[id(operation.body)]}}}
    return described


def _name(route: Route, operation: Operation) -> str:
    words = route.template.removeprefix("/api").replace("{", "").replace("}", "").replace("-", "_").replace(".", "_")
    return operation.method.lower() + words.replace("/", "_")


def _responses(route: Route, operation: Operation, schemas: Schemas) -> dict[str, Any]:
    success: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    content = {} if operation.answer is None else {JSON: {"schema": schemas[id(operation.answer)]}}
    content |= {media: {} for media in operation.media}
    if content:
        success["content"] = content
    responses = {operation.status: success}
    for status, kind in operation.also.items():
        responses[status] = _response(status, schemas[id(kind)])
    shape = _error_shape(route)
    refused = {
        status: {"$ref": f"#/components/responses/{status}"} if shape is Error else _refusal(status, schemas[id(shape)])
        for status in refusals(route, operation)
    }
    return {str(status): response for status, response in sorted((responses | refused).items())}


def _error_shape(route: Route) -> Any:
    return getattr(route.handler, "error_shape", Error)


def _refusal(status: int, schema: Mapping[str, Any]) -> dict[str, Any]:
    response = _response(status, schema)
    if schema is ERROR and status in EXAMPLES:
        response["content"][JSON]["example"] = EXAMPLES[status]
    if status in RETRIED:
        response["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
    return response


def _response(status: int, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": REFUSALS.get(status) or HTTPStatus(status).phrase, "content": {JSON: {"schema": schema}}}


def _path_parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name, words in route.parameters.items():
        schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
        yield {"name": name, "in": "path", "required": True, "schema": {"enum": list(words)} if words else schema}


def _query_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    if operation.query is None:
        return
    described = operation.query.model_json_schema()
    for name, schema in described["properties"].items():
        parameter = {"name": name, "in": "query", "required": name in described.get("required", ()), "schema": schema}
        if "description" in schema:
            parameter["description"] = schema.pop("description")
        yield parameter
