"""The models that a local Ollama offers, asked for in the background (https://docs.ollama.com/api: /api/tags and /api/show)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from starpod.agent.registry import ModelInfo
from starpod.clock import Clock
from starpod.config.schema import Config

logger = logging.getLogger(__name__)

DEFAULT_URL = "http://localhost:11434"
DEFAULT_CONTEXT = 131_072
TIMEOUT_S = 3.0
FRESH_S = 30.0
MOST_MODELS = 200
AT_ONCE = 4


class OllamaModels:
    """What Ollama offered when it was last asked. Never asked while somebody waits."""

    def __init__(
        self, config: Callable[[], Config], clock: Clock, on_found: Callable[[Mapping[str, ModelInfo]], None]
    ) -> None:
        self._config = config
        self._clock = clock
        self._on_found = on_found
        self._asked: tuple[str, float] | None = None
        self._is_asking = False

    @property
    def is_due(self) -> bool:
        """Whether the last answer is too old, or came from another address."""
        provider = self._config().providers["ollama"]
        if not provider.enabled or self._is_asking:
            return False
        now = self._clock.monotonic()
        return self._asked is None or self._asked[0] != self._url() or now - self._asked[1] >= FRESH_S

    async def ask(self) -> None:
        """Ask now; nobody there means no models. Does not raise."""
        if not self.is_due:
            return
        self._is_asking = True
        url = self._url()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                found = await self._fetch(url)
        except Exception as error:
            logger.debug("Ollama did not say what it offers: %s", error)
            found = {}
        finally:
            self._is_asking = False
            self._asked = (url, self._clock.monotonic())
        self._on_found(found)

    def _url(self) -> str:
        given = self._config().providers["ollama"].base_url or DEFAULT_URL
        return given.rstrip("/").removesuffix("/chat/completions").removesuffix("/v1")

    async def _fetch(self, url: str) -> dict[str, ModelInfo]:
        import httpx2

        async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as client:
            answer = await client.get(f"{url}/api/tags")
            answer.raise_for_status()
            names = [name for name in _names(answer.json()) if name][:MOST_MODELS]
            slots = asyncio.Semaphore(AT_ONCE)

            async def describe(name: str) -> ModelInfo:
                async with slots:
                    try:
                        shown = await client.post(f"{url}/api/show", json={"model": name})
                        shown.raise_for_status()
                        details = shown.json()
                    except (httpx2.HTTPError, ValueError):
                        details = {}
                return _described(name, details)

            return {info.id or "": info for info in await asyncio.gather(*(describe(name) for name in names))}


def _names(body: Any) -> list[str]:
    models = body.get("models") if isinstance(body, dict) else None
    rows = models if isinstance(models, list) else []
    return [str(row.get("name") or row.get("model") or "") for row in rows if isinstance(row, dict)]


def _described(name: str, body: Any) -> ModelInfo:
    details = body.get("model_info") if isinstance(body, dict) else None
    given = details if isinstance(details, dict) else {}
    windows = [size for key, size in given.items() if key.endswith(".context_length") and isinstance(size, int)]
    sees = any(
        key.endswith(".vision.block_count") and isinstance(count, int) and count > 0 for key, count in given.items()
    )
    context = windows[0] if windows and windows[0] > 0 else DEFAULT_CONTEXT
    return ModelInfo("ollama", name, context_window=context, supports_vision=sees)
