"""How many questions of the golden set find a passage that answers them among the first 5 and the first 10 results."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from starpod.db.database import Database
from starpod.db.migrate import migrate
from starpod.memory.index import MemoryIndex
from starpod.server import prepare
from tests.bench import golden
from tests.bench.golden import Passage, Question
from tests.bench.plain_search import PlainSearch
from tests.bench.report import Figure
from tests.fakes import FakeClock

LIMITS = (5, 10)
OWNER = "ann"
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


def ours(questions: Sequence[Question]) -> Recall:
    """Recall of the gateway's own search by words, over the golden files as one user's memory."""
    with tempfile.TemporaryDirectory() as folder:
        paths, loaded = prepare(Path(folder), {})
        for name, text in golden.files().items():
            path = paths.users_dir / OWNER / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        core = Database(paths.core_db)
        migrate(core)
        index = MemoryIndex(core, paths, lambda: loaded.config, FakeClock(golden.ASKED))
        with closing(core), asyncio.Runner() as runner:
            runner.run(_open(index))

            def search(text: str, limit: int) -> list[Passage]:
                hits = runner.run(index.search(text, user_id=OWNER, limit=limit))
                return [
                    Passage(hit.source.removeprefix(f"users/{OWNER}/"), hit.line_start, hit.line_end) for hit in hits
                ]

            recall = measure(search, questions)
            runner.run(index.close())
    return recall


async def _open(index: MemoryIndex) -> None:
    await index.open()
    await index.ready()


def figures() -> list[Figure]:
    """Overall recall of our search beside the plain ones, which it has to beat; the table by category is printed."""
    questions = golden.questions()
    every, either = baselines(questions)
    found = ours(questions)
    print(table({"gateway": found, "all terms": every, "any term": either}), end="\n\n")
    plain = [
        Figure(f"recall@{limit}, {name}", "%", recall[OVERALL, limit] * 100)
        for name, recall in (("all terms", every), ("any term", either))
        for limit in LIMITS
    ]
    best = {limit: max(recall[OVERALL, limit] for recall in (every, either)) * 100 for limit in LIMITS}
    return [
        Figure(f"recall@{limit}, gateway", "%", mine, None, f"> {best[limit]:.0f} %", mine > best[limit])
        for limit in LIMITS
        for mine in [found[OVERALL, limit] * 100]
    ] + plain


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
