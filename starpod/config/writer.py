"""Saves settings into `agent.toml` and puts them into force: only the lines that change are touched, comments and unknown keys stay.

It knows no section of the settings pages; `sections.py` says which keys belong to which.
"""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from starpod.config.files import write_atomically
from starpod.config.legacy import LEGACY_KEYS
from starpod.config.loader import load_text
from starpod.config.problems import ConfigError, explain_all
from starpod.config.schema import Config
from starpod.config.watcher import ConfigWatcher
from starpod.errors import StarpodError, Unavailable
from starpod.paths import Paths

KeyPath = tuple[str, ...]
Edits = Mapping[KeyPath, Any]
"""What to write: the key's path and its new value, None to take the key out."""

HEADER = re.compile(r"\s*\[")


class SettingsUnusable(StarpodError):
    """The settings file itself cannot be read or is wrong elsewhere, so nothing can be saved into it."""


class ConfigWriter:
    """Saves one change after the other; two that concern different keys lose nothing."""

    def __init__(self, paths: Paths, watcher: ConfigWatcher) -> None:
        self._paths = paths
        self._watcher = watcher
        self._saving = asyncio.Lock()

    async def save(self, edits: Edits) -> tuple[str, ...]:
        """Validate the file with `edits` as a whole, write it, put it into force; returns the dotted keys that were written.

        Raises ConfigError with `fields` by dotted key when the edits are wrong, SettingsUnusable when the file is, Unavailable when
        it cannot be written; nothing is changed then.
        """
        async with self._saving:
            changed = await asyncio.to_thread(self._write, edits)
            await self._watcher.reload()
            if self._watcher.last_error is not None:
                raise SettingsUnusable(f"Saved, but not in force: {self._watcher.last_error}")
        return changed

    def _write(self, edits: Edits) -> tuple[str, ...]:
        path = self._paths.agent_toml
        try:
            text = load_text(self._paths, path)
            raw = tomllib.loads(text)
        except (ConfigError, tomllib.TOMLDecodeError) as error:
            raise SettingsUnusable(f"agent.toml cannot be read, so nothing was saved: {error}") from None
        due = _due(raw, edits)
        if not due:
            return ()
        _validate(raw, due)
        new = edit_toml(text, due)
        try:
            write_atomically(path, new.encode(), path.stat().st_mode & 0o777)
        except OSError as error:
            raise Unavailable(
                f"agent.toml cannot be written: {error.strerror}. Nothing was saved; check its permissions and the disk."
            ) from error
        return tuple(".".join(key) for key in due)


def edit_toml(text: str, edits: Edits) -> str:
    """`text` with the edits. A key that is new goes below the commented-out line of its name, if there is one."""
    # Imported here because only a save needs it, and every start would pay for it.
    import tomlkit

    for path, value in edits.items():
        document = tomlkit.parse(text)
        table: Any = document
        for part in path[:-1]:
            if part not in table:
                if value is None:
                    break
                table[part] = tomlkit.table(is_super_table=part != path[-2])
            table = table[part]
        else:
            key = path[-1]
            if value is None:
                if key in table:
                    del table[key]
            elif key in table:
                table[key] = _item(table[key], value)
            else:
                placed = _placed(text, path, value)
                if placed is not None:
                    text = placed
                    continue
                table[key] = value
            text = tomlkit.dumps(document)
    return text


def _item(old: Any, value: Any) -> Any:
    import tomlkit

    if isinstance(value, list) and "\n" in old.as_string():
        array = tomlkit.array()
        array.extend(value)
        return array.multiline(True)
    return value


def _placed(text: str, path: KeyPath, value: Any) -> str | None:
    """`text` with the new key below its commented-out line; None when there is no such line in its table."""
    import tomlkit

    table, key = ".".join(path[:-1]), path[-1]
    line = tomlkit.dumps({key: value})
    lines = text.splitlines(keepends=True)
    inside = not table
    for number, each in enumerate(lines):
        if HEADER.match(each):
            inside = each.strip().startswith(f"[{table}]")
        elif inside and re.match(rf"\s*#\s*{re.escape(key)}\s*=", each):
            placed = "".join(
                [*lines[:number], each if each.endswith("\n") else f"{each}\n", line, *lines[number + 1 :]]
            )
            # The line may stand inside a text of several lines: then it is no comment, and this would change that text.
            return placed if _parsed(placed) == _with(tomllib.loads(text), {path: value}) else None
    return None


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _due(raw: dict[str, Any], edits: Edits) -> dict[KeyPath, Any]:
    """The edits that change anything; when the file uses older keys for a model, they are replaced by today's."""
    try:
        current = Config.model_validate(raw).model_dump(mode="json")
    except ValidationError:  # the edits may be what mends it
        current = {}
    default = Config().model_dump(mode="json")
    due = {}
    for path, value in edits.items():
        effective = _find(default, path) if value is None else value
        if not current or _find(current, path) != effective or (value is None and _find(raw, path) is not None):
            due[path] = value
    if current and any(key in raw for key in LEGACY_KEYS) and {("models",), ("compaction_model",)} & due.keys():
        for key in ("models", "compaction_model"):
            due.setdefault((key,), current[key])
        due |= {(key,): None for key in LEGACY_KEYS if key in raw}
    return due


def _validate(raw: dict[str, Any], edits: Edits) -> None:
    try:
        Config.model_validate(_with(raw, edits))
    except ValidationError as error:
        problems = explain_all(error)
        own = {key: what for key, what in problems.items() if any(_concerns(key, ".".join(path)) for path in edits)}
        if not own:
            first = next(iter(problems.items()))
            raise SettingsUnusable(
                f"agent.toml is wrong elsewhere, so nothing was saved: {first[0]}: {first[1]}"
            ) from None
        raise ConfigError("; ".join(f"{key}: {what}" for key, what in own.items()), own) from None


def _concerns(key: str, edited: str) -> bool:
    return key == edited or key.startswith((f"{edited}.", f"{edited}["))


def _with(raw: dict[str, Any], edits: Edits) -> dict[str, Any]:
    """A copy of `raw` with the edits."""
    new = dict(raw)
    for path, value in edits.items():
        table = new
        for part in path[:-1]:
            inner = table.get(part)
            table[part] = dict(inner) if isinstance(inner, dict) else {}
            table = table[part]
        if value is None:
            table.pop(path[-1], None)
        else:
            table[path[-1]] = value
    return new


def _find(tree: Mapping[str, Any], path: KeyPath) -> Any:
    found: Any = tree
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
