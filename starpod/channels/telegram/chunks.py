"""Styled text cut into messages that Telegram takes: each valid HTML by itself, none too long, nothing lost.

Pure functions. Telegram counts UTF-16 code units after it has read the HTML (core.telegram.org/bots/api#sendmessage), so that is measured.
"""

from __future__ import annotations

import html
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from starpod.channels.telegram.markdown import Run, Style, read_markdown

LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Chunk:
    """One message: as HTML, and as the plain text that it shows, for when Telegram refuses the HTML."""

    html: str
    plain: str


def to_chunks(text: str, limit: int = LIMIT) -> list[Chunk]:
    """The messages that show a markdown text; none when nothing of it can be seen. `limit` in UTF-16 code units, 2 or more."""
    return [
        Chunk("".join(_tagged(part)), "".join(run.text for run in part)) for part in split(read_markdown(text), limit)
    ]


def units(text: str) -> int:
    """The length of a text as Telegram counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(runs: Sequence[Run], limit: int) -> list[list[Run]]:
    """Cut runs into parts of at most `limit` units, at the end of a block, else of a line, else of a word, else anywhere.

    Code blocks stay whole where they fit into a message. White space around a cut is dropped.
    """
    text = "".join(run.text for run in runs)
    starts = list(accumulate((len(run.text) for run in runs), initial=0))
    fixed = [(starts[place], starts[place + 1]) for place, run in enumerate(runs) if run.style.pre is not None]
    parts = []
    start = _skip_blank_lines(text, 0)
    while start < len(text):
        end = _reach(text, start, limit)
        if end < len(text):
            end = _cut(text, start, end, fixed, limit)
        part = _trimmed(_between(runs, starts, start, end))
        if part:
            parts.append(part)
        start = end if _is_within(fixed, end) and text[end - 1] != "\n" and text[end] != "\n" else _skip_cut(text, end)
    return parts


def _reach(text: str, start: int, limit: int) -> int:
    """The furthest end of a part that begins at `start`."""
    end = min(len(text), start + limit)
    size = units(text[start:end])
    while size > limit:
        end -= 1
        size -= 2 if ord(text[end]) > 0xFFFF else 1
    return max(end, start + 1)


def _cut(text: str, start: int, end: int, fixed: Sequence[tuple[int, int]], limit: int) -> int:
    """Where a part that may reach to `end` had better end."""
    if (block := _block_at(fixed, end)) is not None:
        first, last = block
        if first > start and text[start:first].strip() and units(text[first:last]) <= limit:
            return first
        line = text.rfind("\n", max(start, first) + 1, end + 1)
        return line if line > start else end
    for mark, least in (("\n\n", 0.5), ("\n", 0.3), (" ", 0.1)):
        place = text.rfind(mark, start + 1, end + 1)
        while place > start and _is_within(fixed, place):
            place = text.rfind(mark, start + 1, place)
        if place > start + least * (end - start):
            return place
    return end


def _is_within(fixed: Sequence[tuple[int, int]], place: int) -> bool:
    return _block_at(fixed, place) is not None


def _block_at(fixed: Sequence[tuple[int, int]], place: int) -> tuple[int, int] | None:
    """The code block, as start and end, that `place` lies within."""
    before = bisect_left(fixed, (place, 0)) - 1
    return fixed[before] if before >= 0 and place < fixed[before][1] else None


def _skip_cut(text: str, place: int) -> int:
    """Behind the one space, or the empty lines, that a cut stands at; the indentation of a line stays."""
    if place < len(text) and text[place] == " ":
        return place + 1
    return _skip_blank_lines(text, place)


def _skip_blank_lines(text: str, place: int) -> int:
    while place < len(text) and text[place] == "\n":
        place += 1
    return place


def _between(runs: Sequence[Run], starts: Sequence[int], start: int, end: int) -> list[Run]:
    """What lies in [start, end); `starts` are the offsets of the runs."""
    part = []
    for place in range(bisect_right(starts, start) - 1, bisect_left(starts, end)):
        text = runs[place].text[max(0, start - starts[place]) : end - starts[place]]
        if text:
            part.append(Run(text, runs[place].style))
    return part


def _trimmed(part: list[Run]) -> list[Run]:
    """Without white space at the end, and without a code block's style on nothing but white space; empty when nothing shows."""
    while part and not (text := part[-1].text.rstrip()):
        part.pop()
    if part:
        part[-1] = Run(text, part[-1].style)
    return part


def _tagged(runs: Sequence[Run]) -> Iterator[str]:
    """The runs as HTML. Tags are opened in one order and closed in the opposite one, so they cannot cross."""
    opened: list[tuple[str, str]] = []
    for run in runs:
        wanted = _tags(run.style)
        shared = 0
        while shared < min(len(opened), len(wanted)) and opened[shared] == wanted[shared]:
            shared += 1
        while len(opened) > shared:
            yield opened.pop()[1]
        for tag in wanted[shared:]:
            opened.append(tag)
            yield tag[0]
        yield html.escape(run.text, quote=False)
    while opened:
        yield opened.pop()[1]


def _tags(style: Style) -> list[tuple[str, str]]:
    """Opening and closing tags, outermost first."""
    if style.pre:
        name = html.escape(style.pre)
        return [("<pre>", "</pre>"), (f'<code class="language-{name}">', "</code>")]
    if style.pre is not None:
        return [("<pre>", "</pre>")]
    tags = [("<blockquote>", "</blockquote>")] if style.quote else []
    if style.code:
        return [*tags, ("<code>", "</code>")]
    if style.link is not None:
        tags.append((f'<a href="{html.escape(style.link)}">', "</a>"))
    for is_on, name in ((style.bold, "b"), (style.italic, "i"), (style.strike, "s")):
        if is_on:
            tags.append((f"<{name}>", f"</{name}>"))
    return tags
