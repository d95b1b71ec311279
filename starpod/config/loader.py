"""Reads an agent's settings: agent.toml, `.env`, and the page's greeting. It changes nothing, neither files nor `os.environ`."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from starpod.config.legacy import LEGACY_KEYS
from starpod.config.lines import find_line
from starpod.config.mcp import McpConfig, McpServerConfig
from starpod.config.problems import ConfigError, dotted, one_line, syntax_error, validation_error
from starpod.config.providers import key_variable
from starpod.config.schema import Config, ProviderConfig
from starpod.config.types import STREAM_MODES, TELEGRAM_MODES
from starpod.paths import Paths

LARGEST_FILE_BYTES = 1_048_576
CONFIG_VERSION = 1


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """Settings in force. `environ` is the process environment overridden by `.env`; it holds secrets, so it is not in the repr."""

    config: Config
    warnings: tuple[str, ...]
    text_digest: str
    environ: Mapping[str, str] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frontend:
    """What the page greets with. `warning` says why the defaults stand in for an unusable file."""

    greeting: str | None = None
    prompts: tuple[str, ...] = ()
    warning: str | None = None


class _FrontendFile(BaseModel, strict=True):
    greeting: str | None = None
    prompts: list[str] = []


def load_config(paths: Paths, environ: Mapping[str, str]) -> LoadedConfig:
    """Read and validate `agent.toml` and `.env`. Blocks on the disk.

    Raises ConfigError, whose message is a single line that says file, line, key and cure.
    """
    label = _label(paths, paths.agent_toml)
    text = _read(paths.agent_toml, label)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(one_line(str(syntax_error(label, text, error)))) from None
    except RecursionError:
        raise ConfigError(f"{label}: lists or tables are nested too deeply; write them flatter") from None
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        problem = validation_error(label, text, error)
        raise ConfigError(one_line(str(problem)), problem.fields) from None
    merged, env_text, env_warnings = _merge_env_file(paths, environ)
    warnings = tuple(one_line(warning) for warning in (*_warnings(label, text, raw), *env_warnings))
    digest = hashlib.sha256(f"{text}\0{env_text}".encode()).hexdigest()
    return LoadedConfig(config, warnings, digest, merged)


def load_text(paths: Paths, path: Path) -> str:
    """The text of a settings file of the agent. Blocks on the disk; raises ConfigError that says why it cannot be read."""
    return _read(path, _label(paths, path))


def diff_keys(old: Config, new: Config) -> tuple[str, ...]:
    """The dotted keys whose values differ, in the order of the schema; a list counts as one value."""
    return tuple(_diff(old.model_dump(), new.model_dump(), ()))


def load_frontend(paths: Paths) -> Frontend:
    """Read `frontend.toml`. Blocks on the disk. A missing or unusable file gives the defaults."""
    path = paths.config_dir / "frontend.toml"
    label = _label(paths, path)
    if not os.path.lexists(path):
        return Frontend()
    try:
        text = _read(path, label)
        file = _FrontendFile.model_validate(tomllib.loads(text))
    except ConfigError as problem:
        return Frontend(warning=str(problem))
    except ValidationError as error:
        return Frontend(warning=one_line(str(validation_error(label, text, error))))
    except tomllib.TOMLDecodeError as error:
        return Frontend(warning=one_line(str(syntax_error(label, text, error))))
    except RecursionError:
        return Frontend(warning=f"{label}: lists or tables are nested too deeply; write them flatter")
    return Frontend(file.greeting or None, tuple(file.prompts))


def _label(paths: Paths, path: Path) -> str:
    return path.relative_to(paths.agent_home).as_posix()


def _read(path: Path, label: str) -> str:
    """The text of `path`, which must be an ordinary file of UTF-8 (a byte order mark is allowed) and of at most a mebibyte."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"{label}: there is a folder in its place; move the folder away and put the file there")
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(f"{label}: this is not an ordinary file; put a text file there")
        if found.st_size > LARGEST_FILE_BYTES:
            raise ConfigError(
                f"{label}: the file is larger than {LARGEST_FILE_BYTES} bytes; this cannot be a settings file"
            )
        data = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{label}: the file is missing; put it back, or run `starpod init` to make a new one"
        ) from None
    except PermissionError:
        raise ConfigError(f"{label}: no permission to read it; run `chmod u+r` on it as its owner") from None
    except OSError as error:
        raise ConfigError(f"{label}: cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{label}, line {line}: this is not UTF-8 text; save the file as UTF-8") from None


