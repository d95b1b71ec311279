"""Runs one turn: model call, tools, model call, ... until the answer stands. Every step is stored before the next begins."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starpod.agent import history, settle_store, store
from starpod.agent.compaction import Compactor, PromptSize
from starpod.agent.history import History
from starpod.agent.journal import Journal
from starpod.agent.model_calls import ModelCalls
from starpod.agent.permission import Permission
from starpod.agent.prompt import Prompts
from starpod.agent.settle_store import Settlement
from starpod.agent.tool_calls import arguments_of, run_tool_calls
from starpod.agent.turn import FollowUp, Turn
from starpod.agent.types import (
    AttachmentSent,
    ContextCompacted,
    StreamEnded,
    StreamStarted,
    ToolReturned,
    ToolUsed,
    TurnState,
)
from starpod.approvals.service import Approvals
from starpod.clock import Clock
from starpod.db.database import Database
from starpod.errors import StarpodError
from starpod.sessions import store as sessions
from starpod.tools.home import read_outgoing
from starpod.tools.types import OutgoingFile, ToolContext, ToolFailure
from starpod.usage.budget_types import BudgetExceeded

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelRequestPart, ModelResponse
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.toolsets import AbstractToolset

    from starpod.agent.models import ChosenModel

logger = logging.getLogger(__name__)

MAX_TURNS_REACHED = "The limit of {} tool rounds for one message was reached."


@dataclass(slots=True)
class _Run:
    """The working state of one turn."""

    turn: Turn
    chosen: ChosenModel
    history: History
    parameters: ModelRequestParameters
    context: Any
    toolset: AbstractToolset[ToolContext]
    tools: dict[str, Any]
    size: PromptSize


class Runner:
    """Drives turns; owns no turn and no task."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        journal: Journal,
        calls: ModelCalls,
        prompts: Prompts,
        compactor: Compactor,
        toolset: Callable[[Turn], AbstractToolset[ToolContext]],
        tool_context: Callable[[Turn], ToolContext],
        approvals: Approvals,
        paid: Callable[[Turn], None],
    ) -> None:
        """`paid` is called after each model call but the last: `turn.usage` has grown."""
        self._paid = paid
        self._approvals = approvals
        self._database = database
        self._clock = clock
        self._journal = journal
        self._calls = calls
        self._prompts = prompts
        self._compactor = compactor
        self._toolset = toolset
        self._tool_context = tool_context
        self._unsettled: list[Settlement] = []

    async def run(self, turn: Turn) -> None:
        """Run a turn to its end, whatever that is. The turn's `end` event is always published and its state always stored."""
        try:
            await turn.go.wait()
            turn.state = "running"
            turn.publish(StreamStarted())
            await self._converse(turn)
        except asyncio.CancelledError:
            if turn.state != "completed":
                await self._cut_short(turn, "stopped" if turn.stop_requested else "interrupted", None)
        except Exception as error:
            turn.is_over_budget = isinstance(error, BudgetExceeded)
            text = str(error) if isinstance(error, StarpodError) else self._calls.explain(error)
            await self._cut_short(turn, "failed", text)
        finally:
            self._calls.release(turn)

    async def _converse(self, turn: Turn) -> None:
        run = await self._start(turn)
        while turn.num_turns < turn.config.max_turns:
            if await self._compactor.shrink(turn, run.history, run.size):
                turn.publish(ContextCompacted(len(run.history.messages)))
            await self._calls.reserve(turn, run.chosen, run.parameters, run.size.tokens)
            response = await self._calls.stream(
                turn, run.chosen, run.history.messages, run.parameters, input_estimate=run.size.tokens
            )
            calls = list(response.tool_calls)
            is_final = not calls and not turn.follow_ups
            if is_final:
                turn.is_accepting = False
                turn.state = "completed"
            await self._keep_response(run, response, is_final=is_final)
            if is_final:
                await self._finish(turn)
                return
            parts = await self._use_tools(run, response) if calls else []
            await self._keep_request(run, parts)
        await self._cut_short(turn, "failed", MAX_TURNS_REACHED.format(turn.config.max_turns))

    async def _start(self, turn: Turn) -> _Run:
        from pydantic_ai import RunContext
        from pydantic_ai.usage import RunUsage

        begun, turn.begun = turn.begun, None
        if begun is None:
            begun = await self._database.run(store.begin, turn.id, turn.session_id, turn.user_json, self._clock.now())
        chosen = self._calls.resolve(turn)
        size = PromptSize(sum(len(message) for _, message in begun.rows) // 4)
        past = history.load(begun.rows, begun.summary)
        toolset = self._toolset(turn)
        context: RunContext[ToolContext] = RunContext(
            deps=self._tool_context(turn), model=chosen.model, usage=RunUsage()
        )
        tools = await toolset.get_tools(context)
        prompt = await self._prompts.build(turn)
        turn.is_accepting = True
        parameters = self._calls.parameters(prompt, tools)
        return _Run(turn, chosen, past, parameters, context, toolset, dict(tools), size)

    async def _keep_response(self, run: _Run, response: ModelResponse, *, is_final: bool) -> None:
        turn = run.turn
        text = "\n".join(part.content for part in response.parts if part.part_kind == "text" and part.content)
        usage = self._calls.usage_of(run.chosen, response)
        run.size.tokens = usage.input_tokens + usage.cache_read + usage.cache_write + usage.output_tokens
        self._journal.discard(turn.id)
        row_id = await self._database.run(
            store.save_response,
            session_id=turn.session_id,
            turn_id=turn.id,
            text=text,
            tool_calls=[(call.tool_call_id, call.tool_name, arguments_of(call)) for call in response.tool_calls],
            message_json=history.dump(response),
            usage=usage,
            num_turns=turn.num_turns,
            is_final=is_final,
            now=self._clock.now(),
        )
        turn.book(usage)
        turn.call = None
        self._calls.release(turn)
        if not is_final:
            self._paid(turn)
        if text:
            turn.texts.append(text)
        run.history.append(row_id, response)

    async def _use_tools(self, run: _Run, response: ModelResponse) -> list[ModelRequestPart]:
        turn = run.turn
        turn.num_turns += 1
        for call in response.tool_calls:
            turn.publish(ToolUsed(call.tool_call_id, call.tool_name, arguments_of(call)))
        parts: dict[str, ModelRequestPart] = {}
        results = run_tool_calls(
            response.tool_calls,
            run.toolset,
            run.tools,
            run.context,
            max_bytes=turn.config.compaction.max_tool_result_bytes,
            permission=Permission(self._approvals, turn),
            telemetry=self._calls.telemetry,
        )
        async for result in results:
            call_id = result.part.tool_call_id
            parts[call_id] = result.part
            await self._database.run(
                store.save_tool_result,
                session_id=turn.session_id,
                turn_id=turn.id,
                call_id=call_id,
                content=result.content,
                is_error=result.is_error,
                now=self._clock.now(),
            )
            turn.publish(ToolReturned(call_id, result.content, result.is_error))
        return [parts[call.tool_call_id] for call in response.tool_calls]

    async def _keep_request(self, run: _Run, parts: list[ModelRequestPart]) -> None:
        """Put together what the model hears next: tool results, then the follow-ups that came meanwhile."""
        from pydantic_ai.messages import ModelMessagesTypeAdapter, ModelRequest

        turn = run.turn
        taken: list[FollowUp] = turn.follow_ups
        turn.follow_ups = []
        for follow_up in taken:
            message = ModelMessagesTypeAdapter.validate_json(f"[{follow_up.user_json}]")[0]
            assert isinstance(message, ModelRequest)
            parts.extend(message.parts)
        request = ModelRequest(parts=parts)
        row_id = await self._database.run(
            store.save_request,
            session_id=turn.session_id,
            turn_id=turn.id,
            message_json=history.dump(request),
            message_ids=[follow_up.message_id for follow_up in taken],
            now=self._clock.now(),
        )
        run.history.append(row_id, request)

    async def _finish(self, turn: Turn) -> None:
        turn.publish(self._ended(turn))
        if not turn.has_followers:
            # Nobody heard the answer: it waits for its person, marked unread.
            await self._database.run(sessions.set_flag, turn.session_id, None, is_read=False, is_archived=None)
        for file in turn.outgoing:
            try:
                data = await asyncio.to_thread(_encoded, file)
            except (OSError, ToolFailure):
                logger.warning("an attached file was gone or another one before it could be sent")
                continue
            await self._database.run(
                store.save_attachment,
                session_id=turn.session_id,
                turn_id=turn.id,
                direction="out",
                name=file.file_name,
                mime_type=file.mime_type,
                size_bytes=file.size_bytes,
                path=str(file.path),
                now=self._clock.now(),
            )
            turn.publish(AttachmentSent(file.file_name, file.mime_type, data))

    async def _cut_short(self, turn: Turn, state: TurnState, error: str | None) -> None:
        """End a turn that did not complete, keeping what it said, what it cost and what waits to be heard."""
        turn.is_accepting = False
        turn.state = state
        turn.error = error
        if not turn.events:
            turn.publish(StreamStarted())
        settlement = Settlement(turn.id, state, error, turn.num_turns, self._calls.usage_of_cut(turn))
        if settlement.usage is not None:
            turn.book(settlement.usage)
        await self._journal.flush()
        try:
            said = await self._settle(settlement)
        except StarpodError as failure:
            logger.warning("the end of a turn could not be stored yet: %s", failure)
            turn.error = error or str(failure)
            self._unsettled.append(settlement)
        else:
            if said:
                turn.texts.append(said)
        await self._finish(turn)

    async def settle_late(self) -> None:
        """Try again to store ends that could not be stored (a full disk, a locked database)."""
        while self._unsettled:
            try:
                await self._settle(self._unsettled[0])
            except StarpodError:
                return
            self._unsettled.pop(0)

    async def _settle(self, settlement: Settlement) -> str:
        return await self._database.run(settle_store.settle, settlement, self._clock.now())

    def _ended(self, turn: Turn) -> StreamEnded:
        usage = turn.usage
        turn.end = StreamEnded(
            num_turns=turn.num_turns,
            cost_usd=round(usage.cost_usd, 10),
            input_tokens=usage.input_tokens + usage.cache_read + usage.cache_write,
            output_tokens=usage.output_tokens,
            cache_read_input_tokens=usage.cache_read,
            cache_creation_input_tokens=usage.cache_write,
            is_error=turn.state in ("failed", "interrupted"),
            errors=(turn.error,) if turn.error else (),
            stopped=turn.state == "stopped",
            interrupted=turn.state == "interrupted",
            model=f"{usage.provider}/{usage.model}" if usage.model else turn.request.model,
        )
        return turn.end


def _encoded(file: OutgoingFile) -> str:
    return base64.b64encode(read_outgoing(file)).decode()
