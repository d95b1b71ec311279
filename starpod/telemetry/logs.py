"""Puts the ids of request and turn into log lines, and writes lines as JSON. Named by `logging.yaml`."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from starpod.telemetry import ids

STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "ids",
    "request_id",
    "turn_id",
    "taskName",
}


class Ids(logging.Filter):
    """Gives every record `request_id`, `turn_id` and `ids`, which is both in brackets, or nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        request_id, turn_id = ids.request_id.get(), ids.turn_id.get()
        parts = [f"request={request_id}"] if request_id else []
        parts += [f"turn={turn_id}"] if turn_id else []
        shown = f" [{' '.join(parts)}]" if parts else ""
        record.__dict__.update(request_id=request_id, turn_id=turn_id, ids=shown)
        return True


class JsonLines(logging.Formatter):
    """A JSON object a line: `time` (RFC 3339), `level`, `logger`, `message`, the ids there are, `exception`, and `extra` fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("request_id", "turn_id"):
            if value := getattr(record, name, ""):
                line[name] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        line |= {name: value for name, value in record.__dict__.items() if name not in STANDARD}
        return json.dumps(line, ensure_ascii=False, default=str)
