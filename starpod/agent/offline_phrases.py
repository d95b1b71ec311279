"""What the offline assistant understands, and how it answers: plain English patterns, no language model. Pure and deterministic."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starpod.agent.offline_arithmetic import evaluate, expression_in
from starpod.agent.offline_reminders import parse_reminder

NOTES = "notes.md"
MAX_SHOWN_CHARS = 6_000
MAX_MEMORIES = 5
MAX_MESSAGE_CHARS = 20_000
"""Matching runs on the event loop; this many take some 15 ms at worst."""

HELP = """I am Starpod's offline assistant, not a language model: I understand a few plain sentences and use the same tools as a \
real model. You can say, for example:

- "remember that the meeting is on Friday", "what do you remember about the meeting?", "show my notes"
- "list files in documents", "find files *.md", "read file notes.md"
- "write Buy milk to file documents/list.md", "append Bread to file documents/list.md", "attach documents/list.md"
- "what time is it?", "what is 12 * (3 + 4)?"
- "how do I add a key?": how to connect a real language model"""

CONNECT = """To talk to a real language model:

1. An admin adds the provider's key under *Settings, Models*, or in a terminal with `starpod vault set ANTHROPIC_API_KEY` (or \
`OPENAI_API_KEY`, `GEMINI_API_KEY`, `GROQ_API_KEY`, `DEEPSEEK_API_KEY`, `OPENROUTER_API_KEY`). A local Ollama needs no key.
2. Name the model as `provider/model` there, or in `.starpod/config/agent.toml`, first in the list:
   `models = ["anthropic/claude-haiku-4-5"]`

Both take effect at once, without a restart.

Please do not send me the key in this chat: messages are stored."""

UNKNOWN = (
    "I am Starpod's offline assistant, not a language model, and I do not understand that. "
    'Say "help" to see what I can do, or "how do I add a key?" to connect a real model.'
)


_FILES_ONLY = (
    "Your files are saved in your downloads folder. I cannot look at images, but I can read text files: "
    'say "list files in downloads".'
)


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answered."""

    text: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Say:
    """An answer that needs no tool; `understood` is False when it only says that the message was not understood."""

    text: str
    understood: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call, and how its result reads as an answer."""

    tool: str
    arguments: Mapping[str, Any]
    render: Callable[[Result], str]


@dataclass(frozen=True, slots=True)
class Situation:
    """`tools` are the offered tools' names with the JSON schemas of their arguments; `now` is local and aware."""

    tools: Mapping[str, Mapping[str, Any]]
    now: datetime


def reply(message: str, situation: Situation) -> Say | Call:
    """The one step that answers `message`."""
    text, has_files = _without_notes(message)
    if not text:
        return Say(_FILES_ONLY if has_files else 'Your message is empty. Say "help" to see what I can do.')
    if len(text) > MAX_MESSAGE_CHARS:
        return Say(f"Your message is too long for me: {len(text)} characters. I read up to {MAX_MESSAGE_CHARS}.")
    if (expression := expression_in(text)) is not None:
        return Say(evaluate(expression))
    plain = text.rstrip(" \t\r\n.!?")
    for pattern, answer in _PATTERNS:
        if match := pattern.fullmatch(plain):
            return _possible(answer(match, situation), situation)
    if not has_files and "MemorySearch" in situation.tools and _QUESTION.match(text):
        return Call("MemorySearch", _searched(text[:500]), lambda result: _answer_from_memory(result, text))
    return Say(f"{_FILES_ONLY} {UNKNOWN}" if has_files else UNKNOWN, understood=False)


def _without_notes(message: str) -> tuple[str, bool]:
    """The message without the bracketed lines that tell a model about attached files, and whether there were any."""
    lines = message.strip().split("\n")
    kept = len(lines)
    while kept and (not lines[kept - 1].strip() or re.fullmatch(r"\s*\[.*\]\s*", lines[kept - 1])):
        kept -= 1
    return "\n".join(lines[:kept]).strip(), any(line.strip() for line in lines[kept:])


def _possible(answer: Say | Call, situation: Situation) -> Say | Call:
    if isinstance(answer, Call) and answer.tool not in situation.tools:
        return Say(f"I would need the tool {answer.tool} for that, and it is not available here.")
    return answer


def _hello(match: re.Match[str], situation: Situation) -> Say:
    return Say('Hello! I am Starpod\'s offline assistant, not a language model. Say "help" to see what I can do.')


def _help(match: re.Match[str], situation: Situation) -> Say:
    return Say(f'{HELP}\n- "remind me in 20 minutes to stretch"' if "CronAdd" in situation.tools else HELP)


