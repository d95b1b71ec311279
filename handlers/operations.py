"""How a route is declared: its path, who may use it, and for each method what it takes and what it answers.

The base handler reads requests by these declarations, and `handlers/openapi.py` describes them; there is no second list.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property, partial
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from tornado.web import RequestHandler, url

Access = Literal["anyone", "user", "admin"]
Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
LONGEST_ID = 200
PARAMETER = re.compile(r"\{(\w+)(?::([^{}]*))?\}")


@dataclass(frozen=True)
class Operation:
    """A method of a route. `body` and `query` are what it takes, `answer` the type of its JSON; None = none. An upload takes any bytes.

    `status` is that of success. `media` are other content types in which success may be answered, `also` further JSON answers by
    status, and `errors` what it refuses with beside the statuses that every route like it has (see `handlers/openapi.py`). With
    `any_id` an id of nobody or of somebody else is answered like one that has nothing, otherwise it is not found.
    """

    method: Method
    summary: str
    answer: Any = None
    _: KW_ONLY
    body: Any = None
    query: type[BaseModel] | None = None
    is_upload: bool = False
    status: int = 200
    media: tuple[str, ...] = ()
    also: Mapping[int, Any] = field(default_factory=dict)
    errors: tuple[int, ...] = ()
    any_id: bool = False
    about: str = ""

    @cached_property
    def body_adapter(self) -> TypeAdapter[Any]:
        """Reads the body; made when the first one comes."""
        return TypeAdapter(self.body)


Get = partial(Operation, "GET")
Post = partial(Operation, "POST")
Put = partial(Operation, "PUT")
Patch = partial(Operation, "PATCH")
Delete = partial(Operation, "DELETE")


class Route:
    """A path of the API and what answers it. `access` has no default: a route without a rule is an error.

    `{name}` in the path stands for one part of it, `{name:a|b}` for one of these words (a single one stands for itself), `{name:*}`
    for all the rest. The handler's methods get these parts in order.
    """

    def __init__(self, path: str, handler: type[RequestHandler], access: Access, *operations: Operation) -> None:
        self.path = path
        self.handler = handler
        self.access: Access = access
        self.operations: dict[str, Operation] = {each.method: each for each in operations}

    def __repr__(self) -> str:
        return f"Route({self.path!r}, {', '.join(self.operations)})"

    @property
    def pattern(self) -> str:
        """The path as a regular expression."""
        parts, end = [], 0
        for found in PARAMETER.finditer(self.path):
            parts += [re.escape(self.path[end : found.start()]), f"({_expression(found[2])})"]
            end = found.end()
        return "".join((*parts, re.escape(self.path[end:])))

    @property
    def template(self) -> str:
        """The path with each parameter as `{name}`."""
        return PARAMETER.sub(lambda found: f"{{{found[1]}}}" if found[1] in self.parameters else found[2], self.path)

    @property
    def parameters(self) -> dict[str, tuple[str, ...]]:
        """The parameters of the path with the words that each may be; none = any."""
        found = {
            name: () if words in ("", "*") else tuple(words.split("|")) for name, words in PARAMETER.findall(self.path)
        }
        return {name: words for name, words in found.items() if len(words) != 1}

    def to_spec(self) -> url:
        """The route as Tornado takes it."""
        return url(self.pattern, self.handler, {"access": self.access, "operations": self.operations})


@dataclass(frozen=True, slots=True)
class Plain:
    """What is no part of the described API; `why` says what it is instead."""

    pattern: str
    handler: type[RequestHandler]
    access: Access
    why: str

    def to_spec(self) -> url:
        """The route as Tornado takes it."""
        return url(self.pattern, self.handler, {"access": self.access})


def _expression(words: str | None) -> str:
    if words == "*":
        return ".+"
    return rf"[^/]{{1,{LONGEST_ID}}}" if words is None else "|".join(map(re.escape, words.split("|")))
