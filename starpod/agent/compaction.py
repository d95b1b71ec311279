"""Keeps a long conversation within the model's budget: old tool results are shortened first, then the older part becomes a summary.

The summary is stored with the id of the last message that it stands for, so it also serves the next turn and the next start.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from starpod.agent import history, store
from starpod.agent.history import History
from starpod.agent.turn import Turn
from starpod.agent.types import UsageRow
from starpod.clock import Clock
from starpod.config.schema import CompactionConfig
from starpod.db.database import Database

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelRequestPart

logger = logging.getLogger(__name__)

PRUNED_HEAD, PRUNED_TAIL = 500, 200
SUMMARY_INSTRUCTIONS = """\
Summarise the conversation below for the assistant that will continue it without seeing it. Keep decisions, facts about people, \
file paths, names, numbers, results of tools, open questions and promises. Leave out pleasantries. Write plain prose or short lists."""


@dataclass(slots=True)
class PromptSize:
    """Tokens that the model was last told, or an estimate before the first call."""

    tokens: int


class Summarise(Protocol):
    """One model call without tools."""

    async def __call__(self, turn: Turn, instructions: str, text: str, *, max_tokens: int) -> tuple[str, UsageRow]:
        """The answer and what it used."""
        ...


class Flush(Protocol):
    """Keeps what is worth remembering of messages, (role, text) each, that the model will not see again. Never raises."""

    async def __call__(self, turn: Turn, messages: list[tuple[str, str]]) -> None:
        """Return when it is kept."""
        ...


class Compactor:
    """Decides when to shorten and does it."""

    def __init__(self, database: Database, clock: Clock, summarise: Summarise, flush: Flush) -> None:
        self._database = database
        self._clock = clock
        self._summarise = summarise
        self._flush = flush

    async def shrink(self, turn: Turn, past: History, size: PromptSize) -> bool:
        """Shorten `past` in place where its size calls for it; True when a summary was made. A failed summary leaves it as it is."""
        config = turn.config.compaction
        if size.tokens > config.context_budget * config.prune_threshold_pct // 100:
            prune(past, config)
        if size.tokens <= config.context_budget:
            return False
        split = split_point(past.messages, config.min_keep_messages)
        upto_id = max(past.ids[:split], default=0)
        if upto_id == 0:
            return False
        await self._flush(turn, spoken(past.messages[:split]))
        try:
            summary, usage = await self._summarise(
                turn, SUMMARY_INSTRUCTIONS, transcript(past.messages[:split]), max_tokens=config.summary_max_tokens
            )
        except Exception:
            logger.exception("summarising session %s failed; it goes on uncompacted", turn.session_id)
            return False
        if not summary.strip():
            return False
        await self._database.run(
            store.save_compaction,
            session_id=turn.session_id,
            turn_id=turn.id,
            summary=summary,
            pre_tokens=size.tokens,
            messages_compacted=split,
            upto_id=upto_id,
            usage=usage,
            now=self._clock.now(),
        )
        turn.book(usage)
        past.messages[:split] = [history.summary_message(summary)]
        past.ids[:split] = [0]
        size.tokens = sum(len(history.dump(message)) for message in past.messages) // 4
        logger.info("compacted %d messages of session %s", split, turn.session_id)
        return True


def split_point(messages: list[ModelMessage], min_keep: int) -> int:
    """How many of the oldest messages may be summarised: all but the newest `min_keep`, never a tool call without its result."""
    split = max(0, len(messages) - min_keep)
    while split > 0 and any(part.part_kind == "tool-return" for part in messages[split].parts):
        split -= 1
    return split


def prune(past: History, config: CompactionConfig) -> None:
    """Shorten long tool results in all but the newest messages."""
    limit = config.prune_tool_result_max_chars
    for index, message in enumerate(past.messages[: max(0, len(past.messages) - config.min_keep_messages)]):
        if message.kind == "request":
            past.messages[index] = replace(message, parts=[_pruned(part, limit) for part in message.parts])


def transcript(messages: list[ModelMessage]) -> str:
    """The messages as text for the summary."""
    lines: list[str] = []
    for message in messages:
        for part in message.parts:
            match part.part_kind:
                case "user-prompt":
                    lines.append(f"User: {_plain(part.content)}")
                case "text":
                    lines.append(f"Assistant: {part.content}")
                case "tool-call":
                    lines.append(f"Tool call: {part.tool_name} {_plain(part.args)[:500]}")
                case "tool-return":
                    lines.append(f"Tool result ({part.tool_name}): {_plain(part.content)[:2000]}")
                case _:
                    continue
    return "\n\n".join(lines)


def spoken(messages: list[ModelMessage]) -> list[tuple[str, str]]:
    """(role, text) of what was said, of tool results only the beginning."""
    found: list[tuple[str, str]] = []
    for message in messages:
        for part in message.parts:
            match part.part_kind:
                case "user-prompt":
                    found.append(("user", _plain(part.content)))
                case "text":
                    found.append(("assistant", part.content))
                case "tool-call":
                    found.append(("tool", f"{part.tool_name} {_plain(part.args)[:500]}"))
                case "tool-return":
                    found.append(("tool result", _plain(part.content)[:500]))
                case _:
                    continue
    return found


def _pruned(part: ModelRequestPart, limit: int) -> ModelRequestPart:
    from pydantic_ai.messages import ToolReturnPart

    if type(part) is not ToolReturnPart or not isinstance(part.content, str) or len(part.content) <= limit:
        return part
    return ToolReturnPart(
        tool_name=part.tool_name,
        tool_call_id=part.tool_call_id,
        content=_shortened(part.content),
        outcome=part.outcome,
        timestamp=part.timestamp,
    )


def _shortened(text: str) -> str:
    return f"{text[:PRUNED_HEAD]}\n[… {len(text) - PRUNED_HEAD - PRUNED_TAIL} characters left out …]\n{text[-PRUNED_TAIL:]}"


def _plain(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list | tuple):
        return "\n".join(item if isinstance(item, str) else "[file]" for item in content)
    return "" if content is None else str(content)
