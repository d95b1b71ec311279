"""Search by meaning beside the search by words: chunks are embedded in the background, questions when they are asked.

It never stands in the way: without packages, model or an answer in time a search goes on without it. Knows no provider and no index:
both are given in.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, TypeVar

from starpod.errors import Upstream
from starpod.memory.vector_store import ChunkRef, VectorStore
from starpod.tasks import TaskSet

logger = logging.getLogger(__name__)

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

RANK_CONSTANT = 60
BATCH = 64
QUERY_TIMEOUT_S = 0.8
# After a failed question the provider is left alone for as long, so that not every search waits for it in vain.
REST_S = 30.0
PAUSES_S = (5.0, 15.0, 60.0, 300.0)


class Embedder(Protocol):
    """Turns texts into vectors of one length. Raises Upstream or InvalidInput with words fit for a log."""

    @property
    def model(self) -> str:
        """`provider/model`; vectors of different models are never compared."""

    async def documents(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """A vector for each text."""

    async def question(self, text: str) -> Sequence[float]:
        """The vector of a search."""


class ChunkSource(Protocol):
    """The index whose chunks are to have vectors."""

    async def refs(self) -> Sequence[ChunkRef]:
        """All chunks there are now."""

    async def texts(self, refs: Sequence[ChunkRef]) -> Mapping[ChunkRef, str]:
        """The texts of those that are still there."""


class Keyed(Protocol):
    """The text index: its pieces by owner and digest."""

    async def keys(self) -> Sequence[tuple[str, str]]:
        """All pieces there are now."""

    async def texts(self, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """What these pieces say."""


class IndexChunks:
    """The pieces of the text index as a `ChunkSource`."""

    def __init__(self, index: Keyed) -> None:
        self._index = index

    async def refs(self) -> Sequence[ChunkRef]:
        return [ChunkRef(*key) for key in await self._index.keys()]

    async def texts(self, refs: Sequence[ChunkRef]) -> Mapping[ChunkRef, str]:
        found = await self._index.texts([(ref.owner, ref.hash) for ref in refs])
        return {ChunkRef(*key): text for key, text in found.items()}


class SemanticIndex:
    """Keeps a vector for every chunk of `source`. `embedder` gives the model in force, or None while it is off."""

    def __init__(
        self,
        path: Path,
        source: ChunkSource,
        embedder: Callable[[], Embedder | None],
        *,
        query_timeout_s: float = QUERY_TIMEOUT_S,
        rest_s: float = REST_S,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._path = path
        self._source = source
        self._embedder = embedder
        self._query_timeout_s = query_timeout_s
        self._rest_s = rest_s
        self._pauses_s = pauses_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vectors")
        self._store: VectorStore | None = None
        self._tasks = TaskSet("semantic")
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._following = False
        self._resting_until = 0.0
        self.problem: str | None = None
        """Why it cannot work now, fit for an admin; None while it works or is off."""

    def wake(self) -> None:
        """Chunks or settings have changed: embed what is new, forget what is gone. Returns at once."""
        self._changed.set()
        self._settled.clear()
        if not self._following:
            self._following = True
            self._tasks.spawn(self._follow(), name="follow")

    async def settled(self) -> None:
        """Wait until every chunk known now has its vector, or semantic search is off."""
        await self._settled.wait()

    async def rank(self, text: str, owners: Sequence[str], limit: int) -> list[tuple[str, str]]:
        """`nearest` as the text index asks for it: owner and digest, best first."""
        return [(ref.owner, ref.hash) for ref in await self.nearest(text, owners, limit)]

    async def nearest(self, query: str, owners: Iterable[str], limit: int) -> list[ChunkRef]:
        """The chunks of `owners` that mean what `query` means, best first; empty when that cannot be told in time."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._resting_until or not query.strip():
            return []
        try:
            embedder = self._embedder()
            if embedder is None:
                return []
            async with asyncio.timeout(self._query_timeout_s):
                vector = await embedder.question(query)
                store = await self._opened()
                return await self._call(store.nearest, embedder.model, vector, tuple(owners), limit)
        except TimeoutError:
            reason = f"no answer within {self._query_timeout_s} s"
        except Exception as error:
            reason = str(error) or type(error).__name__
        self._resting_until = loop.time() + self._rest_s
        logger.warning("searching by words alone for %.0f s: %s", self._rest_s, reason)
        return []

    async def close(self) -> None:
        """Stop embedding and close the file."""
        await self._tasks.close()
        if self._store is not None:
            await self._call(self._store.close)
        self._thread.shutdown(wait=False)

    async def _follow(self) -> None:
        failures = 0
        while self._changed.is_set():
            self._changed.clear()
            try:
                await self._sync()
                failures = 0
                self.problem = None
            except Exception as error:
                pause = self._pauses_s[min(failures, len(self._pauses_s) - 1)]
                failures += 1
                self.problem = str(error)
                logger.warning("chunks could not be embedded, next try in %.0f s: %s", pause, error)
                self._changed.set()
                await asyncio.sleep(pause)
        self._following = False
        self._settled.set()

    async def _sync(self) -> None:
        embedder = self._embedder()
        if embedder is None:
            return
        store = await self._opened()
        await self._call(store.use, embedder.model)
        missing, gone = await self._call(store.difference, await self._source.refs())
        # In batches, so that searches come in between: they share the thread.
        for start in range(0, len(gone), BATCH):
            await self._call(store.remove, gone[start : start + BATCH])
        for start in range(0, len(missing), BATCH):
            if (now := self._embedder()) is None or now.model != embedder.model:
                self._changed.set()
                return
            await self._embed(embedder, store, missing[start : start + BATCH])
        if missing:
            logger.info("%d chunks have been embedded by %s", len(missing), embedder.model)

    async def _embed(self, embedder: Embedder, store: VectorStore, batch: Sequence[ChunkRef]) -> None:
        texts = await self._source.texts(batch)
        if not texts:
            return
        vectors = await embedder.documents(list(texts.values()))
        if len(vectors) != len(texts) or len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
            raise Upstream(f"{embedder.model} gave vectors that do not fit the texts")
        await self._call(store.put, embedder.model, list(texts), vectors)

    async def _opened(self) -> VectorStore:
        # On the one thread, so two callers never open the file twice.
        return await self._call(self._open)

    def _open(self) -> VectorStore:
        if self._store is None:
            self._store = VectorStore(self._path)
        return self._store

    async def _call(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


def fuse(*rankings: Sequence[K], constant: int = RANK_CONSTANT) -> list[tuple[K, float]]:
    """Reciprocal rank fusion: what stands high in several rankings comes first, with its score. Positions count from 0.

    Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009.
    """
    scores: dict[K, float] = {}
    for ranking in rankings:
        for position, key in enumerate(ranking):
            scores[key] = scores.get(key, 0.0) + 1 / (constant + position)
    return sorted(scores.items(), key=lambda each: -each[1])
