"""One search of the index, from the words of a question to the hits in order. The index imports this with the first search: the word
lists and patterns of all languages take two megabytes, which a gateway that nobody asks does without."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from starpod.memory import store
from starpod.memory.lookup import look_up
from starpod.memory.query import parse
from starpod.memory.ranking import Scale, Weighed, snippet
from starpod.memory.stems_store import STEMS
from starpod.memory.types import Candidate, Filters, Hit, Scope, Slot

RANK_CONSTANT = 60


class Search:
    """A question to the parts of the index that `scopes` names. `today` is the local day."""

    def __init__(self, text: str, *, today: date, scopes: Sequence[Scope], filters: Filters, limit: int) -> None:
        self._question = parse(text, today)
        self._today = today
        self._scopes = scopes
        self._filters = filters
        self._limit = limit

    @property
    def text(self) -> str:
        """What of the question counts."""
        return self._question.text

    @property
    def is_empty(self) -> bool:
        """Whether it finds nothing, whatever is there."""
        return self._question.is_empty

    def run(
        self, connection: store.Connection, second: Iterable[int], *, half_life_days: float, mmr_lambda: float
    ) -> list[Hit]:
        """The hits, best first; `second` are the pieces that another ranking found, in its order. Blocks."""
        sought, candidates = look_up(connection, self._question, self._scopes, self._filters)
        known = {each.id for each in candidates}
        extra = [each for each in store.candidates(connection, second) if self._fits(each)]
        scale = Scale(sought, STEMS.of, today=self._today, half_life_days=half_life_days, mmr_lambda=mmr_lambda)
        if extra:
            candidates += [each for each in extra if each.id not in known]
            weighed = scale.fused(candidates, [each.id for each in extra], self._limit, RANK_CONSTANT)
        else:
            weighed = scale.order(candidates, self._limit)
        return [_hit(each, sought.slots) for each in weighed]

    def _fits(self, candidate: Candidate) -> bool:
        filters = self._filters
        return (
            Scope(candidate.owner, candidate.kind) in self._scopes
            and filters.source in (None, candidate.source)
            and (filters.since is None or candidate.date >= filters.since)
            and (filters.until is None or "" < candidate.date <= filters.until)
        )


def _hit(weighed: Weighed, slots: Sequence[Slot]) -> Hit:
    found = weighed.candidate
    text, marks = snippet(found.text, weighed.matches, slots)
    hit = Hit(
        source=found.source,
        text=found.text,
        line_start=found.line_start,
        line_end=found.line_end,
        score=round(weighed.score, 4),
        snippet=text,
        marks=marks,
        kind=found.kind,
        date=found.date or None,
    )
    if found.kind == "message":
        return replace(
            hit,
            source=f"sessions/{found.source}",
            session_id=found.source,
            message_id=found.message_id,
            role=found.role,
        )
    return hit
