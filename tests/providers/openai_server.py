"""A scripted provider that speaks OpenAI Chat Completions, streamed (SSE) and whole."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from tests.providers.embeddings import Embedded, EmbeddingsHandler
from tests.providers.script import Burst, CallTool, Fail, FailInStream, Say, SplitCharacter, Think, Usage
from tests.providers.scripted_server import Encoder, ScriptedServer, encode, run_as_program


class OpenAIEncoder(Encoder):
    """Events are `data: {chat.completion.chunk}`; the last ones carry the finish reason, the usage and `[DONE]`."""

    def start(self) -> list[str]:
        self._calls = 0
        return [self._chunk({"role": "assistant", "content": ""})]

    def text(self, piece: str) -> list[str]:
        return [self._chunk({"content": piece})]

    def text_key(self, piece: str) -> tuple[str, int] | None:
        return piece, 0

    def think(self, step: Think) -> list[str]:
        return [self._chunk({"reasoning_content": piece}) for piece in step.pieces]

    def call(self, step: CallTool) -> list[str]:
        index, half = self._calls, len(step.arguments) // 2
        self._calls += 1
        head = {
            "index": index,
            "id": step.call_id,
            "type": "function",
            "function": {"name": step.name, "arguments": step.arguments[:half]},
        }
        tail = {"index": index, "function": {"arguments": step.arguments[half:]}}
        return [self._chunk({"tool_calls": [head]}), self._chunk({"tool_calls": [tail]})]

    def error(self, step: FailInStream) -> list[str]:
        return [f"data: {encode({'error': {'message': step.message, 'type': step.kind, 'code': step.kind}})}\n\n"]

    def end(self) -> list[str]:
        usage = self._body(choices=[], usage=openai_usage(self.reply.usage))
        return [
            self._chunk({}, "tool_calls" if self._calls else "stop"),
            f"data: {encode(usage)}\n\n",
            "data: [DONE]\n\n",
        ]

    def whole(self) -> dict[str, Any]:
        calls = [
            {"id": step.call_id, "type": "function", "function": {"name": step.name, "arguments": step.arguments}}
            for step in self.reply.steps
            if isinstance(step, CallTool)
        ]
        said = any(isinstance(step, Say | Burst | SplitCharacter) for step in self.reply.steps)
        message: dict[str, Any] = {"role": "assistant", "content": self.reply.text if said else None}
        if calls:
            message["tool_calls"] = calls
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}
        return {**self._body(choices=[choice], usage=openai_usage(self.reply.usage)), "object": "chat.completion"}

    @staticmethod
    def failure(step: Fail) -> dict[str, Any]:
        return {"error": {"message": step.message, "type": step.kind, "code": step.kind, "param": None}}

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> str:
        return f"data: {encode(self._body(choices=[{'index': 0, 'delta': delta, 'finish_reason': finish}]))}\n\n"

    def _body(self, **fields: Any) -> dict[str, Any]:
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": self.model,
            **fields,
        }


def openai_usage(usage: Usage) -> dict[str, Any]:
    """OpenAI counts cached tokens inside `prompt_tokens`."""
    prompt = usage.input + usage.cache_read + usage.cache_write
    details = {"cached_tokens": usage.cache_read}
    if usage.cache_write:
        details["cache_write_tokens"] = usage.cache_write
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": details,
    }


class OpenAIServer(ScriptedServer):
    """`base_url` is what an SDK wants; the full URL `base_url + "/chat/completions"` is what a config file may hold."""

    encoder = OpenAIEncoder
    path = r"/v1/chat/completions"

    def routes(self) -> list[Any]:
        return [(r"/v1/embeddings", EmbeddingsHandler, {"embedded": self.embedded})]

    @cached_property
    def embedded(self) -> Embedded:
        """What was embedded, and how to make it fail."""
        return Embedded()

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def __enter__(self) -> OpenAIServer:
        super().__enter__()
        return self


if __name__ == "__main__":
    run_as_program(OpenAIServer)
