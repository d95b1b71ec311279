"""What is wrong with a settings file, said in one line: file, line, key, what it is and how to cure it. Secrets are not repeated."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from starpod.config.legacy import LEGACY_KEYS
from starpod.config.lines import find_line
from starpod.errors import InvalidInput

EXPECTED = {
    "int_type": "must be a whole number without quotes, e.g. 30",
    "int_from_float": "must be a whole number, e.g. 30",
    "float_type": "must be a number without quotes, e.g. 0.5",
    "finite_number": "must be an ordinary number, e.g. 0.5",
    "bool_type": "must be true or false, without quotes",
    "string_type": 'must be text in double quotes, e.g. "text"',
    "tuple_type": 'must be a list, e.g. ["one", "two"]',
    "dict_type": "must be a table of keys and values",
    "model_type": "must be a table, written as [{key}] with its keys below",
    "too_short": "cannot be empty",
    "string_too_short": "cannot be empty",
    "literal_error": "must be {expected}",
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}
TOML_CURES = (
    ("Invalid value", "text stands in double quotes; numbers, true and false without"),
    ("Expected '=' after a key", "write key = value, or [name] for a table"),
    ("Cannot overwrite a value", "this key is there twice; delete one of the two"),
    ("Cannot declare", "this table is there twice; put its keys under one heading"),
    ("Unclosed array", "close the list with ]"),
    ('Expected "\'"', "close the text with a quote"),
    ("Unterminated string", "close the text with a quote"),
    ("Illegal character '\\n'", "close the text with a quote"),
    ("Found invalid character", "take this character out, or close the text before it with a quote"),
    ("Unescaped '\\'", "write \\\\ for a backslash, or put the text in single quotes"),
    ("Expected newline or end of document", "one key = value on each line; text stands in double quotes"),
)


class ConfigError(InvalidInput):
    """A settings file cannot be used. The message is one line, fit to show; `fields` maps each bad key to what is wrong with it."""


def syntax_error(label: str, text: str, error: tomllib.TOMLDecodeError) -> ConfigError:
    """The error for a `text` that is not TOML; `label` is the file's name for people."""
    what, place = re.fullmatch(r"(.*?)(?: \(at (.*)\))?", str(error), re.DOTALL).groups()  # type: ignore[union-attr]
    where = re.match(r"line (\d+), column (\d+)", place or "")
    lines = text.splitlines() or [""]
    number = int(where[1]) if where else len(lines)
    key = re.match(r"\s*([\w.\"'-]+)\s*=", lines[number - 1]) if number <= len(lines) else None
    near = f"{key[1]}: " if key else ""
    column = f", column {where[2]}" if where else ""
    cure = next((cure for start, cure in TOML_CURES if start in what), "correct this line, or take it out")
    return ConfigError(f"{label}, line {number}{column}: {near}this is not TOML: {_lower_first(what)}; {cure}")


def validation_error(label: str, text: str, error: ValidationError) -> ConfigError:
    """The error for settings that are TOML but break the schema; the message tells the first in the file and counts the others."""
    found: dict[str, tuple[int, str]] = {}
    for details in error.errors(include_url=False, include_input=False):
        path = _path(details)
        line = find_line(text, path) or _legacy_line(text, path) or 0
        if path == ("name",) and not line:  # filled from agent_name, which has its own complaint
            continue
        found.setdefault(dotted(path), (line, explain(details)))
    first, *others = sorted(found.items(), key=lambda item: item[1][0])
    key, (line, what) = first
    place = f"{label}, line {line}" if line else label
    more = f" (and {len(others)} more: {', '.join(key for key, _ in others[:5])})" if others else ""
    return ConfigError(f"{place}: {key}: {what}{more}", {key: what for key, (_, what) in found.items()})


def explain_all(error: ValidationError) -> dict[str, str]:
    """What is wrong with each value, by dotted key."""
    return {
        dotted(_path(details)): explain(details) for details in error.errors(include_url=False, include_input=False)
    }


def explain(details: ErrorDetails) -> str:
    """What is wrong with one value and how to write it, without repeating the value."""
    context: Mapping[str, Any] = details.get("ctx", {})
    if details["type"] == "value_error":
        return str(context["error"])
    sentence = EXPECTED.get(details["type"])
    if sentence is None:
        return details["msg"]
    bounds = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in context.items()
    }
    return sentence.format(**{"key": dotted(_path(details)), **bounds})


def dotted(path: Sequence[str | int]) -> str:
    """`("models", 1)` as `models[1]`, `("auth", "cookie_days")` as `auth.cookie_days`; parts that need it are quoted as in TOML."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else '"' + part.replace('"', '\\"') + '"'
            text += f".{plain}" if text else plain
    return text


def one_line(text: str) -> str:
    """`text` without control characters, so that what stands in a file cannot break out of its line of a log or terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _path(details: ErrorDetails) -> tuple[str | int, ...]:
    if details["type"] == "unknown_provider":
        return tuple(details["ctx"]["key"].split("."))
    return tuple(details["loc"])


def _legacy_line(text: str, path: tuple[str | int, ...]) -> int | None:
    """Where the older key stands that was read as the one at `path`."""
    today = str(path[0]) if path else ""
    for key, replacement in LEGACY_KEYS.items():
        if replacement.startswith(f"{today} ") and (line := find_line(text, (key,))):
            return line
    return None


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
