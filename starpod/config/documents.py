"""The agent's own texts that operators edit: SOUL.md and the prompts for its start and its heartbeat. Functions block on the disk."""

from __future__ import annotations

from starpod.config.files import write_atomically
from starpod.errors import Conflict, InvalidInput, Unavailable
from starpod.paths import Paths

EDITABLE = ("SOUL.md", "HEARTBEAT.md", "BOOT.md", "BOOTSTRAP.md")
LARGEST_BYTES = 1_048_576


def read_document(paths: Paths, name: str) -> str:
    """The text, empty for a file that is missing. Raises InvalidInput for another name, Conflict for what is no text."""
    _check(name)
    try:
        return (paths.config_dir / name).read_text("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise Conflict(f"{name} is not UTF-8 text; save it as UTF-8 first") from None
    except OSError as error:
        raise Conflict(f"{name} cannot be read: {error.strerror}") from error


def write_document(paths: Paths, name: str, content: str) -> None:
    """Replace the text as a whole. Raises InvalidInput for another name, Unavailable when it cannot be written."""
    _check(name)
    try:
        write_atomically(paths.config_dir / name, content.encode())
    except OSError as error:
        raise Unavailable(f"{name} cannot be written: {error.strerror}. Check its permissions and the disk.") from error


def _check(name: str) -> None:
    if name not in EDITABLE:
        raise InvalidInput(f"File '{name}' is not editable")