def _time(match: re.Match[str], situation: Situation) -> Say:
    now = situation.now
    return Say(f"It is {now:%H:%M} on {now:%A}, {now.day} {now:%B %Y} ({now.tzname() or 'UTC'}).")


def _remember(match: re.Match[str], situation: Situation) -> Say | Call:
    fact = " ".join(match["what"].split())
    line = f"- {fact}\n"

    def render(result: Result) -> str:
        is_known = "says that already" in result.text
        return _failure(result) or (f"I know that already: {fact}" if is_known else f"I will remember that: {fact}")

    if "MemoryWrite" in situation.tools:
        return Call("MemoryWrite", {"file": "MEMORY.md", "content": line, "append": True}, render)
    return Call("FileWrite", {"path": NOTES, "content": line, "append": True}, render)


def _recall(match: re.Match[str], situation: Situation) -> Say | Call:
    subject = _name(match["what"])
    if "MemorySearch" in situation.tools:
        return Call("MemorySearch", _searched(subject), lambda result: _render_memories(result, subject))
    words = [word for word in re.findall(r"\w+", subject) if len(word) > 2] or re.findall(r"\w+", subject)
    if not words:
        return Say("What shall I look for? Name a word, for example: what do you remember about Friday?")
    if "MemoryRead" in situation.tools:
        return Call("MemoryRead", {"file": "MEMORY.md"}, lambda result: _matching_lines(result, words, subject))
    return _grep("|".join(words), NOTES, subject)


def _matching_lines(result: Result, words: list[str], subject: str) -> str:
    if result.failed:
        return _failure(result)
    wanted = [word.casefold() for word in words]
    lines = [line for line in result.text.split("\n") if any(word in line.casefold() for word in wanted)]
    found = [line.removeprefix("- ") for line in lines if not line.startswith("#")]
    if not found:
        return f'I found nothing about "{subject}" in the memory.'
    return f'This is what I remember about "{subject}":\n\n' + _shortened("\n".join(f"- {line}" for line in found))


def _search(match: re.Match[str], situation: Situation) -> Say | Call:
    if "MemorySearch" in situation.tools:
        return _recall(match, situation)
    subject = _name(match["what"])
    return _grep(re.escape(subject), ".", subject)


def _grep(pattern: str, path: str, subject: str) -> Call:
    arguments = {"pattern": pattern, "path": path, "-i": True, "-n": False, "output_mode": "content", "head_limit": 50}

    def render(result: Result) -> str:
        if path == NOTES and result.failed and "does not exist" in result.text:
            return 'I have no notes yet. Say, for example, "remember that the meeting is on Friday".'
        if result.failed:
            return _failure(result)
        if result.text.startswith("No matches found."):
            return f'I found nothing about "{subject}" in {"my notes" if path == NOTES else "your files"}.'
        lines = [line.removeprefix(f"{NOTES}:") if path == NOTES else line for line in result.text.split("\n")]
        return f'This is what I found about "{subject}":\n\n' + "\n".join(
            "- " + line.removeprefix("- ") for line in lines
        )

    return Call("Grep", arguments, render)


_QUESTION = re.compile(
    r"(?:who|whose|what|which|when|where|why|how|is|are|was|were|do|does|did|has|have|had|will)\b|[^?]*\?\s*$",
    re.IGNORECASE,
)


def _searched(subject: str) -> dict[str, Any]:
    """More passages than are shown: the assistant's own earlier answers are among them, and are left out."""
    return {"query": subject, "limit": 50}


def _told(found: str) -> list[dict[str, Any]]:
    """What people said or wrote down. An answer that repeated it is no source, else answers would quote each other, ever longer."""
    return [item for item in json.loads(found) if item.get("said_by") != "assistant"]


def _answer_from_memory(result: Result, question: str) -> str:
    """What the memory holds on a question that no pattern knows. The question itself, found in a conversation, is no answer."""
    try:
        items = _told(result.text)
        asked = " ".join(question.split()).casefold()
        kept = [item for item in items if " ".join(str(item["text"]).split()).casefold() != asked][:3]
    except (ValueError, TypeError, KeyError, AttributeError):
        return UNKNOWN
    if result.failed or not kept:
        return UNKNOWN
    found = _render_memories(Result(json.dumps(kept), failed=False), " ".join(question.split())[:200])
    return f"{found}\n\nI am not a language model: these are the places that fit best, word for word."


