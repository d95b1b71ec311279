"""`POST /v1/responses` and `GET /v1/responses/:id`: text, whole or as typed events."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from handlers.chat import CHAT_BODY_LIMIT, CHAT_VALUES
from handlers.openai.answers import IDEMPOTENCY_KEY, Answer, Between, answer_of, streamed, whole
from handlers.openai.base import OpenAIHandler
from handlers.openai.bodies import InputMessage, ResponseBody, ToolResult, said, tool_result
from handlers.openai.chat import SESSION_HEADER
from handlers.openai.shapes import ItemStatus, OutputMessage, OutputText, ResponseAnswer, ResponseStatus, ResponseUsage
from starpod.agent.turns import Submitted
from starpod.agent.types import Published, StreamEnded, StreamStarted
from starpod.channels.openai.conversation import Said
from starpod.channels.openai.service import Question, response_id
from starpod.usage.budget_types import BudgetExceeded

EMPTY = ResponseBody.model_construct(input=[])


class ResponseListHandler(OpenAIHandler):
    """A message to the agent. `previous_response_id` goes on with the conversation of that response."""

    body_limit = CHAT_BODY_LIMIT
    most_values = CHAT_VALUES

    async def post(self) -> None:
        body = await self.read_large_body(ResponseBody)
        submitted = await self.state.openai.ask(
            self.viewer,
            Question(
                _messages(body),
                model=body.model,
                session=self._session(body),
                previous=body.previous_response_id or None,
                client_message_id=self.request.headers.get(IDEMPOTENCY_KEY),
            ),
        )
        self.set_header("X-Session-Id", submitted.session_id)
        about = About(submitted, body, self.state.openai.spec(body.model), int(self.state.clock.now().timestamp()))
        if not body.stream:
            return self.send_json(about.answered(await whole(self, submitted)))
        await streamed(self, submitted, ResponseEncoder(about))

    def _session(self, body: ResponseBody) -> str | None:
        """A response that goes on with another one has its session, whoever the user is said to be."""
        if body.conversation is not None:
            return (body.conversation if isinstance(body.conversation, str) else body.conversation.id) or None
        if (header := self.request.headers.get(SESSION_HEADER)) or body.previous_response_id:
            return header or None
        return body.user or None


class ResponseHandler(OpenAIHandler):
    """A response that was given before."""

    async def get(self, name: str) -> None:
        session, turn_id = await self.state.openai.session_of(self.viewer, name)
        turn = await self.state.agent.find_turn(self.viewer, session.id, turn_id)
        submitted = Submitted(session.id, turn_id, turn, True, False, 0)
        about = About(submitted, EMPTY, self.state.openai.spec(None), int(self.state.clock.now().timestamp()))
        if turn is not None and not turn.ended.is_set():
            return self.send_json(about.response("in_progress", []))
        events = await self.state.agent.replay(self.viewer, session.id, turn_id)
        self.send_json(about.answered(answer_of(submitted, events)))


class About:
    """What stands in every object of one answer."""

    def __init__(self, submitted: Submitted, body: ResponseBody, model: str, created: int) -> None:
        self.id = response_id(submitted.turn_id)
        self.item_id = f"msg_{submitted.turn_id.replace('-', '')}"
        self._body = body
        self._model = model
        self._created = created

    def response(self, status: ResponseStatus, output: list[OutputMessage]) -> ResponseAnswer:
        """The response in this state."""
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "instructions": self._body.instructions,
            "metadata": self._body.metadata or {},
            "model": self._model,
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": self._body.previous_response_id or None,
            "store": True,
            "temperature": None,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "usage": None,
            "user": self._body.user,
        }

    def answered(self, answer: Answer) -> ResponseAnswer:
        """The response at its end, however that came about."""
        failure = answer.failure
        status: ResponseStatus = "completed"
        if failure is not None or answer.end.stopped:
            status = "incomplete" if failure is None else "failed"
        part = self.part(answer.text)
        item = self.message([part], "completed" if status == "completed" else "incomplete")
        response = self.response(status, [item] if answer.text else [])
        response["usage"] = usage_of(answer.end)
        response["starpod"] = answer.extras
        response["model"] = answer.end.model or self._model
        if failure is not None:
            code = "rate_limit_exceeded" if isinstance(failure, BudgetExceeded) else "server_error"
            response["error"] = {"code": code, "message": str(failure)}
        elif answer.end.stopped:
            response["incomplete_details"] = {"reason": None}
        return response

    def message(self, content: list[OutputText], status: ItemStatus) -> OutputMessage:
        """The one item of the output."""
        return {"id": self.item_id, "type": "message", "role": "assistant", "status": status, "content": content}

    @staticmethod
    def part(text: str) -> OutputText:
        """The one part of the item."""
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


class ResponseEncoder:
    """A turn as typed, numbered events."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._between = Between()
        self._number = 0
        self._is_open = False

    def hear(self, published: Published) -> bytes:
        """The response first; the item and its part with the first text; then the text as it comes."""
        if isinstance(published.event, StreamStarted):
            begun = self._about.response("in_progress", [])
            return self._event("created", response=begun) + self._event("in_progress", response=begun)
        text = self._between.text(published)
        if not text:
            return b""
        opening = b"" if self._is_open else self._open()
        return opening + self._event("output_text.delta", **self._place, delta=text, logprobs=[])

    def end(self, answer: Answer) -> bytes:
        """Text, part, item and response as they are in the end."""
        response = self._about.answered(answer)
        closing = b""
        if self._is_open:
            part = self._about.part(answer.text)
            [item] = response["output"]
            closing = (
                self._event("output_text.done", **self._place, text=answer.text, logprobs=[])
                + self._event("content_part.done", **self._place, part=part)
                + self._event("output_item.done", output_index=0, item=item)
            )
        return closing + self._event(response["status"], response=response)

    def _open(self) -> bytes:
        self._is_open = True
        item = self._about.message([], "in_progress")
        added = self._event("output_item.added", output_index=0, item=item)
        return added + self._event("content_part.added", **self._place, part=self._about.part(""))

    @property
    def _place(self) -> dict[str, Any]:
        return {"item_id": self._about.item_id, "output_index": 0, "content_index": 0}

    def _event(self, name: str, **fields: Any) -> bytes:
        kind = f"response.{name}"
        body = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return b"event: %s\ndata: %s\n\n" % (kind.encode(), to_json(body, inf_nan_mode="null"))


def usage_of(end: StreamEnded) -> ResponseUsage:
    """Tokens of all model calls of the turn, as the protocol counts them, and their price. Thinking is not told apart."""
    return {
        "input_tokens": end.input_tokens,
        "input_tokens_details": {
            "cached_tokens": end.cache_read_input_tokens,
            "cache_write_tokens": end.cache_creation_input_tokens,
        },
        "output_tokens": end.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": end.input_tokens + end.output_tokens,
        "cost_usd": end.cost_usd,
    }


def _messages(body: ResponseBody) -> tuple[Said, ...]:
    messages = [Said("system", body.instructions)] if body.instructions else []
    for number, item in enumerate(body.input):
        if isinstance(item, InputMessage):
            messages.append(said(item, f"input.{number}"))
        elif isinstance(item, ToolResult):
            messages.append(tool_result(item.output, f"input.{number}"))
    return tuple(messages)
