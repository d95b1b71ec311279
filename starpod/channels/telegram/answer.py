"""What a turn has said so far, cut into what each stream mode shows of it. Pure; knows no network."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from starpod.agent.types import AttachmentSent, StreamEnded, TextDelta, ToolReturned, ToolUsed, TurnEvent
from starpod.channels.telegram.types import StreamMode

NO_ANSWER = "(no response)"
CUT_OFF = "_(The gateway was stopped before this was finished. Say “continue” to go on.)_"
NEVER_BEGAN = "_(The gateway was stopped before I could answer. Please send it again.)_"
STOPPED = "_(stopped)_"


@dataclass(frozen=True, slots=True)
class AnswerFile:
    """A file that the agent sends along."""

    file_name: str
    mime_type: str
    data: bytes


@dataclass(slots=True)
class Answer:
    """Takes the events of one turn. `blocks` are the texts between tool calls, the last one may still grow."""

    blocks: list[str] = field(default_factory=list)
    files: list[AnswerFile] = field(default_factory=list)
    running: dict[str, str] = field(default_factory=dict)
    end: StreamEnded | None = None
    error: str | None = None
    _is_open: bool = False

    def hear(self, event: TurnEvent) -> None:
        """Take the next event."""
        match event:
            case TextDelta(text=text):
                if self._is_open:
                    self.blocks[-1] += text
                else:
                    self.blocks.append(text)
                    self._is_open = True
            case ToolUsed(id=call_id, name=name):
                self._is_open = False
                self.running[call_id] = name
            case ToolReturned(tool_use_id=call_id):
                self._is_open = False
                self.running.pop(call_id, None)
            case AttachmentSent():
                try:
                    data = base64.b64decode(event.data, validate=True)
                except binascii.Error:
                    return
                self.files.append(AnswerFile(event.file_name, event.mime_type, data))
            case StreamEnded():
                self._is_open = False
                self.running.clear()
                self.end = event
            case _:
                pass

    def closed_blocks(self) -> list[str]:
        """The texts that will not grow any more."""
        blocks = self.blocks[:-1] if self._is_open else self.blocks
        return [block for block in blocks if block.strip()]

    def texts(self, mode: StreamMode) -> list[str]:
        """What a turn that has ended is to be shown as, a text for each message that begins anew; markdown."""
        said = [block for block in self.blocks if block.strip()]
        remark = self._remark(bool(said))
        match mode:
            case "final_only":
                return ["\n\n".join([*said[-1:], *remark])]
            case "live":
                return ["\n\n".join([*said, *remark])]
            case "all_messages":
                return [*said, *remark]

    def texts_so_far(self, mode: StreamMode) -> list[str]:
        """What a turn that still runs is to be shown as."""
        match mode:
            case "final_only":
                return []
            case "all_messages":
                return self.closed_blocks()
            case "live":
                shown = [block for block in self.blocks if block.strip()]
                if self.running:
                    shown.append("⏳ " + ", ".join(f"`{name}`" for name in dict.fromkeys(self.running.values())))
                return ["\n\n".join(shown)]

    @property
    def needs_words(self) -> bool:
        """Whether something must be said although there is nothing to say: no file came, and nobody stopped it."""
        return not self.files and not (self.end is not None and self.end.stopped)

    def _remark(self, has_text: bool) -> list[str]:
        """What is to be said about how the turn ended."""
        if self.end is None:
            return [f"Sorry, an error occurred: {self.error or 'the turn did not run'}"]
        if self.end.interrupted:
            return [CUT_OFF if has_text else NEVER_BEGAN]
        if self.end.stopped:
            return [STOPPED] if has_text else []
        if self.end.is_error:
            return [f"Sorry, an error occurred: {'; '.join(self.end.errors) or 'too many rounds of tools'}"]
        return []
