"""Asks a gateway whatever its description allows, and much that it does not, as nobody, as a user and as an admin.

    python -m tests.handlers.fuzz --examples 300 --only sessions

Every answer has to be one that the description names, and nothing else: no key more, no failure of ours, no path of ours.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from handlers.instances import InstanceListHandler
from handlers.operations import Operation, Route
from handlers.routes import ROUTES
from handlers.settings import SectionHandler
from tests.described import strict
from tests.handlers.live import Live

Role = Literal["nobody", "user", "admin"]
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# Nothing here may reach the world outside: the bot's server is a closed port of this machine.
SETTINGS = {
    "channels": {"telegram": {"api_url": "http://127.0.0.1:9"}},
    "auth": {"rate_limit_requests": 0, "failed_attempts": 0},
}
# What changes how other routes answer, or would start programs.
APART = ((SectionHandler, "PUT"), (InstanceListHandler, "POST"))
FAILURE_LIMIT = 10
JOB = {"prompt": "hi", "schedule": {"kind": "interval", "every_ms": 3_600_000}}


@dataclass(slots=True)
class Asked:
    """What came of asking one operation."""

    route: Route
    operation: Operation
    failures: list[str]
    statuses: dict[int, int]


def operations(only: str = "") -> Iterator[tuple[Route, Operation]]:
    """Every operation of the API whose path has `only` in it."""
    for route in ROUTES:
        if isinstance(route, Route) and only in route.path:
            for operation in route.operations.values():
                yield route, operation


class Asker:
    """Asks one gateway as one role. What it asks is the same each time, unless `is_random`."""

    def __init__(self, live: Live, role: Role, examples: int, *, is_random: bool = False) -> None:
        self.live = live
        self.examples = examples
        self.is_random = is_random
        self.key: str | None = None
        if role == "admin":
            self.key = live.gateway.key
        elif role == "user":
            _, self.key = live.run(live.gateway.user())
        self.role = role
        document = live.run(self._get("/api/openapi.json"))
        self.schema = schemathesis.openapi.from_dict(strict(document))

    def ask(self, route: Route, operation: Operation) -> Asked:
        """Call an operation with what fits and with what does not, with ids that are there and with made-up ones."""
        asked = Asked(route, operation, [], {})
        is_let_in = route.access == "anyone" or self.role == "admin" or self.role == route.access
        examples = self.examples if is_let_in else 1
        known = self.live.run(self._things(route)) if is_let_in and route.parameters else {}
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            self._ask(asked, mode, known, examples)
            if known:
                self._ask(asked, mode, {}, max(1, examples // 3))
        return asked

    def _ask(self, asked: Asked, mode: GenerationMode, known: dict[str, str], examples: int) -> None:
        described = self.schema[asked.route.template][asked.operation.method]
        if mode == GenerationMode.NEGATIVE and asked.operation.body is None and not asked.operation.query:
            return
        cases = described.as_strategy(mode, path_parameters=known or None)

        @settings(
            max_examples=examples,
            derandomize=not self.is_random,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=cases)
        def call(case: Case) -> None:
            if len(asked.failures) >= FAILURE_LIMIT:
                return
            headers = {"X-API-Key": self.key} if self.key else {}
            response = case.call(base_url=self.live.gateway.url, headers=headers, timeout=30)
            asked.statuses[response.status_code] = asked.statuses.get(response.status_code, 0) + 1
            try:
                self._check(asked, case, response)
            except (AssertionError, FailureGroup) as error:
                asked.failures.append(
                    f"{self.role}: {case.as_curl_command()[:600]}\n  {response.status_code} {error!s:.1200}"
                )

        call()

    def _check(self, asked: Asked, case: Case, response: Any) -> None:
        meant = {asked.operation.status, *asked.operation.errors, *asked.operation.also}
        assert response.status_code < 500 or response.status_code in meant, response.text[:500]
        assert str(self.live.gateway.folder) not in response.text, "it names a folder"
        assert "Traceback" not in response.text
        case.validate_response(response, checks=CHECKS)

    async def _get(self, path: str) -> Any:
        return (await self.live.gateway.http.get(path)).json()

    async def _things(self, route: Route) -> dict[str, str]:
        """Ids of things that are there, so that not only unknown ones are asked for."""
        async with httpx2.AsyncClient(base_url=self.live.gateway.url, headers={"X-API-Key": self.key or ""}) as client:
            makers = {
                "session_id": lambda: self._id(client, "/api/chat", {"text": "hello"}, "session_id"),
                "turn_id": lambda: self._id(client, "/api/chat", {"text": "hello"}, "turn_id"),
                "job_id": lambda: self._id(
                    client, "/api/cron/jobs", JOB | {"name": f"job {time.monotonic_ns()}"}, "id"
                ),
                "key_id": lambda: self._id(client, "/api/keys", {}, "meta", "id"),
                "user_id": lambda: self._id(client, "/api/settings/auth/users", {}, "id"),
            }
            return {name: await makers[name]() for name in route.parameters if name in makers}

    async def _id(self, client: httpx2.AsyncClient, path: str, body: dict[str, Any], *names: str) -> str:
        found = (await client.post(path, json=body)).json()
        for name in names:
            found = found[name]
        return str(found)


def ask_all(folder: Path, role: Role, examples: int, *, only: str = "", is_random: bool = False) -> list[Asked]:
    """Ask every operation. Those that change settings get a gateway of their own, so that they do not change what others answer."""
    found: list[Asked] = []
    apart = [each for each in operations(only) if role == "admin" and (each[0].handler, each[1].method) in APART]
    with Live(folder / "all", settings=SETTINGS) as live:
        asker = Asker(live, role, examples, is_random=is_random)
        found += [
            asker.ask(route, operation) for route, operation in operations(only) if (route, operation) not in apart
        ]
    for number, (route, operation) in enumerate(apart):
        with Live(folder / str(number), settings=SETTINGS | {"instances": {"driver": "remote"}}) as live:
            found.append(Asker(live, role, examples, is_random=is_random).ask(route, operation))
    return found


def main() -> int:
    """Ask long, in another order each time, and tell what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--only", default="", help="a part of the path")
    parser.add_argument("--role", choices=("nobody", "user", "admin"), action="append")
    options = parser.parse_args()
    failures: list[str] = []
    for role in options.role or ("nobody", "user", "admin"):
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            asked = ask_all(Path(folder), role, options.examples, only=options.only, is_random=True)
            statuses: dict[int, int] = {}
            for each in asked:
                for status, count in each.statuses.items():
                    statuses[status] = statuses.get(status, 0) + count
            print(
                f"{role}: {sum(statuses.values())} requests in {time.monotonic() - started:.0f} s",
                dict(sorted(statuses.items())),
            )
            failures += [failure for each in asked for failure in each.failures]
    print("\n\n".join(failures))
    print(f"{len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
