"""Search by meaning against a scripted provider: paraphrases are found, and nothing that fails stops a search."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from starpod.agent.embeddings import ProviderEmbedder
from starpod.agent.models import Models
from starpod.agent.registry import Registry
from starpod.config.schema import Config
from starpod.memory.semantic import SemanticIndex, fuse
from starpod.memory.vector_store import ChunkRef
from tests.providers.openai_server import OpenAIServer

COLD = "The furnace was out again, no warmth upstairs."
KITTEN = "The kitten slept on the sofa."
TEXTS = (COLD, KITTEN, "Bread needs salt.")


@dataclass
class Chunks:
    """An index that is a dict."""

    held: dict[ChunkRef, str] = field(default_factory=dict)

    def add(self, text: str, owner: str = "ann") -> ChunkRef:
        ref = ChunkRef(owner, sha256(text.encode()).hexdigest())
        self.held[ref] = text
        return ref

    async def refs(self) -> Sequence[ChunkRef]:
        return list(self.held)

    async def texts(self, refs: Sequence[ChunkRef]) -> Mapping[ChunkRef, str]:
        return {ref: self.held[ref] for ref in refs if ref in self.held}


@dataclass
class Setup:
    server: OpenAIServer
    path: Path
    chunks: Chunks = field(default_factory=Chunks)
    model: str | None = "local/small"
    query_timeout_s: float = 10.0

    def run(self, work: Callable[[SemanticIndex], Awaitable[None]]) -> None:
        """Run `work` on a loop of its own with an index that has been told of its chunks, at most 20 s."""

        async def body() -> None:
            provider = {"base_url": self.server.base_url}
            providers = {"local": provider, "openai": provider}
            config = Config(providers=providers, provider_http={"max_retries": 0})
            models = Models(lambda: config, lambda: {"OPENAI_API_KEY": "sk-1234"}, Registry.load())
            index = SemanticIndex(
                self.path,
                self.chunks,
                lambda: ProviderEmbedder(models, self.model) if self.model else None,
                query_timeout_s=self.query_timeout_s,
                rest_s=0.0,
                pauses_s=(0.01,),
            )
            try:
                async with asyncio.timeout(20):
                    index.wake()
                    await work(index)
            finally:
                await index.close()
                await models.aclose()

        asyncio.run(body())


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    with OpenAIServer() as server:
        setup = Setup(server, tmp_path / "vectors.db")
        for text in TEXTS:
            setup.chunks.add(text)
        yield setup


def test_a_paraphrase_without_a_common_word_is_found(setup: Setup) -> None:
    async def work(index: SemanticIndex) -> None:
        await index.settled()
        for query, text in (("is our heating broken", COLD), ("pet", KITTEN)):
            found = await index.nearest(query, ["ann", ""], 1)
            assert [setup.chunks.held[ref] for ref in found] == [text]

    setup.run(work)


def test_others_chunks_are_never_found(setup: Setup) -> None:
    theirs = setup.chunks.add("My radiator leaks.", "ben")

    async def work(index: SemanticIndex) -> None:
        await index.settled()
        assert theirs not in await index.nearest("heating", ["ann", ""], 10)
        assert await index.nearest("heating", ["ben"], 10) == [theirs]

    setup.run(work)


def test_only_what_is_new_is_embedded_also_after_a_restart(setup: Setup) -> None:
    async def first(index: SemanticIndex) -> None:
        await index.settled()
        setup.chunks.add("My wage went up.")
        setup.chunks.held.pop(ChunkRef("ann", sha256(KITTEN.encode()).hexdigest()))
        index.wake()
        await index.settled()
        assert len(await index.nearest("pet", ["ann"], 10)) == 3

    async def second(index: SemanticIndex) -> None:
        await index.settled()

    setup.run(first)
    setup.run(second)
    assert sorted(setup.server.embedded.texts) == sorted([*TEXTS, "My wage went up.", "pet"])


def test_another_model_embeds_all_again(setup: Setup) -> None:
    async def work(index: SemanticIndex) -> None:
        await index.settled()
        setup.model = "openai/text-embedding-3-small"
        assert await index.nearest("heating", ["ann"], 1) == []
        index.wake()
        await index.settled()
        assert len(await index.nearest("heating", ["ann"], 1)) == 1

    setup.run(work)
    for text in TEXTS:
        assert setup.server.embedded.texts.count(text) == 2
    assert setup.server.embedded.keys[-1] == "Bearer sk-1234"


def test_many_chunks_go_in_batches(setup: Setup) -> None:
    for number in range(150):
        setup.chunks.add(f"Note {number}")

    async def work(index: SemanticIndex) -> None:
        await index.settled()

    setup.run(work)
    assert [len(request) for request in setup.server.embedded.requests] == [64, 64, 25]


def test_a_provider_that_is_down_is_tried_again_and_searches_go_on(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    setup.server.embedded.down = True

    async def work(index: SemanticIndex) -> None:
        await asyncio.to_thread(setup.server.embedded.asked.wait, 5)
        assert await index.nearest("heating", ["ann"], 1) == []
        setup.server.embedded.down = False
        await index.settled()
        assert len(await index.nearest("heating", ["ann"], 1)) == 1

    with caplog.at_level(logging.WARNING):
        setup.run(work)
    assert "searching by words alone" in caplog.text
    assert "chunks could not be embedded" in caplog.text
    assert "Traceback" not in caplog.text


def test_an_answer_that_is_late_is_not_waited_for(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    setup.query_timeout_s = 0.0

    async def work(index: SemanticIndex) -> None:
        await index.settled()
        assert await index.nearest("heating", ["ann"], 1) == []

    setup.run(work)
    assert "no answer within" in caplog.text


@pytest.mark.parametrize("model", ["anthropic/claude-haiku-4-5", "groq/x", "nobody/x", "local"])
def test_a_model_that_cannot_embed_is_a_warning(setup: Setup, model: str, caplog: pytest.LogCaptureFixture) -> None:
    setup.model = model

    async def work(index: SemanticIndex) -> None:
        assert await index.nearest("heating", ["ann"], 1) == []

    setup.run(work)
    assert "searching by words alone" in caplog.text


def test_off_means_that_nobody_is_asked(setup: Setup) -> None:
    setup.model = None

    async def work(index: SemanticIndex) -> None:
        await index.settled()
        assert await index.nearest("heating", ["ann"], 1) == []

    setup.run(work)
    assert setup.server.embedded.texts == []
    assert not setup.path.exists()


def test_what_stands_high_in_both_rankings_comes_first() -> None:
    fused = fuse(["a", "b", "c"], ["b", "d"])
    assert [key for key, _ in fused] == ["b", "a", "d", "c"]
    assert fused[0][1] == pytest.approx(1 / 61 + 1 / 60)
    assert fuse([], []) == []