def _merge_env_file(paths: Paths, environ: Mapping[str, str]) -> tuple[dict[str, str], str, list[str]]:
    """`environ` overridden by `.env`, the text of that file, and a warning for each of its lines that cannot be read."""
    merged = dict(environ)
    if not os.path.lexists(paths.env_file):
        return merged, "", []
    # Imported here because most agents have no such file and every start would pay for it.
    from dotenv.parser import parse_stream

    label = _label(paths, paths.env_file)
    text = _read(paths.env_file, label)
    warnings = []
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or "\0" in (binding.value or ""):
            warnings.append(f"{label}, line {binding.original.line}: not of the form NAME=value; the line is ignored")
        elif binding.key is not None and binding.value is not None:
            merged[binding.key] = binding.value
    return merged, text, warnings


def _warnings(label: str, text: str, raw: Mapping[str, Any]) -> Iterator[str]:
    def at(*path: str) -> str:
        return f"{label}, line {find_line(text, path)}: {dotted(path)}"

    for key, replacement in LEGACY_KEYS.items():
        if key in raw:
            yield f"{at(key)}: an older key; write {replacement} instead"
    for name, table in _tables(raw.get("providers")):
        if "api_key" in table:
            yield f"{at('providers', name, 'api_key')}: ignored; keep the key in the vault or in the environment as {key_variable(name)}"
    for name, table in _tables(raw.get("channels")):
        if name == "telegram" and "bot_token" in table:
            yield f"{at('channels', name, 'bot_token')}: ignored; keep the token in the vault or in the environment as TELEGRAM_BOT_TOKEN"
        if name == "slack" and table.get("enabled") is True:
            yield f"{at('channels', name, 'enabled')}: this version has no such channel yet; nothing is sent or received there"
        modes = {"telegram": TELEGRAM_MODES, "slack": STREAM_MODES}.get(name, ())
        if modes and table.get("stream_mode", modes[0]) not in modes:
            yield f'{at("channels", name, "stream_mode")}: not one of {", ".join(modes)}; "final_only" is used'
    if raw.get("config_version", CONFIG_VERSION) > CONFIG_VERSION:
        yield f"{at('config_version')}: the file was written for a newer Starpod; keys this one does not know are ignored"
    for path in _unknown(raw, Config, ()):
        yield f"{at(*path)}: unknown key, ignored; check its spelling"


def _tables(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, table in (value or {}).items():
        if isinstance(table, dict):
            yield name, table


def _unknown(raw: Mapping[str, Any], model: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths in `raw` that `model` has no field for and no other warning tells of."""
    told = {(): set(LEGACY_KEYS), ("channels", "telegram"): {"bot_token"}}.get(path, set())
    for key, value in raw.items():
        known = model.model_fields.get(key)
        if known is None:
            if key not in told:
                yield (*path, key)
        elif isinstance(known.annotation, type) and issubclass(known.annotation, BaseModel):
            yield from _unknown(value, known.annotation, (*path, key))
    if model is Config:
        for name, table in _tables(raw.get("providers")):
            yield from (
                ("providers", name, key) for key in table if key not in {*ProviderConfig.model_fields, "api_key"}
            )
    if model is McpConfig:
        for name, table in _tables(raw.get("servers")):
            yield from ((*path, "servers", name, key) for key in table if key not in McpServerConfig.model_fields)


def _diff(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _diff(old.get(key), new.get(key), (*path, key))
    elif old != new:
        yield dotted(path)