def _render_memories(result: Result, subject: str) -> str:
    if result.failed:
        return _failure(result)
    try:
        found = [
            (str(item["text"]).strip(), str(item.get("citation") or item.get("source") or ""))
            for item in _told(result.text)[:MAX_MEMORIES]
        ]
    except (ValueError, TypeError, KeyError, AttributeError):
        return _shortened(result.text)
    if not found:
        return f'I found nothing about "{subject}" in the memory.'
    lines = [
        f"- {' '.join(text.removeprefix('- ').split())}" + (f" ({source})" if source else "") for text, source in found
    ]
    return f'This is what I remember about "{subject}":\n\n' + _shortened("\n".join(lines))


def _notes(match: re.Match[str], situation: Situation) -> Call:
    def render(result: Result) -> str:
        if result.failed and "does not exist" not in result.text:
            return _failure(result)
        if result.failed or not result.text.strip():
            return 'I have no notes yet. Say, for example, "remember that the meeting is on Friday".'
        return "These are my notes:\n\n" + _shortened(result.text.strip())

    if "MemoryRead" in situation.tools:
        return Call("MemoryRead", {"file": "MEMORY.md"}, render)
    return Call("FileRead", {"path": NOTES}, render)


def _list(match: re.Match[str], situation: Situation) -> Call:
    path = _path(match["what"] or ".")

    def render(result: Result) -> str:
        if result.failed:
            return _failure(result)
        listing, _, more = result.text.partition("\n")
        entries = json.loads(listing)
        where = "your home directory" if path == "." else path
        if not entries:
            return f"There are no files in {where}."
        lines = [
            f"- {item['name']}" + ("/" if item["type"] == "directory" else f" ({item['size']} bytes)")
            for item in entries
        ]
        return _shortened(f"In {where}:\n\n" + "\n".join(lines)) + (f"\n\n{more}" if more else "")

    return Call("FileList", {"path": path}, render)


def _read(match: re.Match[str], situation: Situation) -> Call:
    path = _path(match["what"])

    def render(result: Result) -> str:
        if result.failed:
            return _failure(result)
        if not result.text:
            return f"{path} is empty."
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", result.text) or [""]))
        return f"{path}:\n\n{fence}\n{_shortened(result.text.rstrip())}\n{fence}"

    return Call("FileRead", {"path": path}, render)


def _write(match: re.Match[str], situation: Situation) -> Call:
    content = _unquoted(match["what"])
    content += "" if content.endswith("\n") else "\n"
    append = match["verb"].lower() != "write"
    return Call(
        "FileWrite",
        {"path": _path(match["file"]), "content": content, "append": append},
        lambda r: _failure(r) or r.text,
    )


def _find(match: re.Match[str], situation: Situation) -> Call:
    pattern = _name(match["what"])
    wild = pattern if re.search(r"[*?\[{]", pattern) else f"*{pattern}*"

    def render(result: Result) -> str:
        if result.failed:
            return _failure(result)
        if result.text == "No files found.":
            return f"I found no files like {pattern}."
        return _shortened("I found:\n\n" + "\n".join(f"- {line}" for line in result.text.split("\n")))

    return Call("Glob", {"pattern": wild}, render)


def _attach(match: re.Match[str], situation: Situation) -> Call:
    return Call("Attach", {"path": _path(match["what"])}, lambda result: _failure(result) or result.text)


def _remind(match: re.Match[str], situation: Situation) -> Say | Call:
    if "CronAdd" not in situation.tools:
        return Say("I cannot set reminders here: this gateway does not offer scheduled jobs to me.")
    reminder = parse_reminder(match["what"], situation.now)
    if reminder is None:
        return Say(
            'I did not understand when. Say, for example, "remind me in 20 minutes to stretch" or "remind me at 18:30 to call Ann".'
        )
    properties = situation.tools["CronAdd"].get("properties", {})
    takes_text = properties.get("schedule", {}).get("type") == "string"
    arguments = {
        "name": f"reminder-{situation.now:%Y%m%d-%H%M%S}",
        "prompt": f"Remind the user: {reminder.what}",
        "schedule": reminder.text if takes_text else dict(reminder.schedule),
        "delete_after_run": reminder.once,
    }
    return Call(
        "CronAdd", arguments, lambda result: _failure(result) or f"I will remind you {reminder.when}: {reminder.what}"
    )


def _failure(result: Result) -> str:
    return f"That did not work: {_shortened(result.text)}" if result.failed else ""


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_CHARS else text[:MAX_SHOWN_CHARS].rstrip() + "\n… (there is more)"


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] + text[-1] in ('""', "''", "``", "“”") else text


