"""What the documentation takes from elsewhere in the checkout: the settings' schema, decisions, changes, pictures and fonts."""

from __future__ import annotations

import importlib.metadata
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic.fields import FieldInfo

from starpod.config.schema import RESTART_KEYS, Config
from starpod.config.section import Section

ROOT = Path(__file__).resolve().parent.parent
# The fonts of the browser UI, which is built first; the names that Vite gives them end in a hash.
FONTS = ROOT / "static" / "dist" / "assets"
FONT_NAMES = (
    "hanken-grotesk-latin-wght-normal",
    "hanken-grotesk-latin-ext-wght-normal",
    "jetbrains-mono-latin-wght-normal",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is generated or lies outside of `docs/pages`."""
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        files.append(File.generated(config, f"decisions/{path.name}", content=path.read_text(encoding="utf-8")))
    files.append(File.generated(config, "decisions.md", content=_decisions()))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "changes.md", content=changes))
    files.append(File.generated(config, "settings.md", content=_settings()))
    files.append(File.generated(config, "licenses.md", content=_licenses()))
    for path in sorted((ROOT / "docs" / "pictures").glob("*.png")):
        files.append(File.generated(config, f"pictures/{path.name}", abs_src_path=str(path)))
    files.append(File.generated(config, "icon.svg", abs_src_path=str(ROOT / "static" / "public" / "icon.svg")))
    for name in FONT_NAMES:
        for path in FONTS.glob(f"{name}-*.woff2"):
            files.append(File.generated(config, f"fonts/{name}.woff2", abs_src_path=str(path)))
    return files


def _licenses() -> str:
    """The notices of what is shipped built: the bundles of the UI, and the theme of these pages."""
    head = "# Licences\n\nStarpod is MIT licensed. What is shipped with it in built form, and under which terms:\n"
    theme = importlib.metadata.distribution("mkdocs-material")
    terms = [path for path in theme.files or () if path.name.upper().startswith("LICEN")]
    texts = [f"mkdocs-material {theme.version} (MIT)\n\n{path.read_text().strip()}" for path in terms[:1]]
    bundled = FONTS / "licenses.txt"
    if bundled.is_file():
        texts.append(bundled.read_text(encoding="utf-8").strip())
    return head + "".join(f"\n````text\n{text}\n````\n" for text in texts)


def _decisions() -> str:
    lines = ["# Decisions", "", "Why things are as they are, in the order in which it was decided.", ""]
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        lines.append(f"- [{title}](decisions/{path.name})")
    return "\n".join(lines) + "\n"


def _settings() -> str:
    head = (
        "# Every setting\n\n"
        "All keys of `.starpod/config/agent.toml`, generated from the schema that the gateway itself checks the file by. "
        "Each key may be left out; its default then holds. A saved file takes effect within two seconds, "
        "except the keys marked *restart*.\n"
    )
    return head + "".join(_tables(Config, ""))


def _tables(section: type[Section], name: str) -> list[str]:
    plain = {key: field for key, field in section.model_fields.items() if _section_of(field) is None}
    parts = []
    if plain:
        title = f"\n## `[{name}]`\n" if name else "\n## Top level\n"
        rows = "".join(_row(key, field, f"{name}.{key}" if name else key) for key, field in plain.items())
        parts.append(f"{title}\n| key | type | default | what it is |\n|---|---|---|---|\n{rows}")
    for key, field in section.model_fields.items():
        inner = _section_of(field)
        if inner is not None:
            parts += _tables(inner, ".".join(filter(None, (name, key + (".<name>" if _is_table_of(field) else "")))))
    return parts


def _row(key: str, field: FieldInfo, dotted: str) -> str:
    default = field.get_default(call_default_factory=True)
    shown = "—" if default is None else f"`{_toml(default)}`"
    help_text = (field.description or "").replace("|", "\\|").replace("<", "&lt;")
    note = " *(restart)*" if dotted in RESTART_KEYS else ""
    return f"| `{key}` | {_type(field)} | {shown} | {help_text}{note} |\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "{}" if value == {} else str(value)


def _type(field: FieldInfo) -> str:
    return _words(field.annotation) + _bounds(field)


def _words(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f'`"{each}"`' for each in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(each) for each in arguments if each is not type(None)))
    if hasattr(annotation, "__metadata__"):
        return _words(annotation.__origin__)
    if origin in (tuple, list):
        return "list of strings"
    names = {bool: "true/false", int: "whole number", float: "number", str: "string"}
    return names.get(annotation, "table" if origin is not None or isinstance(annotation, type) else "value")


def _bounds(field: FieldInfo) -> str:
    found = {}
    for each in field.metadata:
        for name in ("ge", "gt", "le", "lt"):
            if (limit := getattr(each, name, None)) is not None:
                found[name] = limit
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    words = [f"{signs[name]} {limit:,}" for name, limit in found.items() if abs(limit) < 2**31 - 1]
    return f", {', '.join(words)}" if words else ""


def _section_of(field: FieldInfo) -> type[Section] | None:
    """The table that a key holds; for a table of tables, what each of them holds."""
    return next((each for each in _classes(field.annotation) if issubclass(each, Section)), None)


def _is_table_of(field: FieldInfo) -> bool:
    return not (isinstance(field.annotation, type) and issubclass(field.annotation, Section))


def _classes(annotation: Any) -> list[type]:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation]
    return [found for each in get_args(annotation) for found in _classes(each)]
