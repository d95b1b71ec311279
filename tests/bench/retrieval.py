"""How many questions of the golden set find a passage that answers them among the first 5 and the first 10 results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing

from tests.bench import golden
from tests.bench.golden import Passage, Question
from tests.bench.plain_search import PlainSearch
from tests.bench.report import Figure

LIMITS = (5, 10)
OVERALL = "overall"
Search = Callable[[str, int], list[Passage]]
Recall = dict[tuple[str, int], float]
"""The share of questions answered, by category (and `OVERALL`) and limit."""


def measure(search: Search, questions: Sequence[Question]) -> Recall:
    """Ask every question at each limit."""
    asked = Counter(each.category for each in questions) + Counter({OVERALL: len(questions)})
    answered: Counter[tuple[str, int]] = Counter()
    for each in questions:
        for limit in LIMITS:
            found = search(each.text, limit)
            if each.answered_by(found[:limit]):
                answered.update([(each.category, limit), (OVERALL, limit)])
    return {
        (category, limit): answered[category, limit] / count for category, count in asked.items() for limit in LIMITS
    }


def baselines(questions: Sequence[Question]) -> tuple[Recall, Recall]:
    """Recall of "all terms" and of "any term"."""
    files = golden.files()
    with closing(PlainSearch(files, "AND")) as every, closing(PlainSearch(files, "OR")) as either:
        return measure(every.search, questions), measure(either.search, questions)


def figures() -> list[Figure]:
    """Overall recall of the plain searches; the table by category is printed."""
    every, either = baselines(golden.questions())
    print(table({"all terms": every, "any term": either}), end="\n\n")
    return [
        Figure(f"recall@{limit}, {name}", "%", recall[OVERALL, limit] * 100)
        for name, recall in (("all terms", every), ("any term", either))
        for limit in LIMITS
    ]


def table(searches: dict[str, Recall]) -> str:
    """Recall by category: a line a category, two columns a search."""
    names = list(searches)
    head = f"{'recall':12}" + "".join(f"{f'{name} @{limit}':>16}" for name in names for limit in LIMITS)
    rows = [head, "-" * len(head)]
    categories = sorted({category for category, _ in searches[names[0]]} - {OVERALL})
    for category in [OVERALL, *categories]:
        cells = "".join(f"{searches[name][category, limit]:>16.1%}" for name in names for limit in LIMITS)
        rows.append(f"{category:12}{cells}")
    return "\n".join(rows)
