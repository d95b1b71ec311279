"""Holds the rules of how the code is cut: imports point one way, and some things are done in one place only.

The rules read the syntax trees, so an import inside a function counts like one at the top.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 450

# From the bottom up: a module imports from its own row and from those before it. The longest name that fits decides.
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "starpod.errors",
        "starpod.clock",
        "starpod.tasks",
        "starpod.events",
        "starpod.paths",
        "starpod.version",
        "starpod.imports",
        "starpod.telemetry",
        "starpod.supervisor",
    ),
    ("starpod.config", "starpod.db", "starpod.net", "starpod.frontend"),
    (
        "starpod.approvals",
        "starpod.auth",
        "starpod.backup",
        "starpod.vault",
        "starpod.usage",
        "starpod.sessions",
        "starpod.memory",
        "starpod.skills",
        "starpod.instances",
        "starpod.cron",
        "starpod.outbox",
        "starpod.notifications",
        "starpod.people",
    ),
    ("starpod.tools",),
    ("starpod.agent",),
    (
        "starpod.channels",
        "starpod.cron.scheduler",
        "starpod.cron.running",
        "starpod.cron.lifecycle",
        "starpod.doctor",
    ),
    ("starpod.state",),
    ("starpod.app",),
    ("handlers",),
    ("starpod.server",),
    ("starpod.cli",),
    ("starpod.__main__", "starpod.__init__"),
)
WEB = ("tornado.web", "tornado.websocket")
SQL = ("peewee", "playhouse", "sqlite3", "apsw", "psycopg", "psycopg2")
TERMINAL = ("typer", "rich", "click")
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "data", "info"}
# A folder of somebody's machine; `~/x`, `$HOME/x`, `{root}/home/x` and the paths of URLs are none.
MACHINE_PATH = re.compile(r"(?<![\w.~}$)*-])(?:/(?:home|Users|root|work|mnt|media)/[A-Za-z0-9_.-]+|[A-Z]:\\Users\\)")
# Imported by name, but brought by another requirement of ours, or by one of our extras.
BROUGHT_BY = {
    "pydantic_core": "pydantic",
    "typing_extensions": "pydantic",
    "openai": "pydantic-ai-slim",
    "anthropic": "pydantic-ai-slim",
    "fastmcp": "pydantic-ai-slim",
    "mcp": "pydantic-ai-slim",
    "mcp_types": "pydantic-ai-slim",
    "anyio": "pydantic-ai-slim",
    "jsonschema": "pydantic-ai-slim",
    "google": "pydantic-ai-slim",
    "boto3": "pydantic-ai-slim",
    "botocore": "pydantic-ai-slim",
}
TEXT_SUFFIXES = {".py", ".toml", ".yaml", ".yml", ".md", ".cfg", ".html", ".js", ".css", ".json", ".sh", ".service"}


@dataclass(frozen=True, slots=True)
class Module:
    """A source file: its dotted name (a package's `__init__` keeps that word only at the root) and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def package(self) -> str:
        """The package that relative imports start from."""
        return self.name.removesuffix(".__init__") if self.path.name == "__init__.py" else self.name.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, e.g. `starpod.db.database.Database` for `from starpod.db.database import Database`."""

    name: str
    line: int

    def within(self, *prefixes: str) -> bool:
        """Whether it is one of these modules or stands below one."""
        return any(self.name == prefix or self.name.startswith(f"{prefix}.") for prefix in prefixes)


def read_modules() -> list[Module]:
    """Every module of the product, by name."""
    modules = []
    for top in ("starpod", "handlers"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 2 else parts)
            modules.append(Module(name, path, ast.parse(path.read_bytes(), str(path))))
    return modules


def imports_of(module: Module) -> Iterator[Import]:
    """Every import of the module, wherever it stands, with relative ones made absolute."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.package.split(".")
                base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            yield from (Import(f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"} and node.args:
            target = node.args[0]
            if isinstance(target, ast.Constant) and isinstance(target.value, str):
                yield Import(target.value, node.lineno)


def layer_of(name: str) -> int | None:
    """The row that a module stands in, counted from the bottom; None when no row names it."""
    rows = [
        (len(prefix), row)
        for row, names in enumerate(LAYERS)
        for prefix in names
        if f"{name}.".startswith(f"{prefix}.")
    ]
    return max(rows)[1] if rows else None


def upward_imports(module: Module) -> list[str]:
    """What the module imports from a row above its own."""
    own = layer_of(module.name)
    assert own is not None
    found = []
    for item in imports_of(module):
        if item.within("starpod", "handlers") and item.name.count("."):
            layer = layer_of(item.name)
            if layer is not None and layer > own:
                found.append(f"{_place(module, item.line)} imports {item.name}")
    return found


def spawns(module: Module) -> list[str]:
    """Where the module starts a task by itself."""
    return [
        f"{_place(module, node.lineno)} calls {_called(node)}"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and _called(node) in {"create_task", "ensure_future"}
    ]


def forbidden_imports(module: Module, *names: str) -> list[str]:
    """Where the module imports one of these, or something below one."""
    return [f"{_place(module, item.line)} imports {item.name}" for item in imports_of(module) if item.within(*names)]


def _called(node: ast.Call) -> str:
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _place(module: Module, line: int) -> str:
    return f"{module.path.relative_to(ROOT)}:{line}" if module.path.is_relative_to(ROOT) else f"{module.path}:{line}"


def _example(name: str, source: str) -> Module:
    return Module(name, Path("example.py"), ast.parse(source))


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return read_modules()


def test_every_module_has_its_place_in_the_layers(modules: list[Module]) -> None:
    assert [module.name for module in modules if layer_of(module.name) is None] == []


def test_imports_point_one_way(modules: list[Module]) -> None:
    assert [found for module in modules for found in upward_imports(module)] == []


def test_only_the_composition_root_knows_the_handlers(modules: list[Module]) -> None:
    domain = [module for module in modules if module.name.startswith("starpod.") and module.name != "starpod.server"]
    assert [found for module in domain for found in forbidden_imports(module, "handlers")] == []


def test_the_domain_knows_no_http(modules: list[Module]) -> None:
    face = {"starpod.app", "starpod.server"}
    domain = [module for module in modules if module.name.startswith("starpod.") and module.name not in face]
    assert [found for module in domain for found in forbidden_imports(module, *WEB)] == []


def test_handlers_reach_the_database_only_through_services(modules: list[Module]) -> None:
    found = []
    for module in modules:
        if module.name.startswith("handlers"):
            found += forbidden_imports(module, *SQL, "starpod.db")
            stores = (item for item in imports_of(module) if "store" in item.name.split("."))
            found += [f"{_place(module, item.line)} imports {item.name}" for item in stores]
    assert found == []


def test_sql_lives_in_the_stores(modules: list[Module]) -> None:
    others = [
        module for module in modules if not module.name.endswith("store") and not module.name.startswith("starpod.db")
    ]
    assert [found for module in others for found in forbidden_imports(module, *SQL)] == []


def test_terminal_libraries_stay_in_the_command_line(modules: list[Module]) -> None:
    others = [module for module in modules if not module.name.startswith("starpod.cli")]
    assert [found for module in others for found in forbidden_imports(module, *TERMINAL)] == []


def test_tasks_are_started_in_one_place(modules: list[Module]) -> None:
    assert [found for module in modules if module.name != "starpod.tasks" for found in spawns(module)] == []


def test_no_module_is_a_drawer_for_leftovers(modules: list[Module]) -> None:
    assert [module.name for module in modules if DRAWERS & set(module.name.split("."))] == []


def test_files_stay_short(modules: list[Module]) -> None:
    lengths = {module.name: len(module.path.read_text(encoding="utf-8").splitlines()) for module in modules}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    found = []
    for top in (
        "starpod",
        "handlers",
        "conf",
        "static",
        "docs",
        "tests",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ):
        start = ROOT / top
        for path in [start] if start.is_file() else sorted(start.rglob("*")):
            if {"node_modules", "dist"} & set(path.relative_to(ROOT).parts):
                continue
            if path.suffix in TEXT_SUFFIXES and path.is_file() and path != Path(__file__).resolve():
                lines = enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
                found += [f"{path.relative_to(ROOT)}:{number}" for number, line in lines if MACHINE_PATH.search(line)]
    assert found == []


def test_every_library_is_required_by_setup(modules: list[Module]) -> None:
    required = set(re.findall(r'["\']([A-Za-z0-9_-]+)(?:\[[^]]*])?>=', (ROOT / "setup.py").read_text(encoding="utf-8")))
    distributions = importlib.metadata.packages_distributions()
    missing = set()
    for module in modules:
        for name in (
            {item.name.split(".")[0] for item in imports_of(module)} - sys.stdlib_module_names - {"starpod", "handlers"}
        ):
            owners = {BROUGHT_BY.get(name, "")} | {
                owner.lower().replace("_", "-") for owner in distributions.get(name, [])
            }
            if not owners & required:
                missing.add(f"{name} ({module.name})")
    assert missing == set()


# The rules themselves: each must see what it is there for.


def test_an_import_inside_a_function_counts() -> None:
    module = _example("starpod.auth.service", "def f():\n    from starpod.agent import service\n")
    assert upward_imports(module) == ["example.py:2 imports starpod.agent.service"]


def test_a_relative_import_counts() -> None:
    module = _example("starpod.auth.service", "from ..state import AppState\n")
    assert upward_imports(module) == ["example.py:1 imports starpod.state.AppState"]


def test_an_import_by_name_counts() -> None:
    module = _example("starpod.config.loader", "import importlib\nimportlib.import_module('starpod.server')\n")
    assert upward_imports(module) == ["example.py:2 imports starpod.server"]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("starpod.agent.service", "from starpod.tools.registry import Registry\n"),
        ("starpod.auth.service", "from starpod.sessions.types import Session\n"),
        ("starpod.db.database", "from starpod.version import __version__\n"),
        ("starpod.cron.scheduler", "from starpod.agent import service\n"),
        ("starpod.server", "from handlers.routes import routes\n"),
    ],
)
def test_imports_downward_and_sideways_are_free(name: str, source: str) -> None:
    assert upward_imports(_example(name, source)) == []


def test_a_service_beside_the_scheduler_does_not_know_the_agent() -> None:
    assert upward_imports(_example("starpod.cron.service", "import starpod.agent.service\n"))


@pytest.mark.parametrize(
    "source", ["import tornado.web", "from tornado import websocket", "from tornado.web import HTTPError"]
)
def test_every_way_to_import_http_is_seen(source: str) -> None:
    assert forbidden_imports(_example("starpod.auth.service", source), *WEB)


def test_a_task_started_elsewhere_is_seen() -> None:
    assert spawns(_example("starpod.auth.service", "import asyncio\nasyncio.create_task(f())\n"))


@pytest.mark.parametrize("line", ["see /home/ann/notes", "'/root/x'", "C:\\Users\\ann"])
def test_a_machine_path_is_seen(line: str) -> None:
    assert MACHINE_PATH.search(line)


@pytest.mark.parametrize(
    "line", ["~/home/x", "https://example.com/home/page", "{root}/home/desktop", "/var/lib/starpod"]
)
def test_other_paths_are_no_machine_paths(line: str) -> None:
    assert not MACHINE_PATH.search(line)


def test_no_text_becomes_html_in_the_browser() -> None:
    """What a model or a person wrote is only ever put into the page as text."""
    banned = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment")
    sources = [path for path in sorted((ROOT / "static" / "src").rglob("*")) if path.suffix in (".ts", ".tsx")]
    assert sources
    assert [path.name for path in sources if banned.search(path.read_text(encoding="utf-8"))] == []
