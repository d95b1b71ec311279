"""The one table of routes: pattern, handler, who may use it, what it takes and answers. Its rows stand in `handlers/tables/`."""

from __future__ import annotations

from functools import cache

from pydantic_core import to_json
from tornado.web import RequestHandler

from handlers import openapi
from handlers.docs import DocsHandler
from handlers.instance_proxy import InstanceProxyHandler, InstanceSocketHandler
from handlers.mcp_server import McpServerHandler
from handlers.metrics import MetricsHandler
from handlers.openai.base import UnknownHandler
from handlers.operations import Plain, Route
from handlers.page import AssetHandler, PageHandler
from handlers.socket import SocketHandler
from handlers.tables.agent import COSTS, FILES, JOBS, MEMORY, NEWS
from handlers.tables.conversation import APPROVALS, CHAT, SESSIONS
from handlers.tables.gateway import GATEWAY, INSTANCES, SIGN_IN
from handlers.tables.openai import OPENAI
from handlers.tables.settings import SETTINGS, SKILLS, SPENDING, USERS, VAULT

ID = r"([^/]{1,200})"
# Addresses of the page itself. What machines ask for stays a 404 in JSON; names of files only stand below /files and /memory.
PAGES = r"/(?!(?:api|v1|ws|docs|mcp|i|assets|static|metrics)(?:/|$))(?:(?:files|memory)/.*|[\w-]+(?:/[\w-]+)*/?)"

# By the heading under which the description of the API shows them. Of two that fit, the first answers.
API: dict[str, tuple[Route, ...]] = {
    "Gateway": GATEWAY,
    "Sign-in": SIGN_IN,
    "Chat": CHAT,
    "Sessions": SESSIONS,
    "Approvals": APPROVALS,
    "Jobs": JOBS,
    "Notifications": NEWS,
    "Memory": MEMORY,
    "Files": FILES,
    "Costs": COSTS,
    "Settings": SETTINGS,
    "Users": USERS,
    "Skills": SKILLS,
    "Spending": SPENDING,
    "Vault": VAULT,
    "Instances": INSTANCES,
    "OpenAI": OPENAI,
}

PLAIN = (
    Plain(rf"/i/{ID}/ws", InstanceSocketHandler, "admin", "an instance's own socket"),
    Plain(rf"/i/{ID}((?:/.*)?)", InstanceProxyHandler, "admin", "an instance's own gateway"),
    Plain(r"/mcp", McpServerHandler, "user", "the MCP server, whose protocol describes itself"),
    Plain(r"/v1(?:/.*)?", UnknownHandler, "anyone", "what of OpenAI's protocol is not here"),
    Plain(r"/metrics", MetricsHandler, "admin", "numbers for Prometheus"),
    Plain(r"/ws", SocketHandler, "user", "described by /api/asyncapi.json"),
    Plain(r"/docs(?:/(.*))?", DocsHandler, "anyone", "the documentation"),
    Plain(r"/", PageHandler, "anyone", "the browser UI"),
    Plain(r"/assets/([\w.-]+)", AssetHandler, "anyone", "the browser UI"),
    Plain(r"/(manifest\.webmanifest|icon\.svg|icon-\d+\.png|sw\.js)", AssetHandler, "anyone", "the browser UI"),
    Plain(PAGES, PageHandler, "anyone", "the browser UI"),
)

ROUTES: tuple[Route | Plain, ...] = (*(route for routes in API.values() for route in routes), *PLAIN)


def route_names() -> dict[type[RequestHandler], str]:
    """What each handler's route is called, for metrics: never what somebody wrote into an address."""
    names: dict[type[RequestHandler], str] = {}
    for route in ROUTES:
        name = route.template if isinstance(route, Route) else route.pattern.split("(")[0].rstrip("/?") or "/"
        names.setdefault(route.handler, name)
    return names


@cache
def describe() -> bytes:
    """The description of this table in JSON."""
    return to_json(openapi.describe(API))
