"""Puts `logging.yaml` into force: the agent's own, else the shipped one."""

from __future__ import annotations

import logging
import logging.config
from pathlib import Path

import yaml

from starpod.config.problems import ConfigError, one_line
from starpod.paths import shipped
from starpod.telemetry.recent import RecentLines


def apply_logging(path: Path) -> None:
    """Configure logging by the file at `path`, or by the shipped one when there is none. Blocks on the disk.

    Raises ConfigError; logging is as before then, unless a handler of the file could not be made.
    """
    root = logging.getLogger()
    watching = [handler for handler in root.handlers if isinstance(handler, RecentLines)]
    source = path if path.is_file() else shipped("conf") / "logging.yaml"
    try:
        logging.config.dictConfig(yaml.safe_load(source.read_text("utf-8")))
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{source.name}{line}: this is not YAML: {one_line(str(error.problem))}") from None
    except (OSError, ValueError, TypeError, AttributeError, ImportError, yaml.YAMLError) as error:
        raise ConfigError(
            f"{source.name}: this is not a usable logging configuration: {one_line(str(error))}"
        ) from error
    finally:
        for handler in watching:
            root.addHandler(handler)
