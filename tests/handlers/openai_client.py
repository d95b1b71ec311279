"""OpenAI's own library against a gateway of the test's."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from openai import AsyncOpenAI

from tests.gateway import ADMIN_KEY, TIMEOUT_S, Gateway

PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


@contextlib.asynccontextmanager
async def openai(gateway: Gateway, key: str = ADMIN_KEY, *, max_retries: int = 0) -> AsyncIterator[AsyncOpenAI]:
    """The library as a person would set it up: address and key."""
    http = httpx2.AsyncClient(trust_env=False)
    async with AsyncOpenAI(
        base_url=f"{gateway.url}/v1", api_key=key, max_retries=max_retries, timeout=TIMEOUT_S, http_client=http
    ) as client:
        yield client


def user(*parts: Any) -> dict[str, Any]:
    """A message of the person's: a text, or content parts."""
    return {"role": "user", "content": parts[0] if len(parts) == 1 and isinstance(parts[0], str) else list(parts)}


def heard(gateway: Gateway, number: int = -1) -> list[tuple[str, Any]]:
    """(role, content) of what the model was sent, without the instructions."""
    return [
        (message["role"], message.get("content"))
        for message in gateway.provider.requests[number].body["messages"]
        if message["role"] not in ("system", "developer")
    ]


def instructions(gateway: Gateway, number: int = -1) -> str:
    """The instructions that the model was sent."""
    messages = gateway.provider.requests[number].body["messages"]
    return "\n".join(str(message["content"]) for message in messages if message["role"] in ("system", "developer"))
