"""The agent's own texts that operators edit: SOUL.md and the prompts for its start and its heartbeat. Functions block on the disk."""

from __future__ import annotations

from starpod.errors import Conflict, InvalidInput
from starpod.paths import Paths

EDITABLE = ("SOUL.md", "HEARTBEAT.md", "BOOT.md", "BOOTSTRAP.md")
LARGEST_BYTES = 1_048_576


def read_document(paths: Paths, name: str) -> str:
    """The text, empty for a file that is missing. Raises InvalidInput for another name, Conflict for what is no text."""
    check_name(name)
    try:
        return (paths.config_dir / name).read_text("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise Conflict(f"{name} is not UTF-8 text; save it as UTF-8 first") from None
    except OSError as error:
        raise Conflict(f"{name} cannot be read: {error.strerror}") from error


def check_name(name: str) -> None:
    """InvalidInput unless it is one of the texts that may be edited."""
    if name not in EDITABLE:
        raise InvalidInput(f"File '{name}' is not editable")
