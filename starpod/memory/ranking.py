"""Weighs candidates on their texts and puts the answers in order: coverage, nearness, days, age, variety. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import regex

from starpod.memory import scripts
from starpod.memory.types import Candidate, Slot, Sought

EVERGREEN = frozenset({"SOUL.md", "USER.md", "MEMORY.md", "HEARTBEAT.md"})
DAILY = re.compile(r"(?:.*/)?memory/(\d{4}-\d\d-\d\d)\.md")
OTHER_DECAY = 0.8
AGE_SHARE = 0.25
"""How much of the score age can take: an exact old answer must not fall behind a vague new one."""
VAGUE_GAIN = 1.25
"""For a time that a question only hints at."""
ECHO_SHARE = 0.3
ECHO_CHARS = 500
WINDOW_CHARS = 180
MEAN_CHARS = 1_200


@dataclass(frozen=True, slots=True)
class Match:
    """A word of the question in a text: characters `start` to `end`."""

    slot: int
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class Weighed:
    """A candidate with its score and where its text matches."""

    candidate: Candidate
    score: float
    matches: tuple[Match, ...]


def decay(candidate: Candidate, today: date, half_life_days: float) -> float:
    """How much a piece still counts: 1 for what always holds, halved every `half_life_days` for daily logs and messages, else 0.8."""
    name = candidate.source.rpartition("/")[2]
    if candidate.kind == "file" and name in EVERGREEN:
        return 1.0
    daily = DAILY.fullmatch(candidate.source)
    day = candidate.date if candidate.kind == "message" else daily[1] if daily else ""
    try:
        age_days = max(0, (today - date.fromisoformat(day)).days) if day else None
    except ValueError:
        age_days = None
    return OTHER_DECAY if age_days is None else float(0.5 ** (age_days / half_life_days))


class Scale:
    """Weighs texts against one question. `stem` gives the stem of a folded word."""

    def __init__(
        self, sought: Sought, stem: Callable[[str], str], *, today: date, half_life_days: float, mmr_lambda: float
    ) -> None:
        self._sought = sought
        self._slots = sought.slots
        self._stem = stem
        self._today = today
        self._half_life_days = half_life_days
        self._mmr_lambda = mmr_lambda
        self._by_stem: dict[str, list[tuple[int, float]]] = {}
        for place, slot in enumerate(self._slots):
            # Words without meaning are left to the lists of candidates: they would match in every line.
            if slot.is_content and not slot.is_gram:
                for variant in slot.variants:
                    self._by_stem.setdefault(variant.stem, []).append((place, variant.weight))
        self._asked = frozenset(slot.word for slot in sought.slots if not slot.is_gram)
        self._day_points = _day_points(sought.days)
        self._pattern = _beginnings(self._by_stem)
        self._total = sum(slot.rarity for slot in self._slots if slot.is_content) or 1.0
        self._found: dict[str, list[tuple[int, float]]] = {}

    def order(self, candidates: Sequence[Candidate], limit: int) -> list[Weighed]:
        """The best `limit` of them, varied."""
        weighed = [each for each in map(self.weigh, candidates) if each.score > 0]
        weighed.sort(key=lambda each: (-each.score, each.candidate.id))
        return varied(weighed[: max(2 * limit, 20)], limit, self._mmr_lambda)

    def fused(self, candidates: Sequence[Candidate], second: Sequence[int], limit: int, constant: int) -> list[Weighed]:
        """As `order`, with another ranking of numbers put in by reciprocal rank (Cormack, Clarke and Büttcher, SIGIR 2009)."""
        weighed = sorted(map(self.weigh, candidates), key=lambda each: (-each.score, each.candidate.id))
        points: dict[int, float] = {}
        for ranking in ([each.candidate.id for each in weighed if each.score > 0], second):
            for position, number in enumerate(ranking):
                points[number] = points.get(number, 0.0) + 1 / (constant + position)
        joined = [replace(each, score=points.get(each.candidate.id, 0.0)) for each in weighed]
        joined.sort(key=lambda each: (-each.score, each.candidate.id))
        return varied([each for each in joined if each.score > 0][: max(2 * limit, 20)], limit, self._mmr_lambda)

    def weigh(self, candidate: Candidate) -> Weighed:
        """The score of one text. Words in its headings and date count, but less than in the text."""
        folded = scripts.fold(candidate.text)
        matches = self._matches(folded)
        around = self._matches(scripts.fold(candidate.context))
        in_days = _is_in(candidate.date, self._sought.days)
        if not matches and not around and not in_days:
            return Weighed(candidate, 0.0, ())
        points = self._points(matches, around, len(folded))
        if any(phrase in " ".join(folded.split()) for phrase in self._sought.phrases):
            points += 1.0
        if self._sought.days:
            points = points * 1.5 + self._day_points if in_days else points * (0.55 if candidate.date else 0.7)
        else:
            age = decay(candidate, self._today, self._half_life_days)
            points *= 1 - AGE_SHARE + AGE_SHARE * age
        if _is_in(candidate.date, self._sought.vague_days):
            points *= VAGUE_GAIN
        if candidate.kind == "message" and self._only_repeats(folded):
            points *= ECHO_SHARE
        return Weighed(candidate, points, tuple(matches))

    def _only_repeats(self, folded: str) -> bool:
        """Whether a message is the question itself, asked before: it holds all the words and answers nothing."""
        if len(folded) > ECHO_CHARS or len(self._asked) < 3:
            return False
        said = frozenset(scripts.words(folded))
        return len(said & self._asked) >= 0.8 * len(said | self._asked)

    def _points(self, matches: Sequence[Match], around: Sequence[Match], length: int) -> float:
        best: dict[int, float] = {}
        often: dict[int, float] = {}
        for match in matches:
            best[match.slot] = max(best.get(match.slot, 0.0), match.weight)
            often[match.slot] = often.get(match.slot, 0.0) + match.weight
        for match in around:
            best[match.slot] = max(best.get(match.slot, 0.0), 0.8 * match.weight)
            often[match.slot] = often.get(match.slot, 0.0) + 0.5 * match.weight
        norm = 0.6 + 0.4 * length / MEAN_CHARS
        covered = sum(self._slots[place].rarity * weight for place, weight in best.items()) / self._total
        frequent = sum(
            self._slots[place].rarity * best[place] * count / (count + norm) for place, count in often.items()
        )
        near = self._near(matches) / self._total
        wanted = [place for place, slot in enumerate(self._slots) if slot.is_wanted]
        whole = bool(wanted) and all(best.get(place, 0.0) >= 0.5 for place in wanted)
        return 0.45 * covered + 0.35 * near + 0.4 * frequent / self._total + (0.25 if whole else 0.0)

    def _near(self, matches: Sequence[Match]) -> float:
        """The most that one stretch of text covers, as rarity; neighbours in the question that are neighbours there count more."""
        best = 0.0
        first = 0
        for last, match in enumerate(matches):
            while match.end - matches[first].start > WINDOW_CHARS:
                first += 1
            inside: dict[int, float] = {}
            bonus = 0.0
            before: Match | None = None
            for each in matches[first : last + 1][-40:]:
                inside[each.slot] = max(inside.get(each.slot, 0.0), each.weight)
                if before is not None and each.slot == before.slot + 1 and each.start - before.end <= 2:
                    bonus += 0.15 * min(self._slots[each.slot].rarity, self._slots[before.slot].rarity)
                before = each
            value = sum(self._slots[place].rarity * weight for place, weight in inside.items()) + min(bonus, 1.5)
            best = max(best, value)
        return best

    def _matches(self, folded: str) -> list[Match]:
        found: list[Match] = []
        if self._pattern is not None:
            for match in self._pattern.finditer(folded):
                for place, weight in self._meanings(match[0]):
                    found.append(Match(place, match.start(), match.end(), weight))
        for place, slot in enumerate(self._slots):
            if slot.word.isdigit() and len(slot.word) >= 4 and slot.variants:
                for match in _grouped(slot.word).finditer(folded):
                    found.append(Match(place, match.start(), match.end(), 1.0))
            if slot.is_gram:
                start = folded.find(slot.word)
                while start >= 0 and len(found) < 400:
                    found.append(Match(place, start, start + len(slot.word), 1.0))
                    start = folded.find(slot.word, start + 1)
        found.sort(key=lambda each: each.start)
        return found

    def _meanings(self, word: str) -> list[tuple[int, float]]:
        known = self._found.get(word)
        if known is None:
            known = self._found[word] = self._by_stem.get(self._stem(word), [])
        return known


def _day_points(days: Sequence[tuple[str, str]]) -> float:
    """What it is worth to be of the days that were asked for: the fewer they are, the more."""
    length = min(((date.fromisoformat(last) - date.fromisoformat(first)).days for first, last in days), default=0)
    return 0.8 if length < 4 else 0.5 if length < 14 else 0.35 if length < 40 else 0.15


def _is_in(day: str, days: Sequence[tuple[str, str]]) -> bool:
    return bool(day) and any(first <= day <= last for first, last in days)


def varied(weighed: Sequence[Weighed], limit: int, mmr_lambda: float) -> list[Weighed]:
    """Maximal marginal relevance: the best first, then what adds most to those chosen (Carbonell and Goldstein, SIGIR 1998).

    Near copies go behind, and pieces that only repeat the lines of one before them.
    """
    if not weighed:
        return []
    top = weighed[0].score
    bags = {id(each): frozenset(scripts.words(each.candidate.text)) for each in weighed}
    left, chosen = list(weighed), list[Weighed]()
    nearest = {id(each): 0.0 for each in weighed}
    while left and len(chosen) < limit:
        best = max(left, key=lambda each: mmr_lambda * each.score / top - (1 - mmr_lambda) * nearest[id(each)])
        left.remove(best)
        chosen.append(best)
        for each in left:
            nearest[id(each)] = max(nearest[id(each)], _likeness(best, each, bags))
    return chosen


def _likeness(one: Weighed, other: Weighed, bags: Mapping[int, frozenset[str]]) -> float:
    """From 0 to 1. Below a quarter it is what any two texts of one language share."""
    mine, theirs = bags[id(one)], bags[id(other)]
    if not mine or not theirs:
        return 0.0
    common = len(mine & theirs)
    shared = common / (len(mine) + len(theirs) - common)
    return max(0.0, (shared - 0.25) / 0.75)


def _beginnings(stems: Mapping[str, object]) -> re.Pattern[str] | regex.Pattern[str] | None:
    """Finds the words that can have one of these stems: a stemmer changes little but the end of a word (tries, try: tri)."""
    heads = {stem[:-1] if len(stem) >= 4 or stem[-1:] in "iy" else stem for stem in stems} - {""}
    if not heads:
        return None
    either = "|".join(sorted(map(re.escape, heads), key=len, reverse=True))
    if either.isascii():
        return re.compile(rf"(?<![^\W_])(?:{either})[^\W_]*")
    # Slower, but it knows that a mark does not end a word, and passes over those that a question leaves out.
    pointed = sorted((_with_points(head) for head in heads), key=len, reverse=True)
    either = "|".join(pointed)
    return regex.compile(rf"(?<![\p{{L}}\p{{N}}\p{{M}}])(?:{either})[\p{{L}}\p{{N}}\p{{M}}]*")


def _grouped(number: str) -> re.Pattern[str]:
    """Finds a number that is written in groups of digits."""
    return re.compile(rf"(?<!\d){'[ .,/-]?'.join(number)}(?!\d)")


def _with_points(head: str) -> str:
    if not any("\u05d0" <= letter <= "\u06ff" for letter in head):
        return re.escape(head)
    return "".join(f"{letter}{scripts.POINTS}*" for letter in head)


def snippet(
    text: str, matches: Sequence[Match], slots: Sequence[Slot], width: int = 240
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The stretch of `text` that holds most of what was asked, and where the words stand in it."""
    start = 0
    best = -1.0
    for match in matches:
        inside = {
            each.slot for each in matches if match.start <= each.start and each.end <= match.start + width * 3 // 4
        }
        value = sum(slots[place].rarity for place in inside)
        if value > best:
            best, start = value, match.start
    line = text.rfind("\n", 0, start) + 1
    start = line if start - line < width // 4 else max(0, text.rfind(" ", 0, max(0, start - width // 6)) + 1)
    end = min(len(text), start + width)
    if end < len(text) and (space := text.rfind(" ", start + width // 2, end)) > 0:
        end = space
    marks: list[tuple[int, int]] = []
    for each in matches:
        if start <= each.start and each.end <= end and slots[each.slot].is_content:
            if marks and each.start - start <= marks[-1][1]:
                marks[-1] = (marks[-1][0], max(marks[-1][1], each.end - start))
            else:
                marks.append((each.start - start, each.end - start))
    return text[start:end], tuple(marks)
