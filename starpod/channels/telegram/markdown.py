"""Markdown as the agent writes it, read into runs of styled text: what Telegram can show, and nothing of the text lost.

Pure functions. Reading is CommonMark with tables and strikethrough; link definitions stay text, since a message has no place for them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import zip_longest

from markdown_it import MarkdownIt
from markdown_it.rules_block.table import escapedSplit
from markdown_it.token import Token

DEEPEST = 80
WIDEST_TABLE = 60
LINKABLE = re.compile(r"(?:https?|tg)://[^\s]+|mailto:[^\s]+", re.IGNORECASE)
UNSHOWN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
RULE = "———"


@dataclass(frozen=True, slots=True)
class Style:
    """How a run looks. `pre` is the language of a code block, "" when it has none; `code` and `pre` go with nothing but themselves."""

    bold: bool = False
    italic: bool = False
    strike: bool = False
    quote: bool = False
    code: bool = False
    link: str | None = None
    pre: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Text of one style; never empty."""

    text: str
    style: Style


PLAIN = Style()


def read_markdown(text: str) -> list[Run]:
    """The runs of a text. What is nested too deeply to be read is taken as it stands."""
    text = showable(text)
    try:
        tokens = _reader().parse(text)
    except RecursionError:
        return [Run(text, PLAIN)] if text else []
    # The reader drops what lies deeper than it goes, so a text that came near that is not trusted to it.
    if any(token.level >= DEEPEST - 2 for token in tokens):
        return [Run(text, PLAIN)]
    writer = _Writer(re.split(r"\r\n?|\n", text))
    for token in tokens:
        writer.block(token)
    return writer.runs


def showable(text: str) -> str:
    """The text without what Telegram refuses: control characters and halves of surrogate pairs."""
    return UNSHOWN.sub("", text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")).replace("\r\n", "\n")


@lru_cache(maxsize=1)
def _reader() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False, "maxNesting": DEEPEST})
    return reader.enable(["table", "strikethrough"]).disable(["reference", "html_block", "html_inline"])


@dataclass(slots=True)
class _List:
    """A list that is being written; `number` is that of its next item, None for bullets."""

    number: int | None


