"""`POST /v1/chat/completions`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from handlers.chat import CHAT_BODY_LIMIT, CHAT_VALUES
from handlers.openai.answers import IDEMPOTENCY_KEY, Answer, Between, streamed, whole
from handlers.openai.base import OpenAIHandler, failure, status_and_code
from handlers.openai.bodies import ChatCompletionBody, said
from handlers.openai.shapes import AssistantMessage, ChatUsage, Completion
from starpod.agent.turns import Submitted
from starpod.agent.types import Published, StreamEnded, StreamStarted
from starpod.channels.openai.service import Question

SESSION_HEADER = "X-Session-Key"


class ChatCompletionHandler(OpenAIHandler):
    """A message to the agent, in the session of `X-Session-Key` or `user`, else in a new one."""

    body_limit = CHAT_BODY_LIMIT
    most_values = CHAT_VALUES

    async def post(self) -> None:
        body = await self.read_large_body(ChatCompletionBody)
        question = Question(
            tuple(said(message, f"messages.{number}") for number, message in enumerate(body.messages)),
            model=body.model,
            session=self.request.headers.get(SESSION_HEADER) or body.user or None,
            client_message_id=self.request.headers.get(IDEMPOTENCY_KEY),
        )
        submitted = await self.state.openai.ask(self.viewer, question)
        about = About(submitted, self.state.openai.spec(body.model), int(self.state.clock.now().timestamp()))
        self.set_header("X-Session-Id", submitted.session_id)
        if not body.stream:
            return self.send_json(about.completion(await whole(self, submitted)))
        wants_usage = body.stream_options is not None and body.stream_options.include_usage
        await streamed(self, submitted, ChatEncoder(about, wants_usage=wants_usage))


class About:
    """What stands in every object of one answer."""

    def __init__(self, submitted: Submitted, model: str, created: int) -> None:
        self.id = f"chatcmpl-{submitted.turn_id.replace('-', '')}"
        self.model = model
        self.created = created

    def completion(self, answer: Answer) -> Completion:
        """The whole answer."""
        message: AssistantMessage = {"role": "assistant", "content": answer.text, "refusal": None}
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": answer.end.model or self.model,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": usage_of(answer.end),
            "starpod": answer.extras,
        }

    def chunk(self, choices: list[dict[str, Any]], **fields: Any) -> bytes:
        """One event of a stream."""
        body = {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            **fields,
        }
        return event(body)


class ChatEncoder:
    """A turn as `chat.completion.chunk` events."""

    def __init__(self, about: About, *, wants_usage: bool) -> None:
        self._about = about
        self._wants_usage = wants_usage
        self._between = Between()

    def hear(self, published: Published) -> bytes:
        """The role first, then the text as it comes."""
        if isinstance(published.event, StreamStarted):
            return self._delta({"role": "assistant", "content": ""})
        text = self._between.text(published)
        return self._delta({"content": text}) if text else b""

    def end(self, answer: Answer) -> bytes:
        """Why it ended, what it used if that is wanted, or what went wrong; then the protocol's own end."""
        if answer.failure is not None:
            status, code = status_and_code(answer.failure)
            return event(failure(str(answer.failure), status, code=code)) + DONE
        last = self._delta({}, finish_reason="stop", starpod=answer.extras)
        if self._wants_usage:
            last += self._about.chunk([], usage=usage_of(answer.end))
        return last + DONE

    def _delta(self, delta: dict[str, str], finish_reason: str | None = None, **fields: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        if self._wants_usage:
            fields["usage"] = None
        return self._about.chunk([choice], **fields)


DONE = b"data: [DONE]\n\n"


def event(body: Mapping[str, Any]) -> bytes:
    """An event without a name."""
    return b"data: %s\n\n" % to_json(body, inf_nan_mode="null")


def usage_of(end: StreamEnded) -> ChatUsage:
    """Tokens of all model calls of the turn, as the protocol counts them, and their price."""
    return {
        "prompt_tokens": end.input_tokens,
        "completion_tokens": end.output_tokens,
        "total_tokens": end.input_tokens + end.output_tokens,
        "prompt_tokens_details": {"cached_tokens": end.cache_read_input_tokens},
        "cost_usd": end.cost_usd,
    }
