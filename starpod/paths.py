"""Where an agent's files lie, and where the files shipped with the program lie. It makes nothing: `config/scaffold.py` does."""

from __future__ import annotations

import importlib.metadata
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from starpod.errors import NotFound

AGENT_HOME = ".starpod"
# What is shipped is built: `docs/` and `static/` hold the sources.
CHECKOUT_NAMES = {"docs": "site", "static": "static/dist"}
PACKAGE_PARENTS = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True, slots=True)
class Paths:
    """Every place of one agent, absolute. `home_dir` is where the agent works; `agent_home` is what it must not reach."""

    instance_root: Path
    agent_home: Path
    agent_toml: Path
    config_dir: Path
    db_dir: Path
    skills_dir: Path
    connectors_dir: Path
    users_dir: Path
    home_dir: Path
    project_root: Path
    env_file: Path

    @property
    def core_db(self) -> Path:
        """The database of users, sessions, usage and jobs."""
        return self.db_dir / "core.db"

    @property
    def backups_dir(self) -> Path:
        """Where archives go that nobody named a place for."""
        return self.agent_home / "backups"


def find_root(start: Path) -> Path | None:
    """The nearest folder, from `start` upward, that holds an agent (`.starpod/config/agent.toml`, or the older `.starpod/agent.toml`)."""
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        home = candidate / AGENT_HOME
        if _exists(home / "config" / "agent.toml") or _exists(home / "agent.toml"):
            return candidate
    return None


def resolve_paths(root: Path) -> Paths:
    """The places of the agent whose `.starpod/` stands in `root`. Only looks whether the older place of agent.toml is in use."""
    root = root.absolute()
    home = root / AGENT_HOME
    config_dir = home / "config"
    current, older = config_dir / "agent.toml", home / "agent.toml"
    return Paths(
        instance_root=root,
        agent_home=home,
        agent_toml=older if _exists(older) and not _exists(current) else current,
        config_dir=config_dir,
        db_dir=home / "db",
        skills_dir=home / "skills",
        connectors_dir=home / "connectors",
        users_dir=home / "users",
        home_dir=root / "home",
        project_root=root / "home",
        env_file=home / ".env",
    )


def shipped(name: str) -> Path:
    """The shipped folder `conf`, `static` or `docs`: of the checkout when run from one, else where the wheel put it.

    Raises NotFound when the installation lacks it.
    """
    for candidate in _shipped_places(name):
        if candidate.is_dir():
            return candidate
    raise NotFound(f"the folder {name!r} that comes with starpod is missing; install starpod again")


def _shipped_places(name: str) -> Iterator[Path]:
    beside = Path(__file__).resolve().parent.parent
    # Another distribution may have put a `conf` or `docs` of its own beside an installed package.
    if beside.name not in PACKAGE_PARENTS:
        yield beside / CHECKOUT_NAMES.get(name, name)
    within = Path("share") / "starpod" / name
    yield Path(sysconfig.get_path("data")) / within
    yield Path(sysconfig.get_path("data", sysconfig.get_preferred_scheme("user"))) / within
    yield beside / within  # pip install --target
    try:
        files = importlib.metadata.files("starpod") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        parts = file.parts
        if within.parts == parts[-len(within.parts) - 1 : -1]:
            yield Path(str(file.locate())).resolve().parent


def _exists(path: Path) -> bool:
    """True also for a broken link or a folder of that name, so that the loader can say what is wrong with it."""
    try:
        path.lstat()
    except OSError:
        return False
    return True
