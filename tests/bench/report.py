"""Figures, the table they are shown in, and the file they are kept in."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing. `bare` is the bare server's value in the same run, `ratio` ours divided by it."""

    name: str
    unit: str
    ours: float
    bare: float | None = None
    target: str = ""
    met: bool | None = None
    spread: tuple[float, float] | None = None
    """The lowest and the highest of the runs that `ours` is the median of."""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.bare if self.bare else None


def machine() -> dict[str, Any]:
    """Where the figures come from. Gateway, provider and load share its cores, so they are floors, not ceilings."""
    return {
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.machine()}",
    }


def table(figures: Sequence[Figure]) -> str:
    """The figures in columns."""
    rows = [("figure", "gateway", "bare", "ratio", "runs", "target", "")]
    for each in figures:
        rows.append(
            (
                each.name,
                f"{_number(each.ours)} {each.unit}",
                "" if each.bare is None else f"{_number(each.bare)} {each.unit}",
                "" if each.ratio is None else f"{each.ratio:.2f}",
                "" if each.spread is None else f"{_number(each.spread[0])}-{_number(each.spread[1])}",
                each.target,
                {True: "met", False: "MISSED", None: ""}[each.met],
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def write(path: Path, figures: Sequence[Figure], before: dict[str, Any]) -> None:
    """Keep the figures as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [asdict(each) | {"ratio": each.ratio} for each in figures]
    path.write_text(json.dumps({"machine": before, "figures": entries}, indent=2) + "\n")


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
