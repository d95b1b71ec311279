"""Records of the memory index: what is indexed, what is asked, what is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["file", "message"]
KINDS: tuple[Kind, ...] = ("file", "message")
AGENT = ""
"""The owner of what belongs to the agent itself."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text: lines `line_start` to `line_end`, 1-based and inclusive. `context` is what stands around it and helps to find it.

    `date` is an ISO day, empty when none is known.
    """

    text: str
    context: str
    line_start: int
    line_end: int
    date: str = ""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when it was indexed."""

    owner: str
    source: str
    mtime_ns: int
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class SessionMessage:
    """A message of a conversation, as the index needs it. `timestamp` is RFC 3339."""

    id: int
    session_id: str
    owner: str
    role: str
    content: str
    timestamp: str
    title: str


@dataclass(frozen=True, slots=True)
class Hit:
    """What a search found. `snippet` is plain text; `marks` are pairs of offsets into it where words of the query stand.

    `session_id`, `message_id` and `role` are set for messages only, `date` is an ISO day or None.
    """

    source: str
    text: str
    line_start: int
    line_end: int
    score: float
    snippet: str
    marks: tuple[tuple[int, int], ...]
    kind: Kind
    date: str | None = None
    session_id: str | None = None
    message_id: int | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What a rebuild has read, and how long it took."""

    files: int
    chunks: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose pieces of which kind may be found."""

    owner: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Filters:
    """Further limits; `since` and `until` are ISO days, both included."""

    source: str | None = None
    since: str | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A piece that may answer, before it is weighed."""

    id: int
    owner: str
    kind: Kind
    source: str
    text: str
    context: str
    line_start: int
    line_end: int
    date: str
    message_id: int | None
    role: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class Variant:
    """A stem that counts as the word that was asked for, and how much of it."""

    stem: str
    weight: float


@dataclass(frozen=True, slots=True)
class Slot:
    """One word of a question with all that may stand for it. `rarity` is its weight; a `gram` is a piece of a text without spaces."""

    word: str
    variants: tuple[Variant, ...]
    rarity: float
    frequency: int
    is_content: bool = True
    is_gram: bool = False
    is_time: bool = False
    costs: tuple[int, ...] = ()
    """How many chunks hold each variant."""

    @property
    def is_wanted(self) -> bool:
        """Whether an answer should hold this word."""
        return self.is_content and not self.is_gram and not self.is_time


@dataclass(frozen=True, slots=True)
class Sought:
    """A question that was looked up: its slots in order, exact phrases, and the days that it names, exactly or vaguely."""

    slots: tuple[Slot, ...] = ()
    phrases: tuple[str, ...] = ()
    days: tuple[tuple[str, str], ...] = ()
    vague_days: tuple[tuple[str, str], ...] = ()


class Ranker(Protocol):
    """Another way to find pieces, e.g. by meaning."""

    async def rank(self, text: str, owners: Sequence[str], limit: int) -> Sequence[tuple[str, str]]:
        """Owner and digest of pieces, best first; empty when it cannot tell. Must not raise and must not take long."""
        ...
