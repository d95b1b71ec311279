"""`offline/assistant`, the model of a machine without any key: no language model, and it says so. Light to import."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starpod.clock import Clock, SystemClock

if TYPE_CHECKING:
    from pydantic_ai.models import Model

MODEL_NAME = "assistant"
PROVIDER = "offline"


def build_model(*, clock: Clock | None = None, timezone: str | None = None) -> Model:
    """The model behind `offline/assistant`. It costs nothing; its token counts are estimates.

    `timezone` is the IANA name that times are told in (the machine's own when None or unknown). Imports pydantic-ai, so call it
    where that may take its time.
    """
    from starpod.agent.offline_model import OfflineModel

    return OfflineModel(clock or SystemClock(), timezone, model_name=MODEL_NAME, system=PROVIDER)
