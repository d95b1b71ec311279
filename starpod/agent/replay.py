"""A turn that is no longer in memory, told again from what is stored."""

from __future__ import annotations

import json
from collections.abc import Sequence

from starpod.agent.types import (
    Published,
    StoredTurn,
    StreamEnded,
    StreamStarted,
    TextDelta,
    ToolReturned,
    ToolUsed,
    TurnEvent,
)


def replay(
    turn: StoredTurn, rows: Sequence[tuple[str, str]], usage: tuple[int, int, int, int, float]
) -> list[Published]:
    """The events of an ended turn, from its rows (role, content) and usage sums; each text is one delta."""
    events: list[TurnEvent] = [StreamStarted()]
    for role, content in rows:
        match role:
            case "assistant":
                events.append(TextDelta(content))
            case "tool_use":
                call = json.loads(content)
                events.append(ToolUsed(call["id"], call["name"], call["input"]))
            case "tool_result":
                result = json.loads(content)
                events.append(ToolReturned(result["tool_use_id"], result["content"], result["is_error"]))
            case _:
                continue
    events.append(_ended(turn, usage))
    return [Published(turn.session_id, turn.id, number, event) for number, event in enumerate(events, start=1)]


def _ended(turn: StoredTurn, usage: tuple[int, int, int, int, float]) -> StreamEnded:
    fresh, output, cache_read, cache_write, cost = usage
    return StreamEnded(
        num_turns=turn.num_turns,
        cost_usd=round(cost, 10),
        input_tokens=fresh + cache_read + cache_write,
        output_tokens=output,
        cache_read_input_tokens=cache_read,
        cache_creation_input_tokens=cache_write,
        is_error=turn.state in ("failed", "interrupted"),
        errors=(turn.error,) if turn.error else (),
        stopped=turn.state == "stopped",
        interrupted=turn.state == "interrupted",
        model=turn.model,
    )
