"""Words and letters of texts in any script: folding, words, and overlapping pieces of scripts that put no spaces. Pure."""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import regex

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー々〆"
_RUN = rf"[{_UNSPACED}]+"
_LONG_WORDED = r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
_HALF_WIDTH = re.compile(r"[\uff65-\uff9f]")
POINTS = r"[\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670]"
"""Vowel points of Hebrew and Arabic, and the line that only stretches a word."""
_POINTS = re.compile(POINTS)
_LOOKALIKES = dict(zip("ßẞøØđĐłŁæÆœŒıىةې", "ssooddllaaooiيهي", strict=True))  # noqa: RUF001
"""Letters that no accent makes, but that people type as others."""
_DIGIT_GROUPS = re.compile(r"(?<!\d)\d{1,5}(?:[ .,'/-]\d{2,5}){1,5}(?!\d)", re.ASCII)
_NOT_DIGITS = re.compile(r"\D")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
WORD = r"[\p{L}\p{N}\p{M}]+"


@cache
def pattern(expression: str) -> regex.Pattern[str]:
    """A pattern that knows the properties of letters. Their tables are large, and texts in ASCII need none: they load with the first."""
    import regex

    return regex.compile(expression)


def runs(text: str) -> list[str]:
    """The parts of `text` in scripts without spaces between words."""
    return [] if text.isascii() else pattern(_RUN).findall(text)


def without_runs(text: str) -> str:
    """`text` with blanks for those parts, so that whole clauses do not become words."""
    return text if text.isascii() else pattern(_RUN).sub(lambda run: " " * len(run[0]), text)


def grams(run: str) -> list[str]:
    """Overlapping pieces: two characters (most Chinese and Japanese words have two), three where words are longer."""
    size = 3 if pattern(_LONG_WORDED).search(run) else 2
    if len(run) <= size:
        return [run]
    return [run[start : start + size] for start in range(len(run) - size + 1)]


@lru_cache(maxsize=50_000)
def gram_token(gram: str) -> str:
    """A gram as a token that no tokenizer splits and no stemmer cuts."""
    return "g" + "".join(f"{ord(letter):x}" for letter in gram) + "0"


def gram_text(text: str) -> str:
    """All grams of `text` as tokens; single characters too where a run is short."""
    return " ".join(gram_token(gram) for run in runs(fold(text)) for gram in grams(run))


def joined_numbers(text: str) -> str:
    """Numbers that are written in groups (1,240 or 0341 555 0148), written as one."""
    found = (_NOT_DIGITS.sub("", group) for group in _DIGIT_GROUPS.findall(text))
    return " ".join(dict.fromkeys(number for number in found if 4 <= len(number) <= 15))


def words(text: str) -> list[str]:
    """Words of scripts with spaces, folded, in order."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return pattern(WORD).findall(without_runs(fold(text)))


def fold(text: str) -> str:
    """Lower case without accents, one character for each of `text`, so that offsets stay true."""
    if text.isascii():
        return text.lower()
    return "".join(map(_folded, text))


def plain(text: str) -> str:
    """`text` folded and without what is only written for clearness (vowel points); it has other offsets."""
    return text.lower() if text.isascii() else _POINTS.sub("", fold(unicodedata.normalize("NFC", text)))


@lru_cache(maxsize=20_000)
def _folded(letter: str) -> str:
    if letter in _LOOKALIKES:
        return _LOOKALIKES[letter]
    # In scripts without spaces a mark makes another letter (か, が), and syllables would fall apart (한).
    if pattern(_RUN).match(letter) or _HALF_WIDTH.match(letter):
        base = unicodedata.normalize("NFKC", letter)
        return base if len(base) == 1 else letter
    lower = (unicodedata.normalize("NFKD", letter)[:1] or letter).lower()
    return lower if len(lower) == 1 else letter
