"""Several parts of a gateway may need the same large library at the same moment."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, sys
from starpod.agent import embeddings, provider_clients
from starpod.imports import import_in_thread
from starpod.tools.mcp import connection

sys.setswitchinterval(1e-5)  # as on a machine that is busy


async def main():
    await asyncio.gather(
        import_in_thread(connection._libraries),
        import_in_thread(provider_clients.import_sdk, "openai"),
        import_in_thread(embeddings._import),
        import_in_thread(provider_clients.import_sdk, "anthropic"),
    )
    import pydantic_ai.mcp, pydantic_ai.models.anthropic, pydantic_ai.models.openai


asyncio.run(main())
"""


def test_parts_that_need_the_model_library_at_once_all_get_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
