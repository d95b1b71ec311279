"""The newest lines of the log, kept in memory for admins to look at. What the log does not tell, this does not either."""

from __future__ import annotations

import itertools
import logging
import re
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime

from starpod.telemetry.logs import Ids

KEPT_LINES = 2_000
KEPT_CHARACTERS = 4_000
# Addresses of refused requests may hold a key, and a library that is set to DEBUG tells more than ours do.
SECRETS = re.compile(r"(?<=[?&]token=)[^&\s]+|(?<=sp_live_)[0-9a-f]+|(?<=Bearer )\S+|(?<=/bot)\d+:[\w-]+")


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line; `id` counts from 1 since the gateway started, `time` is RFC 3339. `exception` is the traceback."""

    id: int
    time: str
    level: str
    logger: str
    message: str
    request_id: str = ""
    turn_id: str = ""
    exception: str = ""


class RecentLines(logging.Handler):
    """A handler of the root logger. Edits of logging.yaml leave it there."""

    def __init__(self) -> None:
        super().__init__()
        self.addFilter(Ids())
        self._lines: deque[tuple[int, LogLine]] = deque(maxlen=KEPT_LINES)
        self._ids = itertools.count(1)
        self._exceptions = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line. At DEBUG peewee tells every value that is stored: those are left out."""
        if record.name.startswith("peewee") and record.levelno < logging.INFO:
            return
        try:
            line = LogLine(
                next(self._ids),
                datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
                record.levelname.lower(),
                record.name,
                _shown(record.getMessage()),
                record.__dict__["request_id"],
                record.__dict__["turn_id"],
                _shown(self._exceptions.formatException(record.exc_info)) if record.exc_info else "",
            )
        except Exception:
            return self.handleError(record)
        self._lines.append((record.levelno, line))

    def newest(self, count: int, level: int = logging.NOTSET, after: int = 0) -> list[LogLine]:
        """The last `count` lines of at least this level behind the line `after`, the oldest first."""
        found = [line for number, line in tuple(self._lines) if number >= level and line.id > after]
        return found[-count:] if count else []


def _shown(text: str) -> str:
    text = SECRETS.sub("…", text)
    return text if len(text) <= KEPT_CHARACTERS else f"{text[:KEPT_CHARACTERS]}…"
