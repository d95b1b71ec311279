"""What a bench message asks of the scripted provider, and the stamped text it answers with. Shared by provider, relay and load."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Literal

Mode = Literal["say", "silent", "tools"]


@dataclass(frozen=True, slots=True)
class Spec:
    """One reply. `rate` is in pieces a second, 0 = as fast as they are taken; `phase_s` shifts the first piece.

    `say` says the pieces, `silent` never says anything, `tools` asks for a tool call and is silent at the next model call.
    With a `gate` the pieces wait until it is opened; `tag` names the call when somebody asks when it was cut off.
    """

    pieces: int = 20
    rate: float = 0.0
    gate: str = ""
    phase_s: float = 0.0
    mode: Mode = "say"
    tag: str = ""

    def text(self) -> str:
        """The message that carries the spec through the agent."""
        return json.dumps(asdict(self))


def find_spec(body: dict[str, Any]) -> Spec:
    """The spec in the last user message of a Chat Completions request."""
    for message in reversed(body["messages"]):
        if message["role"] == "user":
            content = message["content"]
            text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
            return Spec(**json.loads(text[text.index("{") : text.rindex("}") + 1]))
    raise ValueError("the request holds no user message")


def stamp(number: int, at_ns: int) -> str:
    """Piece `number` of a reply, said at `at_ns` of the machine's monotonic clock, which all processes share."""
    return f"{number}:{at_ns} "


@lru_cache(maxsize=8192)
def read_stamps(text: str) -> tuple[tuple[int, int], ...]:
    """The (number, nanoseconds) of each piece in a delta, which may hold several."""
    pairs = (piece.split(":") for piece in text.split())
    return tuple((int(number), int(at_ns)) for number, at_ns in pairs)
