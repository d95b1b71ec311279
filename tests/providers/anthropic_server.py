"""A scripted provider that speaks Anthropic Messages: typed SSE events, or one JSON message."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.script import CallTool, Fail, FailInStream, Think
from tests.providers.scripted_server import Encoder, ScriptedServer, encode, run_as_program


def event(kind: str, **fields: Any) -> str:
    """One typed SSE event."""
    return f"event: {kind}\ndata: {encode({'type': kind, **fields})}\n\n"


class AnthropicEncoder(Encoder):
    """Opens a content block when its kind starts and closes it when another begins."""

    def start(self) -> list[str]:
        self._index = -1
        self._open = False
        self._called = False
        message = {
            **self._message(),
            "content": [],
            "stop_reason": None,
            "usage": {**self._usage(), "output_tokens": 1},
        }
        return [event("message_start", message=message), event("ping")]

    def text(self, piece: str) -> list[str]:
        opening = [] if self._open else self._begin({"type": "text", "text": ""}, keep_open=True)
        return [*opening, self._delta({"type": "text_delta", "text": piece})]

    def text_key(self, piece: str) -> tuple[str, int] | None:
        return (piece, self._index) if self._open else None

    def think(self, step: Think) -> list[str]:
        if step.redacted:
            return [*self._begin({"type": "redacted_thinking", "data": step.signature}), *self._close()]
        deltas = [self._delta_at(1, {"type": "thinking_delta", "thinking": piece}) for piece in step.pieces]
        deltas.append(self._delta_at(1, {"type": "signature_delta", "signature": step.signature}))
        return self._block({"type": "thinking", "thinking": "", "signature": ""}, deltas)

    def call(self, step: CallTool) -> list[str]:
        self._called = True
        half = len(step.arguments) // 2
        deltas = [
            self._delta_at(1, {"type": "input_json_delta", "partial_json": part})
            for part in (step.arguments[:half], step.arguments[half:])
        ]
        return self._block({"type": "tool_use", "id": step.call_id, "name": step.name, "input": {}}, deltas)

    def error(self, step: FailInStream) -> list[str]:
        return [event("error", error={"type": step.kind, "message": step.message})]

    def end(self) -> list[str]:
        stop = {"stop_reason": "tool_use" if self._called else "end_turn", "stop_sequence": None}
        return [
            *self._close(),
            event("message_delta", delta=stop, usage={"output_tokens": self.reply.usage.output}),
            event("message_stop"),
        ]

    def whole(self) -> dict[str, Any]:
        content: list[dict[str, Any]] = []
        for step in self.reply.steps:
            if isinstance(step, CallTool):
                content.append(
                    {"type": "tool_use", "id": step.call_id, "name": step.name, "input": json.loads(step.arguments)}
                )
        if self.reply.text:
            content.insert(0, {"type": "text", "text": self.reply.text})
        reason = "tool_use" if any(isinstance(step, CallTool) for step in self.reply.steps) else "end_turn"
        return {**self._message(), "content": content, "stop_reason": reason, "usage": self._usage()}

    @staticmethod
    def failure(step: Fail) -> dict[str, Any]:
        return {"type": "error", "error": {"type": step.kind, "message": step.message}}

    def _message(self) -> dict[str, Any]:
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": self.model, "stop_sequence": None}

    def _usage(self) -> dict[str, int]:
        usage = self.reply.usage
        return {
            "input_tokens": usage.input,
            "output_tokens": usage.output,
            "cache_read_input_tokens": usage.cache_read,
            "cache_creation_input_tokens": usage.cache_write,
        }

    def _begin(self, block: dict[str, Any], *, keep_open: bool = False) -> list[str]:
        closing = self._close()
        self._index += 1
        self._open = keep_open
        opening = event("content_block_start", index=self._index, content_block=block)
        return [*closing, opening] if keep_open else [*closing, opening, event("content_block_stop", index=self._index)]

    def _block(self, block: dict[str, Any], deltas: list[str]) -> list[str]:
        """A whole block whose deltas were made for the index it is about to get."""
        *before, stop = self._begin(block)
        return [*before, *deltas, stop]

    def _close(self) -> list[str]:
        if not self._open:
            return []
        self._open = False
        return [event("content_block_stop", index=self._index)]

    def _delta(self, delta: dict[str, Any]) -> str:
        return self._delta_at(0, delta)

    def _delta_at(self, ahead: int, delta: dict[str, Any]) -> str:
        return event("content_block_delta", index=self._index + ahead, delta=delta)


class AnthropicServer(ScriptedServer):
    """`base_url` is the full URL of the contract; the SDK appends `/v1/messages` to `url` itself."""

    encoder = AnthropicEncoder
    path = r"/v1/messages"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1/messages"

    def __enter__(self) -> AnthropicServer:
        super().__enter__()
        return self


if __name__ == "__main__":
    run_as_program(AnthropicServer)
