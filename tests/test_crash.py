"""A handful of the kills that `python -m tests.crash` does by the dozen."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from tests import crash


def test_nothing_acknowledged_is_lost_when_the_gateway_is_killed(tmp_path: Path) -> None:
    asyncio.run(crash.run(4, random.SystemRandom().randrange(2**32), tmp_path))
