"""From a question to candidates: which stems may stand for its words, and which chunks are worth weighing.

FTS5's bm25 costs about a microsecond for every chunk that matches any of its terms, so common words never stand alone in a scored
expression: rare words are scored, common ones only narrow down, and the rest is weighed on a few dozen texts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal

from starpod.memory import scripts, store
from starpod.memory.lexicon import IRREGULAR, KINDS_OF, SYNONYMS
from starpod.memory.query import Question, Word
from starpod.memory.stems_store import STEMS
from starpod.memory.types import Candidate, Filters, Scope, Slot, Sought, Variant

SCORED_ROWS = 8_000
"""Chunks that one scored expression may match, by the frequencies of its terms."""
LONGEST_COMPOUND = 40
PER_LIST = 60
MOST_CANDIDATES = 150
_TIME_SHARE = 0.3
"""Of the weight of words that name a day: what happened in March need not say so."""
_STEM_WEIGHT = {
    "same": 1.0,
    "form": 0.95,
    "prefix": 0.8,
    "akin": 0.55,
    "related": 0.6,
    "kind": 0.5,
    "typo": 0.7,
    "part": 0.5,
}


def look_up(
    connection: store.Connection, question: Question, scopes: Sequence[Scope], filters: Filters
) -> tuple[Sought, list[Candidate]]:
    """What was sought and what may answer it, in no useful order. For a reader thread."""
    spans = store.ranges(connection, scopes)
    total = max(1, store.chunk_count(connection)) if spans else 1
    sought = Sought(tuple(_slots(connection, question, total)), question.phrases, question.days, question.vague_days)
    numbers: dict[int, None] = {}
    for span in spans:
        for found in _lists(connection, sought, span, filters, total):
            numbers.update(dict.fromkeys(found))
    return sought, store.candidates(connection, list(numbers)[: MOST_CANDIDATES * max(1, len(spans))])


def _slots(connection: store.Connection, question: Question, total: int) -> Iterator[Slot]:
    for place, word in enumerate(question.words):
        beside = question.words[max(0, place - 1) : place], question.words[place + 1 : place + 2]
        yield _word_slot(connection, word, total, _compounds(word, *beside))
    for gram in question.grams:
        token = scripts.gram_token(gram)
        frequency = store.frequencies(connection, [token]).get(token, 0)
        yield Slot(gram, (Variant(token, 1.0),), _rarity(frequency, total), frequency, is_gram=True)


def _compounds(word: Word, before: Sequence[Word], after: Sequence[Word]) -> list[str]:
    """The word written together with its neighbours (dish washer, lady birds)."""
    if not word.is_content:
        return list(word.joined)
    neighbours = [other.text + word.text for other in before] + [word.text + other.text for other in after]
    long = [each for each in neighbours if len(each) >= 7 and not any(letter.isdigit() for letter in each)]
    return [*word.joined, *long]


def _spellings(word: str) -> Iterator[str]:
    """How else the same word is written: accents typed as letters (ae, ss), articles that Arabic and Hebrew join to a noun."""
    for typed, folded in (("ae", "a"), ("oe", "o"), ("ue", "u"), ("ss", "s")):
        if typed in word:
            yield word.replace(typed, folded)
    if "\u0621" <= word[:1] <= "\u064a":
        yield f"ال{word}"
        for article in ("وال", "بال", "لل", "ال"):
            if word.startswith(article) and len(word) > len(article) + 1:
                yield word.removeprefix(article)
    if "\u05d0" <= word[:1] <= "\u05ea":
        yield f"ה{word}"
        if word.startswith("ה") and len(word) > 3:
            yield word[1:]


@cache
def _by_stem(relation: Literal["related", "kind"]) -> dict[str, dict[str, None]]:
    """The stems related to a stem, whatever form of the words the lexicon has."""
    found: dict[str, dict[str, None]] = {}
    for word, others in (SYNONYMS if relation == "related" else KINDS_OF).items():
        found.setdefault(STEMS.of(word), {}).update(dict.fromkeys(map(STEMS.of, others)))
    return found


def _word_slot(connection: store.Connection, word: Word, total: int, compounds: Sequence[str]) -> Slot:
    stem = STEMS.of(word.text)
    weights = {stem: _STEM_WEIGHT["same"]}
    own = (*_spellings(word.text), *IRREGULAR.get(word.text, ())) if word.is_content else ()
    for form in (*own, *compounds):
        weights.setdefault(STEMS.of(form), _STEM_WEIGHT["form"])
    if word.is_content:
        for other in _by_stem("related").get(stem, ()):
            weights.setdefault(other, _STEM_WEIGHT["related"])
        for other in _by_stem("kind").get(stem, ()):
            weights.setdefault(other, _STEM_WEIGHT["kind"])
    known = store.frequencies(connection, list(weights))
    if word.is_prefix:
        for other, frequency in store.stems_from(connection, word.text, 12):
            weights.setdefault(other, _STEM_WEIGHT["prefix"])
            known.setdefault(other, frequency)
    elif word.is_content:
        for other, frequency, weight in _akin(connection, word.text, stem, has_own=stem in known):
            weights.setdefault(other, weight)
            known.setdefault(other, frequency)
    variants = [Variant(each, weights[each]) for each in weights if each in known]
    # What the word itself has decides how rare it is: a related word must not make it common.
    strong = [known[each.stem] for each in variants if each.weight >= 0.9]
    frequency = sum(strong) or max((known[each.stem] for each in variants), default=0)
    rarity = _rarity(frequency, total) * (_TIME_SHARE if word.is_time else 1.0 if word.is_content else 0.08)
    variants.sort(key=lambda each: (-each.weight, known[each.stem]))
    costs = tuple(known[each.stem] for each in variants)
    return Slot(word.text, tuple(variants), rarity, frequency, word.is_content, is_time=word.is_time, costs=costs)


def _akin(connection: store.Connection, word: str, stem: str, *, has_own: bool) -> Iterator[tuple[str, int, float]]:
    """Stems of the same family (allergic, allergy), and, for a word that nobody wrote, what it may have been meant to be."""
    if word.isdigit():
        return
    if not has_own:
        yield from _parts(connection, word)
    if len(stem) >= 5:
        base = stem[:-1] if len(stem) > 5 else stem
        for other, frequency in store.stems_from(connection, base, 8):
            if other != stem and len(other) <= len(stem) + 4:
                yield other, frequency, _STEM_WEIGHT["akin"]
    if has_own:
        return
    if len(word) >= 3:
        for other, frequency in store.stems_from(connection, word, 8):
            yield other, frequency, _STEM_WEIGHT["prefix"]
    # Among short words nearly every one is near another.
    if len(stem) >= 5 or len(word) >= 6:
        allowed = 1 if len(stem) < 7 else 2
        near = [
            (distance, other, frequency)
            for other, frequency in _spelled_like(connection, stem)
            if (distance := _distance(stem, other, allowed)) <= allowed
        ]
        for distance, other, frequency in sorted(near, key=lambda each: (each[0], -each[2]))[:4]:
            yield other, frequency, _STEM_WEIGHT["typo"] / distance


def _parts(connection: store.Connection, word: str) -> Iterator[tuple[str, int, float]]:
    """The two words that an unknown one is made of: dishwasher, which the texts write apart."""
    if len(word) > LONGEST_COMPOUND:
        return  # no word: every cut of it would be looked up
    for cut in range(3, len(word) - 2):
        stems = [STEMS.of(word[:cut]), STEMS.of(word[cut:])]
        known = store.frequencies(connection, stems)
        if len(word) >= 6 and len(known) == 2:
            for stem in stems:
                yield stem, known[stem], _STEM_WEIGHT["part"]


def _spelled_like(connection: store.Connection, stem: str) -> list[tuple[str, int]]:
    """Candidates for a misspelt stem. Swapped letters break up to four pieces of three, so their right order is tried as well."""
    found = dict(store.stems_like(connection, stem, 60))
    swapped = [stem[:at] + stem[at + 1] + stem[at] + stem[at + 2 :] for at in range(len(stem) - 1)]
    found.update(store.frequencies(connection, swapped))
    return list(found.items())


def _distance(one: str, other: str, limit: int) -> int:
    """Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment); `limit` + 1 when more."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        line = [row]
        for column, against in enumerate(other, start=1):
            cost = min(last[column] + 1, line[column - 1] + 1, last[column - 1] + (letter != against))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == against:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, last = last, line
        if min(line) > limit:
            return limit + 1
    return max(1, last[-1])


