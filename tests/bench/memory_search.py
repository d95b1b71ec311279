"""How fast memory is indexed and searched: realistic long-tailed text, questions of three to eight words drawn from it."""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from pathlib import Path

from starpod.config.loader import load_config
from starpod.db.database import Database
from starpod.db.migrate import migrate
from starpod.memory.index import MemoryIndex
from starpod.memory.lexicon import STOP_WORDS
from starpod.paths import Paths
from starpod.server import prepare, tune_process
from tests.bench.report import Figure
from tests.fakes import FakeClock

CHUNK_CHARS = 1_600
CHUNKS_A_FILE = 100
WORDS = 120_000
QUESTIONS = 300
NOW = datetime(2026, 6, 16, 9, tzinfo=UTC)
SYLLABLES = [first + second for first in "bdfghklmnprstv" for second in "aeio"]


@dataclass(frozen=True, slots=True)
class Language:
    """Words by falling frequency, as Zipf's law has it: first the stop words of English, then made-up ones."""

    words: list[str]
    weights: list[float]

    @classmethod
    def invent(cls, luck: random.Random) -> Language:
        known = dict.fromkeys(word for word in sorted(STOP_WORDS) if word.isascii())
        while len(known) < WORDS:
            known["".join(luck.choices(SYLLABLES, k=luck.randint(2, 5))) + luck.choice(["", "n", "r", "s", "t"])] = None
        return cls(list(known), list(accumulate(1 / (place + 2.7) for place in range(len(known)))))

    def say(self, luck: random.Random, chars: int) -> list[str]:
        """Words that make up about so many characters."""
        found: list[str] = []
        while chars > 0:
            for word in luck.choices(self.words, cum_weights=self.weights, k=50):
                found.append(word)
                chars -= len(word) + 1
                if chars <= 0:
                    break
        return found


def write_logs(folder: Path, language: Language, luck: random.Random, chunks: int) -> list[list[str]]:
    """Files of about `chunks` chunks together; returns a sample of their paragraphs to ask about."""
    sample: list[list[str]] = []
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(-(-chunks // CHUNKS_A_FILE)):
        day = date(2026, 6, 15) - timedelta(days=number)
        lines = []
        # Neighbours share 320 characters, so that much less text makes a chunk.
        for _ in range(CHUNKS_A_FILE * 4):
            words = language.say(luck, (CHUNK_CHARS - 320) // 4)
            lines.append("- " + " ".join(words))
            if luck.random() < 0.005:
                sample.append(words)
        (folder / f"{day.isoformat()}.md").write_text(f"# Daily Log\n\n{chr(10).join(lines)}\n")
    return sample


def ask(luck: random.Random, language: Language, sample: list[list[str]]) -> list[str]:
    """Half of the questions repeat words of one paragraph, half are any words as people use them."""
    found = []
    for number in range(QUESTIONS):
        count = luck.randint(3, 8)
        words = luck.sample(luck.choice(sample), count) if number % 2 else language.say(luck, 200)[:count]
        found.append(" ".join(words))
    return found


class Held:
    """Measures how long the loop is held at a time."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._due = asyncio.get_running_loop().time() + 0.002
        self._handle = asyncio.get_running_loop().call_at(self._due, self._beat)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _beat(self) -> None:
        self.longest_s = max(self.longest_s, asyncio.get_running_loop().time() - self._due)
        self.start()


async def measure(paths: Paths, core: Database, questions: list[str]) -> dict[str, float]:
    loaded = load_config(paths, {})
    index = MemoryIndex(core, paths, lambda: loaded.config, FakeClock(NOW))
    found: dict[str, float] = {}
    began = time.perf_counter()
    await index.open()
    await index.ready()
    found["first index s"] = time.perf_counter() - began
    built = await index.reindex()
    found |= {"rebuild s": built.seconds, "chunks": built.chunks}
    await index.search(questions[0], user_id="ann")
    # As a running gateway has it.
    tune_process()
    gc.freeze()
    held = Held()
    held.start()
    times = []
    for question in questions:
        began = time.perf_counter()
        await index.search(question, user_id="ann", limit=10)
        times.append((time.perf_counter() - began) * 1_000)
    held.stop()
    cuts = statistics.quantiles(times, n=100)
    found |= {"p50 ms": cuts[49], "p95 ms": cuts[94], "p99 ms": cuts[98], "loop held ms": held.longest_s * 1_000}
    path = paths.users_dir / "ann" / "memory" / "2026-06-15.md"
    path.write_text(path.read_text() + "\n- The quixotic zeppelin landed.\n")
    began = time.perf_counter()
    await index.refresh([path])
    assert await index.search("quixotic zeppelin", user_id="ann")
    found["changed file s"] = time.perf_counter() - began
    await index.close()
    again = MemoryIndex(core, paths, lambda: loaded.config, FakeClock(NOW))
    began = time.perf_counter()
    await again.open()
    await again.ready()
    found["restart s"] = time.perf_counter() - began
    await again.close()
    return found


def run(chunks: int) -> dict[str, float]:
    """Make an agent with so many chunks and measure it."""
    luck = random.Random(chunks)
    with tempfile.TemporaryDirectory() as folder:
        paths, _ = prepare(Path(folder), {})
        language = Language.invent(luck)
        sample = write_logs(paths.users_dir / "ann" / "memory", language, luck, chunks)
        core = Database(paths.core_db)
        migrate(core)
        try:
            return asyncio.run(measure(paths, core, ask(luck, language, sample)))
        finally:
            core.close()


def figures(*, quick: bool = False, long: bool = False) -> list[Figure]:
    """At 100,000 chunks (10,000 when quick), with `long` also at 500,000."""
    found: list[Figure] = []
    sizes = [(10_000, 25.0)] if quick else [(100_000, 25.0), *([(500_000, 100.0)] if long else [])]
    for chunks, most_ms in sizes:
        seen = run(chunks)
        most_s = 60 * chunks / 100_000
        name = f"memory, {seen['chunks']:,.0f} chunks"
        found += [
            Figure(f"{name}: search, median", "ms", seen["p50 ms"]),
            Figure(f"{name}: search, p95", "ms", seen["p95 ms"], None, f"< {most_ms:.0f} ms", seen["p95 ms"] < most_ms),
            Figure(f"{name}: loop held", "ms", seen["loop held ms"], None, "< 10 ms", seen["loop held ms"] < 10),
            Figure(f"{name}: rebuild", "s", seen["rebuild s"], None, f"< {most_s:.0f} s", seen["rebuild s"] < most_s),
            Figure(f"{name}: changed file", "s", seen["changed file s"], None, "< 2 s", seen["changed file s"] < 2),
            Figure(f"{name}: restart", "s", seen["restart s"]),
        ]
    return found
