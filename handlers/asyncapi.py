"""The description of `/ws` and of event streams (AsyncAPI 3), made from the types that frames are read by and written as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from pydantic import TypeAdapter

from handlers.events import AnyTurnMessage, Message
from handlers.operations import EVENT_STREAM, JSON
from handlers.schemas import ClientFrame
from starpod.version import __version__

ABOUT = """A turn belongs to its session, not to a connection: any number of sockets and event streams follow the same turn, and it
goes on when they close. Unknown fields are ignored. Messages may gain fields, and there may be new types: ignore what you do not know."""
KEY_IN_URL = (
    "A key; in a header `X-API-Key`, `Authorization: Bearer` or the cookie of `/api/auth/login` it stays out of logs."
)
CLOSES = (
    "Closed with 1001 when the gateway stops, 1013 when read too slowly (reconnect and resume), 4401 when signed out."
)


def describe() -> dict[str, Any]:
    """The document."""
    client, turn, other = get_args(ClientFrame), get_args(AnyTurnMessage), get_args(Message)
    schemas, definitions = TypeAdapter.json_schemas(
        [
            *((kind, "validation", TypeAdapter(kind)) for kind in client),
            *((kind, "serialization", TypeAdapter(kind)) for kind in (*turn, *other)),
        ],
        ref_template="#/components/schemas/{model}",
    )
    messages = {kind.__name__: _message(kind, schema) for (kind, _), schema in schemas.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Starpod", "version": __version__, "description": ABOUT, "license": {"name": "MIT"}},
        "defaultContentType": JSON,
        "channels": {
            "socket": {
                "address": "/ws",
                "title": "The socket",
                "description": CLOSES,
                "messages": _references((*client, *turn, *other)),
                "bindings": {"ws": {"method": "GET", "query": _token()}},
            },
            "chat": {
                "address": "/api/chat",
                "title": "The answer to one message, as it comes",
                "description": f"`POST` with `Accept: {EVENT_STREAM}`; likewise `/regenerate` and `/edit` of a session.",
                "messages": _references(turn),
                "bindings": {"http": {"bindingVersion": "0.3.0"}},
            },
            "events": {
                "address": "/api/sessions/{session_id}/events",
                "title": "A session's turn as server-sent events",
                "description": "`id` is the `seq`, `event` the `type`. `Last-Event-ID` goes on behind the event it names.",
                "parameters": {"session_id": {"description": "The id of the session."}},
                "messages": _references(turn),
                "bindings": {"http": {"bindingVersion": "0.3.0"}},
            },
        },
        "operations": {
            "sendToSocket": _operation("receive", "socket", client, "What clients send."),
            "hearFromSocket": _operation("send", "socket", (*turn, *other), "What the gateway sends."),
            "streamChat": _operation("send", "chat", turn, "What the gateway sends."),
            "followSession": _operation("send", "events", turn, "What the gateway sends."),
        },
        "components": {"messages": messages, "schemas": definitions["$defs"]},
    }


def _message(kind: type, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": kind.__name__, "summary": (kind.__doc__ or "").strip(), "payload": schema}


def _references(kinds: Sequence[type]) -> dict[str, Any]:
    return {kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"} for kind in kinds}


def _operation(action: str, channel: str, kinds: Sequence[type], summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{kind.__name__}"} for kind in kinds],
    }


def _token() -> dict[str, Any]:
    sessions = "1: tell also which sessions get busy and idle, and what running turns have cost so far."
    return {
        "type": "object",
        "properties": {
            "token": {"type": "string", "description": KEY_IN_URL},
            "sessions": {"type": "string", "description": sessions},
        },
    }