def _name(text: str) -> str:
    return " ".join(_unquoted(text).split())[:200]


def _path(text: str) -> str:
    """The path that is meant: unquoted, with the ways to say "home" as a dot."""
    path = _unquoted(text)
    return (
        "."
        if path.casefold()
        in ("home", "my home", "the home", "my home directory", "the home directory", "here", "~", "/")
        else path
    )


def _say(text: str) -> Callable[[re.Match[str], Situation], Say]:
    return lambda match, situation: Say(text)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?:please\s+)?(?:can you\s+|could you\s+)?(?:{text})", re.IGNORECASE | re.DOTALL)


# No two runs in a pattern may share characters: a hostile message would then take quadratic time, on the event loop.
_FILE = r"(?:(?:the|my)\s+)?(?:file\s+)?"
_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], Situation], Say | Call]], ...] = (
    (_pattern(r"(?:hi|hello|hey|greetings|good (?:morning|day|afternoon|evening))(?:[\s,]+[\w']+){0,2}"), _hello),
    (_pattern(r"/?help(?: me)?|commands|(?:what|who) are you|what (?:can|do) you do.*|how do you work"), _help),
    (_pattern(r"thanks?(?: you)?(?: (?:very|so) much| a lot)?"), _say("You are welcome.")),
    (_pattern(r"(?:good)?bye|good ?night|see you.*"), _say("Goodbye!")),
    (_pattern(r"remind the user: (?P<what>.+)"), lambda match, situation: Say(f"Reminder: {match['what']}")),
    (_pattern(r"remind me (?P<what>.+)"), _remind),
    (
        _pattern(r"(?:remember|don'?t forget|(?:make|take) a note|note)(?: down)?(?: that\b|:|,)?\s+(?P<what>\S.*)"),
        _remember,
    ),
    (
        _pattern(
            r"(?:what (?:time|day|date) is (?:it|today)|what(?:'s| is) (?:the )?(?:current )?(?:time|date|day))"
            r"(?: now| today| right now)?|(?:the )?(?:current )?(?:time|date)|what(?:'s| is) today'?s date"
        ),
        _time,
    ),
    (
        _pattern(
            r"what do you (?:remember|know)|(?:show|list|read)(?: me)?(?: (?:my|your|the|all))* (?:notes|memory|memories)"
        ),
        _notes,
    ),
    (_pattern(r"(?:what do you (?:remember|know) (?:about|of)|do you remember|recall)\s+(?P<what>\S.*)"), _recall),
    (
        _pattern(
            r"(?:how|where) (?:do|can|to|should|must)\b.*\b(?:keys?|models?|providers?|llm)\b.*"
            r"|(?:add|connect|set ?up|use|configure|change|switch)\b.*\b(?:api keys?|key|models?|providers?|llm)\b.*"
        ),
        _say(CONNECT),
    ),
    (
        _pattern(r"(?:list|show)(?: me)?(?: (?:all|my|the))* files(?: (?:in|of|from|under|inside)\s+(?P<what>\S.*))?"),
        _list,
    ),
    (_pattern(r"what files (?:do i have|are there)(?: in\s+(?P<what>\S.*))?"), _list),
    (_pattern(r"ls(?:\s+(?P<what>\S.*))?"), _list),
    (_pattern(r"find(?: me)?(?: (?:all|my|the))* files?(?: (?:named|called|matching|like))?\s+(?P<what>\S.*)"), _find),
    (_pattern(rf"(?:read|cat)\s+{_FILE}(?P<what>\S.*)"), _read),
    (_pattern(r"(?:show|open|display|print)(?: me)? (?:the |my )?file\s+(?P<what>\S.*)"), _read),
    (_pattern(rf"(?P<verb>write)\s+(?P<what>\S.*)\s(?:to|into|in)\s+{_FILE}(?P<file>\"[^\"]+\"|'[^']+'|\S+)"), _write),
    (
        _pattern(r"(?P<verb>append|add)\s+(?P<what>\S.*)\sto\s+(?:the |my )?file\s+(?P<file>\"[^\"]+\"|'[^']+'|\S+)"),
        _write,
    ),
    (_pattern(rf"attach\s+{_FILE}(?P<what>\S.*)"), _attach),
    (_pattern(r"send(?: me)? (?:the |my )?file\s+(?P<what>\S.*)"), _attach),
    (_pattern(r"search(?: (?:my|the|your))?(?: (?:notes|memory|files))?(?: for)?\s+(?P<what>\S.*)"), _search),
)
