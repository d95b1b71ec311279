"""Which tools the agent has."""

from __future__ import annotations

from starpod.tools.files import FILE_TOOLS

FAMILIES = (FILE_TOOLS,)
