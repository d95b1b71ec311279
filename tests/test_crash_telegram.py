"""A handful of the kills that `python -m tests.crash_telegram` does by the dozen."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from tests import crash_telegram


def test_no_telegram_message_is_lost_or_handled_twice_when_the_gateway_is_killed(tmp_path: Path) -> None:
    asyncio.run(crash_telegram.run(3, random.SystemRandom().randrange(2**32), tmp_path))
