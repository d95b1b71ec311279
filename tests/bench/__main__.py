"""`make bench`, or `python -m tests.bench [--quick] [--long] [names...]`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.cases import CASES, TOKENS, Plan, make_servers
from tests.bench.processes import Bench, bench

PROFILED: dict[str, tuple[str, dict[str, Any]]] = {
    "turns": ("turns", {"clients": 16, "turns": 2000, "pieces": TOKENS}),
    "sessions": ("requests", {"clients": 8, "seconds": 8.0, "path": "/api/sessions?limit=20"}),
    "streams": ("streams", {"streams": 100, "rate": 50, "pieces": 400, "settle_s": 1.0}),
}


def run(names: list[str], plan: Plan, output: Path) -> int:
    """Measure, print, keep. Returns 1 when a target was missed."""
    before = report.machine()
    print(
        f"{before['cores']} cores shared by gateway, provider and load; load average {before['load_average']:.1f}; "
        f"Python {before['python']}; medians of {plan.rounds} interleaved runs",
        flush=True,
    )
    figures: list[report.Figure] = []
    with bench() as this:
        servers = make_servers(this)
        for name in names:
            began = time.monotonic()
            figures += CASES[name](servers, plan)
            print(f"  {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            report.write(output, figures, before)
    print(report.table(figures))
    print(f"\nKept in {output}.")
    return int(any(each.met is False for each in figures))


def profile(names: list[str]) -> None:
    """Print where the event loop's time goes under the load of each case."""
    for name in names:
        if name in PROFILED:
            with bench() as this:
                _profile(this, name)


def _profile(this: Bench, name: str) -> None:
    kind, given = PROFILED[name]
    found = this.folder / "profile.json"
    gateway = this.start_gateway(this.make_agent("agent"), profile=found)
    this.load("turns", gateway, clients=4, turns=40, pieces=TOKENS)
    gateway.process.send_signal(signal.SIGUSR1)
    used = gateway.cpu_s
    result = this.load(kind, gateway, **given)
    used = gateway.cpu_s - used
    gateway.process.send_signal(signal.SIGUSR2)
    this.stop(gateway)
    seen = json.loads(found.read_text())
    print(f"\n{name}: {result}; {used:.2f} s CPU; by thread {seen['threads_cpu_s']}; {seen['samples']} samples")
    for key in ("total", "self"):
        print(f"-- {key}")
        for function, count in seen[key]:
            if count >= seen["samples"] / 100:
                print(f"{count / seen['samples']:7.1%}  {function}")


def main() -> int:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to measure: {', '.join(CASES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="shorter runs: figures are rougher")
    parser.add_argument("--long", action="store_true", help="also 10,000 turns for the growth of memory")
    parser.add_argument("--profile", action="store_true", help=f"show where time goes instead: {', '.join(PROFILED)}")
    parser.add_argument("--output", type=Path, default=Path("bench-results/bench.json"))
    given = parser.parse_args()
    for name in given.names:
        if name not in CASES:
            parser.error(f"there is no {name!r}; choose from {', '.join(CASES)}")
    if given.profile:
        profile(given.names or list(PROFILED))
        return 0
    return run(given.names or list(CASES), Plan(quick=given.quick, long=given.long), given.output)


if __name__ == "__main__":
    sys.exit(main())