@dataclass(slots=True)
class _Writer:
    """Turns the reader's tokens into runs, with the empty lines between blocks that people expect. `lines` is what was read."""

    lines: Sequence[str]
    runs: list[Run] = field(default_factory=list)
    gap: int = 0
    is_fresh_item: bool = False
    is_bold: bool = False
    quotes: int = 0
    lists: list[_List] = field(default_factory=list)
    rows: list[list[str]] | None = None
    row_line: int | None = None

    def block(self, token: Token) -> None:
        """Take the next token of the document."""
        match token.type:
            case "paragraph_open" | "paragraph_close":
                self.separate(1 if token.hidden else 2)
            case "heading_open" | "heading_close":
                self.separate(2)
                self.is_bold = token.nesting > 0
            case "bullet_list_open" | "ordered_list_open":
                self.separate(1 if self.lists else 2)
                start = int(token.attrs.get("start", 1)) if token.type.startswith("ordered") else None
                self.lists.append(_List(start))
            case "bullet_list_close" | "ordered_list_close":
                self.lists.pop()
                self.separate(1 if self.lists else 2)
            case "list_item_open":
                self.open_item()
            case "list_item_close":
                self.is_fresh_item = False
                self.separate(1)
            case "blockquote_open" | "blockquote_close":
                self.separate(2)
                self.quotes += token.nesting
            case "fence" | "code_block":
                self.code_block(token)
            case "hr":
                self.separate(2)
                self.write(RULE, PLAIN)
                self.separate(2)
            case "table_open":
                self.rows = []
            case "tr_open" if self.rows is not None:
                self.rows.append([])
                self.row_line = token.map[0] if token.map else None
            case "tr_close" if self.rows is not None:
                self.rows[-1] += self.surplus(len(self.rows[-1]))
            case "table_close":
                self.table()
            case "inline" if self.rows is not None:
                self.rows[-1].append(flat(token.children or ()))
            case "inline":
                self.inline(token.children or ())
            case _:
                pass

    def separate(self, lines: int) -> None:
        """What follows begins on a new line, with `lines` - 1 empty ones before it."""
        if not self.is_fresh_item:
            self.gap = max(self.gap, lines)

    def write(self, text: str, style: Style) -> None:
        """Add text. Style of the gap before it: quoted only between two quoted blocks."""
        if not text:
            return
        if self.gap and self.runs:
            is_inside = style.quote and self.runs[-1].style.quote
            self.runs.append(Run("\n" * self.gap, replace(PLAIN, quote=is_inside)))
        self.gap = 0
        self.is_fresh_item = False
        if self.runs and self.runs[-1].style == style:
            self.runs[-1] = Run(self.runs[-1].text + text, style)
        else:
            self.runs.append(Run(text, style))

    @property
    def style(self) -> Style:
        """The style of the block that is being written."""
        return Style(bold=self.is_bold, quote=self.quotes > 0)

    def open_item(self) -> None:
        """A bullet or a number, indented by depth."""
        self.is_fresh_item = False
        self.separate(1)
        here = self.lists[-1]
        mark = "•" if here.number is None else f"{here.number}."
        if here.number is not None:
            here.number += 1
        self.write(f"{'   ' * (len(self.lists) - 1)}{mark} ", self.style)
        self.is_fresh_item = True

    def code_block(self, token: Token) -> None:
        """Code as it stands; it cannot lie in a quote."""
        self.is_fresh_item, in_item = False, self.is_fresh_item
        self.separate(1 if in_item else 2)
        name, *remark = token.info.split(maxsplit=1) or [""]
        if remark:
            # Without any code it was no language, but a line that begins with a row of tildes.
            self.write(remark[0].strip() if token.content.strip() else token.info.strip(), self.style)
            self.separate(1)
        language = re.sub(r"[^\w+#.-]", "", name)
        self.write(token.content.rstrip("\n"), Style(pre=language))
        self.separate(2)

    def surplus(self, count: int) -> list[str]:
        """The cells of a row beyond the first `count`. The reader drops them; a bar inside a cell's code makes such."""
        if self.row_line is None:
            return []
        cells = escapedSplit(re.sub(r"^[\s>]*\|?|\|?\s*$", "", self.lines[self.row_line]))
        return [flat(token.children or ()) for cell in cells[count:] for token in _reader().parseInline(cell.strip())]

    def table(self) -> None:
        """A table in columns where a small screen can show it, else its cells with bars between."""
        rows, self.rows = self.rows or [], None
        rows = [list(row) for row in zip(*zip_longest(*rows, fillvalue=""), strict=True)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        self.separate(2)
        if sum(widths) + 3 * len(widths) <= WIDEST_TABLE:
            lines = [" | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
            lines.insert(1, "-+-".join("-" * width for width in widths))
            self.write("\n".join(lines), Style(pre=""))
        else:
            self.write("\n".join(" | ".join(row).rstrip() for row in rows), self.style)
        self.separate(2)

    def inline(self, tokens: Sequence[Token]) -> None:
        """The text of a block, with emphasis, code and links."""
        bold = italic = strike = 0
        links: list[str] = []
        for token in tokens:
            style = Style(
                bold=self.is_bold or bold > 0,
                italic=italic > 0,
                strike=strike > 0,
                quote=self.quotes > 0,
                link=links[-1] if links and LINKABLE.fullmatch(links[-1]) else None,
            )
            match token.type:
                case "strong_open" | "strong_close":
                    bold += token.nesting
                case "em_open" | "em_close":
                    italic += token.nesting
                case "s_open" | "s_close":
                    strike += token.nesting
                case "softbreak" | "hardbreak":
                    self.write("\n", self.style)
                case "code_inline":
                    self.write(token.content, Style(code=True, quote=style.quote))
                case "link_open":
                    links.append(str(token.attrs.get("href", "")))
                case "link_close":
                    self.close_link(links.pop())
                case "image":
                    source = str(token.attrs.get("src", ""))
                    shown = token.content or source
                    if LINKABLE.fullmatch(source):
                        self.write(shown, replace(style, link=source))
                    else:
                        self.write(shown if shown == source else f"{shown} ({source})", style)
                case _:
                    self.write(token.content, style)

    def close_link(self, target: str) -> None:
        """Say where a link leads when Telegram would not, or when it had no text."""
        last = self.runs[-1] if self.runs else None
        if not LINKABLE.fullmatch(target):
            if target and (last is None or not last.text.endswith(target)):
                self.write(f" ({target})", self.style)
        elif last is None or (last.style.link != target and not last.style.code):
            self.write(target, replace(self.style, link=target))
        elif last.style.code:
            # Code cannot be a link.
            self.write(f" ({target})", self.style)


def flat(tokens: Sequence[Token]) -> str:
    """The text of a table's cell on one line; where its links lead stands behind them."""
    parts: list[str] = []
    links: list[str] = []
    for token in tokens:
        match token.type:
            case "softbreak" | "hardbreak":
                parts.append(" ")
            case "link_open":
                links.append(str(token.attrs.get("href", "")))
            case "link_close":
                target = links.pop()
                parts.append("" if parts and parts[-1] == target else f" ({target})")
            case "image":
                parts.append(f"{token.content} ({token.attrs.get('src', '')})")
            case _:
                parts.append(token.content)
    return "".join(parts).strip()