def _rarity(frequency: int, total: int) -> float:
    return math.log(1 + (total - frequency + 0.5) / (frequency + 0.5)) if frequency < total else 0.05


def _lists(
    connection: store.Connection, sought: Sought, span: tuple[int, int], filters: Filters, total: int
) -> Iterator[list[int]]:
    """Several short lists of numbers; what answers best is in at least one of them."""
    slots = sorted((slot for slot in sought.slots if slot.variants), key=lambda slot: slot.frequency)
    content = [slot for slot in slots if slot.is_wanted] or (
        [] if sought.days or any(slot.is_gram for slot in slots) else slots
    )
    grams = [slot for slot in slots if slot.is_gram]
    for phrase in sought.phrases:
        yield store.matching(connection, f'"{_bare(phrase)}"', span, filters, PER_LIST, ranked=False)
    if len(content) > 1:
        yield from _together(connection, content, span, filters)
    rare = [*_affordable(content), *_affordable(grams)]
    if rare:
        expression = _either(variant for variant in rare)
        yield store.matching(connection, expression, span, filters, PER_LIST, ranked=True)
    elif slots and not sought.days:
        yield store.matching(connection, _either(_own(slots[0])), span, filters, PER_LIST, ranked=False)
    for days in sought.days:
        if rare:
            limited = Filters(filters.source, max(filters.since or "", days[0]), min(filters.until or "9", days[1]))
            yield store.matching(connection, _either(rare), span, limited, PER_LIST // 2, ranked=True)
        yield store.within_days(connection, days, span, filters, PER_LIST // 3)


def _together(
    connection: store.Connection, content: list[Slot], span: tuple[int, int], filters: Filters
) -> Iterator[list[int]]:
    """Chunks that hold all of the words; then, with more than two, all but one of the rarest four."""
    for group in [content, *_leaving_one_out(content[:4])]:
        expression = " AND ".join(f"({_either(_own(slot))})" for slot in group)
        # A long list of all-terms matches is scored only when that is cheap.
        ranked = sum(slot.frequency for slot in group) <= SCORED_ROWS
        yield store.matching(connection, expression, span, filters, PER_LIST // 2, ranked=ranked)


def _leaving_one_out(content: list[Slot]) -> list[list[Slot]]:
    if len(content) < 3:
        return []
    return [[slot for slot in content if slot is not left] for left in content]


def _own(slot: Slot) -> list[Variant]:
    """The word itself, or what stands best for it."""
    strong = [each for each in slot.variants if each.weight >= 0.7]
    return strong or list(slot.variants)


def _affordable(slots: Sequence[Slot]) -> list[Variant]:
    """Of the rarest slots as many variants as may be scored, those that stand best for their word first."""
    found: list[Variant] = []
    left = SCORED_ROWS
    for slot in slots:
        if slot.frequency > left:
            break
        for variant, cost in zip(slot.variants, slot.costs or [slot.frequency], strict=False):
            if cost <= left:
                found.append(variant)
                left -= cost
    return found


def _either(variants: Iterable[Variant]) -> str:
    return " OR ".join(dict.fromkeys(f'"{_bare(STEMS.word_for(variant.stem))}"' for variant in variants)) or '""'


def _bare(text: str) -> str:
    return text.replace('"', " ").replace("\0", " ")
