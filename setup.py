"""Packaging: what is installed, with which libraries, and where the shipped folders go (`<prefix>/share/starpod/`)."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
MODELS = "pydantic-ai-slim[{extras}]>=2.68,<3"

DOCS = ["mkdocs-material>=9.8,<10"]
OTEL = ["opentelemetry-sdk>=1.45,<2", "opentelemetry-exporter-otlp-proto-http>=1.45,<2"]
SEMANTIC = ["apsw>=3.54", "sqlite-vec>=0.1.9,<0.2"]


def version() -> str:
    """The version that `starpod/version.py` states, read without importing it."""
    text = (ROOT / "starpod" / "version.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("starpod/version.py states no __version__")
    return found[1]


def shipped(source: str, name: str) -> list[tuple[str, list[str]]]:
    """Every file below `source`, to be installed below `share/starpod/<name>`; nothing when that folder was not built."""
    folders: dict[str, list[str]] = {}
    for file in sorted((ROOT / source).rglob("*")):
        if file.is_file():
            below = file.parent.relative_to(ROOT / source)
            target = (Path("share") / "starpod" / name / below).as_posix()
            folders.setdefault(target, []).append(file.relative_to(ROOT).as_posix())
    return list(folders.items())


def load(name: str) -> Any:
    """A build script of the checkout, loaded by its path: what the package itself needs is not installed while it is built."""
    source = ROOT / "starpod" / "frontend" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"starpod_frontend_{name}", source)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{source} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build_what_is_shipped() -> None:
    """Build the browser UI and the documentation before they are packed, unless they are newer than their sources."""
    ui, documentation = load("build"), load("documentation")
    try:
        ui.build(ROOT / "static")
        documentation.build(ROOT)
    except (ui.BuildFailed, documentation.DocumentationFailed) as error:
        raise SystemExit(str(error)) from error


if {"sdist", "bdist_wheel"} & set(sys.argv):
    build_what_is_shipped()

setup(
    name="starpod",
    version=version(),
    description="A self-hosted gateway for a personal AI agent",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="Starpod authors",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    # Stated although it is the default: an editable install is then one path entry instead of an import hook.
    package_dir={"": "."},
    packages=find_packages(include=["starpod", "starpod.*", "handlers", "handlers.*"]),
    package_data={"": ["*.toml", "py.typed"]},
    data_files=[*shipped("conf", "conf"), *shipped("static/dist", "static"), *shipped("site", "docs")],
    install_requires=[
        "tornado>=6.6,<7",
        "peewee>=4.5,<5",
        "tomlkit>=0.15,<1",
        "watchdog>=7.1,<8",
        "pyyaml>=6.0,<7",
        "cronsim>=2.8,<3",
        "pydantic>=2.14,<3",
        MODELS.format(extras="openai,anthropic"),
        "python-dotenv>=1.2,<2",
        "regex>=2026.11",
        "genai-prices>=0.2,<1",
        "httpx2>=2.16,<3",
        "httpcore2>=2.16,<3",
        "trafilatura>=2.3,<3",
        "lxml_html_clean>=0.4.6,<1",  # justext, which trafilatura uses, needs it and does not say so
        "lxml>=6.1,<7",
        "html2text>=2025.4",
        "python-telegram-bot>=22.8,<23",
        "markdown-it-py>=4.3,<5",
        "argon2-cffi>=25.1,<26",
        "cryptography>=50.0,<51",
        "typer>=0.29,<1",
        "rich>=15.0,<16",
        "psutil>=7.2,<8",
        "prometheus-client>=0.26,<1",
        "tzdata>=2026.1",
        "tzlocal>=5.4,<6",
        'uvloop>=0.23,<1; platform_system != "Windows" and platform_python_implementation == "CPython"',
    ],
    extras_require={
        "google": [MODELS.format(extras="google")],
        "bedrock": [MODELS.format(extras="bedrock")],
        "mcp": [MODELS.format(extras="mcp")],
        "semantic": SEMANTIC,
        "otel": OTEL,
        "docs": DOCS,
        "dev": [
            *DOCS,
            *SEMANTIC,
            *OTEL,
            MODELS.format(extras="mcp"),
            "pytest>=9.2,<10",
            "pytest-tornado>=0.8.1,<0.9",
            "setuptools>=77,<81",  # pytest-tornado imports pkg_resources, which later versions no longer have
            "hypothesis>=6.170,<7",
            "schemathesis>=4.32,<5",
            "openapi-spec-validator>=0.9,<0.10",
            "ruff>=0.17.6,<0.18",
            "mypy>=2.4,<3",
            "types-PyYAML>=6.0",
            "types-psutil>=7.2",
            "types-regex>=2026.11",
            "types-lxml>=2026.2",
            "build>=1.6,<2",
            "playwright>=1.60,<2",  # drives the Chromium of the system; its own is never fetched
        ],
    },
    entry_points={"console_scripts": ["starpod = starpod.cli:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Framework :: AsyncIO",
        "Intended Audience :: End Users/Desktop",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3 :: Only",
        "Topic :: Communications :: Chat",
        "Typing :: Typed",
    ],
)
