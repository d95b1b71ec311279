"""Starpod: a self-hosted gateway for a personal AI agent.

`serve_with_agent` runs a gateway with a caller's own agent, `make_app` builds just the Tornado application; both load when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starpod.version import __version__

if TYPE_CHECKING:
    from starpod.server import make_app as make_app
    from starpod.server import serve_with_agent as serve_with_agent

__all__ = ["__version__", "make_app", "serve_with_agent"]


def __getattr__(name: str) -> Any:
    if name not in ("make_app", "serve_with_agent"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from starpod import server

    return getattr(server, name)
