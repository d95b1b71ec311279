"""What is measured. Each case runs gateway and bare server in turns and gives the medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.bench import costs as cost_reports
from tests.bench import jobs
from tests.bench import memory_search as speed
from tests.bench import retrieval as recall
from tests.bench.processes import Bench, Target, fetch, free_port, put, wait_for_health
from tests.bench.report import Figure

TOKENS = 20
SETTLED_S = 3.0
SESSIONS_PATH = "/api/sessions?limit=20"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to do. `rounds` is the number of runs a median is taken of."""

    rounds: int = 5
    quick: bool = False
    long: bool = False

    def scaled(self, amount: int) -> int:
        return max(1, amount // 5) if self.quick else amount


@dataclass(frozen=True, slots=True)
class Servers:
    """What most cases run against: warm, the gateway with more sessions than a list shows."""

    bench: Bench
    gateway: Target
    bare: Target


Runs = list[dict[str, Any]]
Case = Callable[[Servers, Plan], list[Figure]]


def make_servers(bench: Bench) -> Servers:
    """Start both and warm them up."""
    servers = Servers(bench, bench.start_gateway(bench.make_agent("agent")), bench.start_bare())
    for target in (servers.gateway, servers.bare):
        bench.load("turns", target, clients=4, turns=40, pieces=TOKENS)
    return servers


def interleaved(servers: Servers, plan: Plan, kind: str, **given: Any) -> tuple[Runs, Runs]:
    """The same measurement on both, again and again, so that the machine's moods hit both alike."""
    ours: Runs = []
    bare: Runs = []
    for _ in range(plan.rounds):
        ours.append(servers.bench.load(kind, servers.gateway, **given))
        bare.append(servers.bench.load(kind, servers.bare, **given))
    return ours, bare


def middle(runs: Runs, key: str) -> float:
    """The median over the runs."""
    return float(statistics.median(run[key] for run in runs))


def figure(
    name: str,
    unit: str,
    key: str,
    ours: Runs,
    bare: Runs,
    target: str = "",
    met: Callable[[float, float], bool] | None = None,
) -> Figure:
    """The medians of `key`; `met(ours, bare)` judges them."""
    mine, theirs = middle(ours, key), middle(bare, key)
    values = [run[key] for run in ours]
    verdict = met(mine, theirs) if met is not None else None
    return Figure(name, unit, mine, theirs, target, verdict, (min(values), max(values)))


def faults(name: str, ours: Runs) -> Figure:
    """Pieces that were lost or came out of order, over all runs."""
    count = sum(run["lost"] + run["disordered"] for run in ours)
    return Figure(f"{name}: lost or out of order", "", count, None, "0", count == 0)


def sessions(servers: Servers, plan: Plan) -> list[Figure]:
    """`GET /api/sessions?limit=20` with a key, against a handler that writes the same bytes."""
    put(servers.bare, "/bytes", fetch(servers.gateway, SESSIONS_PATH))
    ours: Runs = []
    bare: Runs = []
    given = {"clients": 8, "seconds": 0.7 if plan.quick else 2.0}
    for _ in range(plan.rounds):
        ours.append(servers.bench.load("requests", servers.gateway, **given | {"path": SESSIONS_PATH}))
        bare.append(servers.bench.load("requests", servers.bare, **given | {"path": "/bytes"}))
    return [
        figure("list 20 sessions", "/s", "rate", ours, bare, "ratio >= 0.5", lambda mine, theirs: mine >= theirs / 2)
    ]


def turns(servers: Servers, plan: Plan) -> list[Figure]:
    """A 20-token reply, at 1 and at 16 clients."""
    ours, bare = interleaved(servers, plan, "turns", clients=1, turns=plan.scaled(100), pieces=TOKENS)
    many, many_bare = interleaved(servers, plan, "turns", clients=16, turns=plan.scaled(400), pieces=TOKENS)
    return [
        figure("turn, 1 client: first token", "ms", "first_ms", ours, bare, "< 10 ms", lambda mine, _: mine < 10),
        figure("turn, 1 client: end", "ms", "end_ms", ours, bare, "< 20 ms", lambda mine, _: mine < 20),
        figure("turn, 1 client: first token, p95", "ms", "first_p95_ms", ours, bare),
        figure("turn, 1 client: end, p95", "ms", "end_p95_ms", ours, bare),
        figure("turn, 16 clients: first token", "ms", "first_ms", many, many_bare),
        figure("turn, 16 clients: end", "ms", "end_ms", many, many_bare),
        figure("turns, 16 clients", "/s", "rate", many, many_bare, ">= 80 /s", lambda mine, _: mine >= 80),
    ]


def fanout(servers: Servers, plan: Plan) -> list[Figure]:
    """One stream to 1, 50 and 500 readers: as fast as it goes, then 500 readers at 50 deltas a second."""
    found: list[Figure] = []
    for readers, pieces in ((1, 10_000), (50, 5_000), (500, 1_000)):
        ours, bare = interleaved(servers, plan, "fanout", readers=readers, pieces=plan.scaled(pieces), rate=0)
        found.append(figure(f"deltas to {readers} readers, unpaced", "/s", "rate", ours, bare))
        found.append(faults(f"deltas to {readers} readers", ours))
    ours, bare = interleaved(servers, plan, "fanout", readers=500, pieces=plan.scaled(250), rate=50)
    name = "500 readers at 50/s"
    return [*found, *delays(name, 50, ours, bare), faults(name, ours)]


def streams(servers: Servers, plan: Plan) -> list[Figure]:
    """100 and 500 streams at once, each with a reader."""
    found: list[Figure] = []
    for count, rate, limit in ((100, 50, 60), (500, 20, 300)):
        given = {"streams": count, "rate": rate, "pieces": plan.scaled(rate * 5), "settle_s": 1.0}
        ours, bare = interleaved(servers, plan, "streams", **given)
        name = f"{count} streams at {rate}/s"
        found += [*delays(name, limit, ours, bare), faults(name, ours)]
    return found


def delays(name: str, limit_ms: float, ours: Runs, bare: Runs) -> list[Figure]:
    """From the provider's saying to the reader's hearing. The target is held against all of it, not just what is above the bare server."""
    return [
        figure(f"{name}: delay, p50", "ms", "p50_ms", ours, bare),
        figure(f"{name}: delay, p99", "ms", "p99_ms", ours, bare, f"< {limit_ms} ms", lambda mine, _: mine < limit_ms),
    ]


def stops(servers: Servers, plan: Plan) -> list[Figure]:
    """From the cancel message to the provider's connection closing. The bare server cannot stop, so nothing stands beside it."""
    runs = [servers.bench.load("stops", servers.gateway, times=4 if plan.quick else 20) for _ in range(plan.rounds)]
    found: list[Figure] = []
    for moment in ("before_first", "mid_text", "between_tools"):
        values = [run[f"{moment}_p95_ms"] for run in runs]
        worst = statistics.median(values)
        name = f"stop {moment.replace('_', ' ')}"
        found.append(Figure(f"{name}, p50", "ms", middle(runs, f"{moment}_p50_ms")))
        found.append(Figure(f"{name}, p95", "ms", worst, None, "< 50 ms", worst < 50, (min(values), max(values))))
    return found


def start(servers: Servers, plan: Plan) -> list[Figure]:
    """From starting the process to the first healthy answer, bytecode and files warm; and what it occupies then."""
    bench = servers.bench
    folder = bench.make_agent("fresh")
    ours: list[float] = []
    bare: list[float] = []
    resident: list[float] = []
    resident_bare: list[float] = []
    for number in range(plan.rounds + 1):
        port = free_port()
        began = time.monotonic()
        gateway = bench.start_gateway(folder, port=port)
        took = time.monotonic() - began
        resident.append(gateway.resident_mb)
        bench.stop(gateway)
        port = free_port()
        began = time.monotonic()
        plain = bench.start_bare(port=port)
        wait_for_health(port)
        took_bare = time.monotonic() - began
        resident_bare.append(plain.resident_mb)
        bench.stop(plain)
        if number:  # the first one makes the database
            ours.append(took)
            bare.append(took_bare)
    middle_s, idle = statistics.median(ours), statistics.median(resident)
    return [
        Figure(
            "start to first healthy answer", "s", middle_s, statistics.median(bare), "< 0.4 s", middle_s < 0.4,
            (min(ours), max(ours)),
        ),
        Figure("resident, idle", "MB", idle, statistics.median(resident_bare), "< 60 MB", idle < 60),
    ]  # fmt: skip


def memory(servers: Servers, plan: Plan) -> list[Figure]:
    """Resident memory of an idle instance, after 1,000 turns, and with `--long` its growth over 10,000."""
    bench = servers.bench
    folder = bench.make_agent("small")
    bench.stop(bench.start_gateway(folder, is_small=True))  # makes the databases
    small = bench.start_gateway(folder, is_small=True)
    time.sleep(SETTLED_S)
    idle = small.resident_mb
    bench.stop(small)
    gateway = bench.start_gateway(bench.make_agent("memory"))
    bench.load("turns", gateway, clients=8, turns=plan.scaled(1000), pieces=TOKENS)
    after = gateway.resident_mb
    found = [
        Figure("resident, idle with --small", "MB", idle, None, "< 60 MB", idle < 60),
        Figure(
            f"resident after {plan.scaled(1000):,} turns",
            "MB",
            after,
            servers.bare.resident_mb,
            "< 130 MB",
            after < 130,
        ),
    ]
    if plan.long:
        sizes = []
        for _ in range(9):
            bench.load("turns", gateway, clients=8, turns=1000, pieces=TOKENS)
            sizes.append(gateway.resident_mb)
        grown = sizes[-1] - sizes[0]
        # A page more or less is noise; growth that goes on would show at a megabyte a thousand turns.
        found.append(Figure("growth from 2,000 to 10,000 turns", "MB", grown, None, "< 4 MB", grown < 4))
        found.append(Figure("resident after 10,000 turns", "MB", sizes[-1]))
    bench.stop(gateway)
    return found


def metrics(servers: Servers, plan: Plan) -> list[Figure]:
    """What the metrics cost: the same turns and requests on two gateways, one of which counts nothing and stands as the bare one."""
    bench = servers.bench
    pair = [
        bench.start_gateway(bench.make_agent(f"metrics-{is_metered}"), is_metered=is_metered)
        for is_metered in (True, False)
    ]
    count, seconds = plan.scaled(400), 0.7 if plan.quick else 2.0
    runs: list[tuple[Runs, Runs]] = [([], []), ([], [])]
    for number in range(plan.rounds + 1):
        # Whoever comes first in a round comes second in the next.
        for target, (of_turns, of_requests) in list(zip(pair, runs, strict=True))[:: 1 if number % 2 else -1]:
            before = target.cpu_s
            bench.load("turns", target, clients=16, turns=count, pieces=TOKENS)
            between = target.cpu_s
            asked = bench.load("requests", target, clients=8, seconds=seconds, path=SESSIONS_PATH)["rate"] * seconds
            if number:  # the first round warms up
                of_turns.append({"cpu_ms": (between - before) / count * 1000})
                of_requests.append({"cpu_ms": (target.cpu_s - between) / asked * 1000})
    for target in pair:
        bench.stop(target)
    (turns_on, requests_on), (turns_off, requests_off) = runs
    return [
        figure("turn with metrics: CPU", "ms", "cpu_ms", turns_on, turns_off),
        figure("list 20 sessions with metrics: CPU", "ms", "cpu_ms", requests_on, requests_off),
    ]


def costs(servers: Servers, plan: Plan) -> list[Figure]:
    """Cost reports over a million usage rows."""
    bench = servers.bench
    folder = bench.make_agent("costs")
    bench.stop(bench.start_gateway(folder))
    cost_reports.fill(folder)
    gateway = bench.start_gateway(folder)
    found = cost_reports.measure(gateway, plan.scaled(20))
    bench.stop(gateway)
    return found


def notices(servers: Servers, plan: Plan) -> list[Figure]:
    """One notice to every open socket."""
    return jobs.notices(servers.gateway, plan.scaled(10), plan.scaled(jobs.SOCKETS))


def schedules(servers: Servers, plan: Plan) -> list[Figure]:
    """Ten thousand jobs that wait."""
    bench = servers.bench
    folder = bench.make_agent("schedules")
    bench.stop(bench.start_gateway(folder))
    jobs.fill(folder)
    gateway = bench.start_gateway(folder)
    found = jobs.schedules(gateway)
    bench.stop(gateway)
    return found


def retrieval(servers: Servers, plan: Plan) -> list[Figure]:
    """Recall of the plain full-text searches over the golden set; they are the floor that a search has to be clearly above."""
    return recall.figures()


def memory_search(servers: Servers, plan: Plan) -> list[Figure]:
    """The memory index by itself: build, search, change, restart."""
    return speed.figures(quick=plan.quick, long=plan.long)


CASES: dict[str, Case] = {
    "start": start,
    "sessions": sessions,
    "turns": turns,
    "fanout": fanout,
    "streams": streams,
    "stops": stops,
    "memory": memory,
    "metrics": metrics,
    "costs": costs,
    "notices": notices,
    "schedules": schedules,
    "retrieval": retrieval,
    "memory-search": memory_search,
}
