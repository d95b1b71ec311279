"""Words of queries and of texts, and where they stand. Pure functions; scripts without spaces are taken character by character."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MOST_WORDS = 32
SNIPPET_BEFORE, SNIPPET_LENGTH = 60, 240
# Thai, Lao, Burmese, Khmer; kana; ideographs with their extensions. Hangul is written with spaces.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(f"[{_UNSPACED}]+|[^\\W_{_UNSPACED}]+")
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]")


def segmented(text: str) -> str:
    """The text for the index: every character of a script without spaces is a word of its own."""
    return _UNSPACED_RUN.sub(lambda match: f" {match[0]} ", fold(text)) if not text.isascii() else text


def parse_query(text: str) -> tuple[str, ...]:
    """The distinct words of a query, folded, in order, at most 32. Punctuation and operators mean nothing."""
    return tuple(dict.fromkeys(match[0] for match in _RUN.finditer(fold(text[:10_000]))))[:MOST_WORDS]


def expression(words: tuple[str, ...], joiner: str) -> str:
    """The words for FTS5: each one quoted and taken as a beginning; runs without spaces as phrases."""
    return f" {joiner} ".join(
        '"' + " ".join(word) + '"' if _UNSPACED_RUN.match(word) else f'"{word}"*' for word in words
    )


def fold(text: str) -> str:
    """Lower case without accents."""
    if text.isascii():
        return text.lower()
    return "".join(_folded(char) for char in text)


def snippet(text: str, words: tuple[str, ...]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A piece of the text around its first found word, and the (start, end) of the words in that piece."""
    if not (found := _places(text, words)):
        return _piece(text, 0), ()
    start = max(0, found[0][0] - SNIPPET_BEFORE)
    piece = _piece(text, start)
    shift = start - (1 if start else 0)
    end = min(start + SNIPPET_LENGTH, len(text))
    return piece, tuple((first - shift, last - shift) for first, last in found if last <= end)


def title_score(title: str, words: tuple[str, ...]) -> float:
    """The share of the words that stand in the title."""
    folded = fold(title)
    runs = [match[0] for match in _RUN.finditer(folded)]
    hits = sum(word in folded if _UNSPACED_RUN.match(word) else any(r.startswith(word) for r in runs) for word in words)
    return hits / len(words)


def _places(text: str, words: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where the words begin words of the text. Folding may change lengths, so positions go through a map."""
    folded, positions = [], []
    for index, char in enumerate(text):
        for part in _folded(char):
            folded.append(part)
            positions.append(index)
    plain = "".join(folded)
    # The word as FTS5 matched it is the whole run, so a beginning marks the run it begins.
    patterns = [
        re.escape(word) if _UNSPACED_RUN.match(word) else rf"(?<![^\W_{_UNSPACED}]){re.escape(word)}[^\W_{_UNSPACED}]*"
        for word in sorted(words, key=len, reverse=True)
    ]
    matches = re.finditer("|".join(patterns), plain)
    return [
        (positions[match.start()], positions[match.end() - 1] + 1) for match in matches if match.end() > match.start()
    ]


def _piece(text: str, start: int) -> str:
    end = start + SNIPPET_LENGTH
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")


@lru_cache(maxsize=65536)
def _folded(char: str) -> str:
    if char.isascii():
        return char.lower()
    return "".join(part for part in unicodedata.normalize("NFKD", char.lower()) if not _is_accent(part))


def _is_accent(char: str) -> bool:
    # Only marks that fall on Latin, Greek and Cyrillic letters; elsewhere (Thai, Hindi) marks are letters' halves.
    return "\u0300" <= char <= "\u036f"
