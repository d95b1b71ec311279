"""Talks to a running gateway over HTTP, as any client would: `POST /api/chat`, answered as server-sent events."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from starpod.errors import Forbidden, InvalidInput, StarpodError, Upstream

CONNECT_TIMEOUT_S = 5.0
SILENCE_TIMEOUT_S = 60.0  # a gateway that has nothing to say sends a comment every 15 seconds


class NoGateway(StarpodError):
    """Nothing answers at the address."""


@dataclass(frozen=True, slots=True)
class Question:
    """One message to the agent; `session_key` continues the conversation of that name."""

    text: str
    session_key: str | None = None
    model: str | None = None


def ask(url: str, question: Question, api_key: str | None = None) -> Iterator[dict[str, Any]]:
    """Send the question to the gateway at `url` and yield the turn's messages as they come.

    Raises NoGateway when nothing listens there, and Forbidden, InvalidInput or Upstream with what the gateway answered.
    """
    headers = {"Accept": "text/event-stream"} | ({"X-API-Key": api_key} if api_key else {})
    body = {
        "text": question.text,
        "channel_id": "main",
        "channel_session_key": question.session_key,
        "model": question.model,
        "client_message_id": str(uuid.uuid4()),
    }
    timeout = httpx2.Timeout(SILENCE_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    try:
        # trust_env: a proxy meant for the internet must not see the key of a gateway on this machine.
        with (
            httpx2.Client(timeout=timeout, trust_env=False) as client,
            client.stream("POST", f"{url.rstrip('/')}/api/chat", json=body, headers=headers) as response,
        ):
            if response.status_code != 200:
                response.read()
                raise refusal(response)
            yield from parse_events(response.iter_lines())
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        raise NoGateway(
            f"no gateway answers at {url}; start one with `starpod serve`, or name another with --url"
        ) from error
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeEncodeError) as error:
        raise InvalidInput(
            f"--url or --key cannot be used: {url!r} must look like http://host:port, a key is plain ASCII"
        ) from error
    except httpx2.HTTPError as error:
        raise Upstream(
            "the connection to the gateway broke; the turn goes on there, and its session keeps the answer"
        ) from error


def stop_turn(url: str, session_id: str, api_key: str | None = None) -> bool:
    """Ask the gateway to stop the session's running turn; whether it agreed."""
    headers = {"X-API-Key": api_key} if api_key else {}
    try:
        address = f"{url.rstrip('/')}/api/sessions/{session_id}/stop"
        response = httpx2.post(address, json={}, headers=headers, timeout=CONNECT_TIMEOUT_S, trust_env=False)
    except httpx2.HTTPError:
        return False
    return response.is_success


def answer_approval(
    url: str, question: Mapping[str, Any], answer: Mapping[str, str], api_key: str | None = None
) -> bool:
    """Answer an `approval_request` with its decision and how long to remember it; whether it still waited."""
    headers = {"X-API-Key": api_key} if api_key else {}
    try:
        address = f"{url.rstrip('/')}/api/sessions/{question['session_id']}/approvals/{question['approval_id']}"
        response = httpx2.post(address, json=dict(answer), headers=headers, timeout=CONNECT_TIMEOUT_S, trust_env=False)
    except (httpx2.HTTPError, KeyError):
        return False
    return response.is_success


def parse_events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The JSON objects of a server-sent event stream (HTML standard, section 9.2.6), from its lines without line ends."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield _parsed("\n".join(data))
            data.clear()


def _parsed(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError as error:
        raise Upstream("what answers at that address does not speak as a Starpod gateway") from error
    return message if isinstance(message, dict) else {}


def refusal(response: httpx2.Response) -> StarpodError:
    """What the gateway's answer of another status than success means."""
    try:
        text = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        text = f"the gateway answered with status {response.status_code}"
    match response.status_code:
        case 401:
            return Forbidden(f"{text} (give a key with --key or in STARPOD_API_KEY)")
        case 400 | 413 | 422:
            return InvalidInput(text)
        case _:
            return Upstream(text)
