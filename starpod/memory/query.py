"""Reads any text as a question: words, "phrases in quotes", prefixes with *, days that it names. Never fails. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import regex

from starpod.memory import scripts
from starpod.memory.dates import times_named
from starpod.memory.lexicon import STOP_WORDS

MAX_QUERY_CHARS = 2_000
MAX_WORDS = 32
MAX_GRAMS = 24
_PHRASE = regex.compile(r'["“„«「『]([^"“”„«»「」『』]{1,300})["”“»」』]')
_HYPHENATED = regex.compile(r"(?<![\w-])[\p{L}\p{N}]{1,20}(?:-[\p{L}\p{N}]{1,20}){1,3}(?![\w-])")
_WORDS = regex.compile(scripts.WORD)
_TERM = regex.compile(r"([\p{L}\p{N}\p{M}]+(?:['\u2019][\p{L}]{1,2}\b)?)(\*?)")


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was asked for, folded."""

    text: str
    is_prefix: bool = False
    is_content: bool = True
    is_time: bool = False
    """It names a day, so that answers need not hold it."""
    joined: tuple[str, ...] = ()
    """What it makes with its neighbours where the question has a hyphen between them (wi-fi)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a text asks for; `grams` are the pieces of its parts in scripts without spaces.

    Answers should be of `days`; those of `vague_days` are only a little better than others.
    """

    text: str
    words: tuple[Word, ...]
    grams: tuple[str, ...]
    phrases: tuple[str, ...]
    days: tuple[tuple[str, str], ...]
    vague_days: tuple[tuple[str, str], ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look for."""
        return not (self.words or self.grams or self.days)


def parse(text: str, today: date) -> Question:
    """The question in `text`, of which the first 2,000 characters and 32 different words count. `today` is the local day."""
    text = text[:MAX_QUERY_CHARS].encode(errors="replace").decode()
    folded = scripts.fold(text)
    phrases = tuple(
        phrase for found in _PHRASE.findall(folded) if len(_WORDS.findall(phrase := " ".join(found.split()))) > 1
    )[:4]
    times = times_named(text, today)
    exact = [(time.start, time.end) for time in times if time.is_exact]
    joined = _joined(folded)
    seen: dict[str, Word] = {}
    for match in _TERM.finditer(scripts.without_runs(folded)):
        word = regex.sub(r"['\u2019].*", "", match[1])
        is_content = word not in STOP_WORDS and (len(word) > 1 or word.isdigit())
        is_time = any(start <= match.start() < end for start, end in exact)
        seen.setdefault(word, Word(word, bool(match[2]), is_content, is_time, joined.get(word, ())))
    kept = sorted(seen.values(), key=lambda word: not word.is_content)[:MAX_WORDS]
    runs = scripts.runs(_blanked(folded, exact))
    if not any(word.is_content for word in kept) and not runs:
        kept = [Word(word.text, word.is_prefix, is_time=word.is_time, joined=word.joined) for word in kept]
    pieces = dict.fromkeys(gram for run in runs for gram in scripts.grams(run))
    ordered = [word for word in seen.values() if word in kept] or kept
    days = dict.fromkeys((time.first, time.last) for time in times if time.is_exact)
    vague = dict.fromkeys((time.first, time.last) for time in times if not time.is_exact)
    return Question(text, tuple(ordered), tuple(pieces)[:MAX_GRAMS], phrases, tuple(days), tuple(vague))


def _joined(text: str) -> dict[str, tuple[str, ...]]:
    """For each part of a word with hyphens the same word without."""
    found: dict[str, tuple[str, ...]] = {}
    for word in _HYPHENATED.findall(text):
        for part in word.split("-"):
            found[part] = (*found.get(part, ()), word.replace("-", ""))
    return found


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    for start, end in spans:
        text = text[:start] + " " * (end - start) + text[end:]
    return text
