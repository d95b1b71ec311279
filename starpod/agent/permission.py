"""Between a tool call and its run: the settings may want a person's word first."""

from __future__ import annotations

from typing import Any, Protocol

from starpod.agent.turn import Turn
from starpod.agent.types import ApprovalRequested, ApprovalSettled
from starpod.approvals import rules
from starpod.approvals.service import Approvals
from starpod.approvals.types import Outcome, Question, Remember

DENIED = (
    "The person did not allow this call of {}. It was not run. Do not try to reach the same by other means; "
    "say what you wanted to do and ask how to go on."
)
TIMED_OUT = (
    "Nobody allowed this call of {} within {:g} seconds, so it was not run. Go on without it, and say that it is open."
)


class Asks(Protocol):
    """Decides on tool calls before they run."""

    async def refusal(self, call_id: str, tool_name: str, arguments: dict[str, Any]) -> str | None:
        """None when the call may run, else a text for the model."""
        ...


class Permission:
    """Asks for one turn."""

    def __init__(self, approvals: Approvals, turn: Turn) -> None:
        self._approvals = approvals
        self._turn = turn
        self._settings = turn.config.tools.approval

    async def refusal(self, call_id: str, tool_name: str, arguments: dict[str, Any]) -> str | None:
        """Wait until the call may run; a text for the model when it may not."""
        if not rules.waits(self._settings.ask, tool_name, arguments):
            return None
        timeout_s = self._settings.timeout_secs
        question = self._approvals.question(
            user_id=self._turn.user_id,
            session_id=self._turn.session_id,
            turn_id=self._turn.id,
            tool_use_id=call_id,
            tool_name=tool_name,
            subject=rules.subject_of(tool_name, arguments),
            arguments=arguments,
            timeout_s=timeout_s,
        )
        match await self._approvals.remembered(question):
            case "approve":
                return None
            case "deny":
                return DENIED.format(tool_name)
            case None:
                outcome = await self._ask(question, timeout_s)
        match outcome:
            case "approved":
                return None
            case "timeout":
                return TIMED_OUT.format(tool_name, timeout_s)
            case "denied" | "withdrawn":
                return DENIED.format(tool_name)

    async def _ask(self, question: Question, timeout_s: float) -> Outcome:
        def told(outcome: Outcome, remember: Remember) -> None:
            self._turn.publish(ApprovalSettled(question.id, question.tool_use_id, outcome, remember))

        # No await in between: whoever hears of the question can answer it.
        self._turn.publish(ApprovalRequested(question))
        return await self._approvals.ask(question, timeout_s=timeout_s, told=told)
