"""The load, a process of its own: `python -m tests.bench.load KIND JSON` does one measurement and prints one line of JSON."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pydantic_core import from_json

from tests.bench.sockets import DELTA, TIMEOUT_S, Requester, SocketClient, request
from tests.bench.spec import Spec, read_stamps

Result = dict[str, Any]


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Reader:
    """Follows one turn: when its pieces came, and whether all came in order."""

    def __init__(self) -> None:
        self.socket = SocketClient(self._take)
        self.accepted: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._clear()

    def expect(self) -> None:
        """Get ready for another turn on the same socket."""
        self.accepted = asyncio.get_running_loop().create_future()
        self._clear()

    def _clear(self) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[None] = loop.create_future()
        self.first: asyncio.Future[None] = loop.create_future()
        self.called: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[dict[str, Any]] = loop.create_future()
        self.delays_ns: list[int] = []
        self.next_piece = 0
        self.next_seq = 1
        self.faults = 0
        self.first_ns = self.last_ns = self.ended_ns = 0

    def _take(self, payload: bytes, now_ns: int) -> None:
        if payload.startswith(DELTA):
            self._take_delta(payload, now_ns)
            return
        event = from_json(payload)
        match event["type"]:
            case "accepted":
                self.accepted.set_result(event)
                return
            case "error":
                raise RuntimeError(f"the server says: {event['message']}")
            case "stream_start":
                self.started.set_result(None)
            case "tool_result":
                self.called.set_result(None)
            case "stream_end":
                self.ended_ns = now_ns
                if event.get("is_error"):
                    raise RuntimeError(f"the turn failed: {event}")
                self.ended.set_result(event)
        self._count(event["seq"])

    def _take_delta(self, payload: bytes, now_ns: int) -> None:
        event = _parse(payload)
        for number, at_ns in read_stamps(event["text"]):
            if number != self.next_piece:
                self.faults += 1
            self.next_piece = number + 1
            self.delays_ns.append(now_ns - at_ns)
        if not self.first_ns:
            self.first_ns = now_ns
            self.first.set_result(None)
        self.last_ns = now_ns
        self._count(event["seq"])

    def _count(self, seq: int) -> None:
        if seq != self.next_seq:
            self.faults += 1
        self.next_seq = seq + 1


_cache: dict[bytes, dict[str, Any]] = {}


def _parse(payload: bytes) -> dict[str, Any]:
    """500 readers get the same bytes: they are parsed once."""
    event = _cache.get(payload)
    if event is None:
        if len(_cache) > 5000:
            _cache.clear()
        event = _cache[payload] = from_json(payload)
    return event


async def connect(count: int, given: Result) -> list[Reader]:
    """That many readers with open sockets, a few at a time."""
    readers = [Reader() for _ in range(count)]
    for at in range(0, count, 20):
        await asyncio.gather(*(each.socket.open(given["port"], given["path"]) for each in readers[at : at + 20]))
    return readers


def send(reader: Reader, spec: Spec) -> None:
    """Start a turn in a session of its own."""
    reader.socket.send(type="message", text=spec.text(), client_message_id=f"{time.monotonic_ns()}-{id(reader)}")


async def measure_requests(given: Result) -> Result:
    """Requests a second of `path` over `clients` keep-alive connections in `seconds`."""
    loop = asyncio.get_running_loop()
    head = f"GET {given['path']} HTTP/1.1\r\nHost: 127.0.0.1:{given['port']}\r\n{given['headers']}\r\n".encode()
    started = loop.time()
    until = started + given["seconds"]
    made = [
        (await loop.create_connection(lambda: Requester(head, until), "127.0.0.1", given["port"]))[1]
        for _ in range(given["clients"])
    ]
    await asyncio.gather(*(each.done for each in made))
    return {"rate": sum(each.count for each in made) / (loop.time() - started)}


async def measure_turns(given: Result) -> Result:
    """Turns one after another on each of `clients` sockets: first text, end (ms) and turns a second."""
    readers = await connect(given["clients"], given)
    spec = Spec(pieces=given["pieces"])
    first: list[float] = []
    end: list[float] = []
    left = given["turns"]

    async def converse(reader: Reader) -> None:
        nonlocal left
        while left > 0:
            left -= 1
            reader.expect()
            started = time.monotonic_ns()
            send(reader, spec)
            await asyncio.wait_for(reader.ended, TIMEOUT_S)
            assert reader.next_piece == spec.pieces and not reader.faults, (
                f"{reader.next_piece} of {spec.pieces} pieces came, {reader.faults} out of order"
            )
            first.append((reader.first_ns - started) / 1e6)
            end.append((reader.ended_ns - started) / 1e6)

    started = time.monotonic()
    await asyncio.gather(*(converse(reader) for reader in readers))
    took = time.monotonic() - started
    return {
        "first_ms": quantile(first, 0.5),
        "first_p95_ms": quantile(first, 0.95),
        "end_ms": quantile(end, 0.5),
        "end_p95_ms": quantile(end, 0.95),
        "rate": given["turns"] / took,
    }


async def measure_fanout(given: Result) -> Result:
    """One stream to `readers` sockets: deltas a second that all of them got, and the delay of each (ms)."""
    readers = await connect(given["readers"], given)
    gate = f"g{time.monotonic_ns()}"
    spec = Spec(pieces=given["pieces"], rate=given["rate"], gate=gate)
    send(readers[0], spec)
    accepted = await asyncio.wait_for(readers[0].accepted, TIMEOUT_S)
    for reader in readers[1:]:
        reader.socket.send(type="resume", session_id=accepted["session_id"], turn_id=accepted["turn_id"], after=0)
    return await _follow(readers, given, gate)


async def measure_streams(given: Result) -> Result:
    """`streams` turns at once, each with a reader of its own, their pieces spread evenly over time."""
    readers = await connect(given["streams"], given)
    gate = f"g{time.monotonic_ns()}"
    for number, reader in enumerate(readers):
        phase_s = number / given["streams"] / given["rate"]
        send(reader, Spec(pieces=given["pieces"], rate=given["rate"], gate=gate, phase_s=phase_s))
        if number % 20 == 19:
            await asyncio.wait_for(reader.accepted, TIMEOUT_S)
    return await _follow(readers, given, gate)


async def _follow(readers: list[Reader], given: Result, gate: str) -> Result:
    await asyncio.wait_for(asyncio.gather(*(reader.started for reader in readers)), TIMEOUT_S)
    await asyncio.sleep(given.get("settle_s", 0.5))
    gc.collect()
    gc.freeze()
    gc.disable()
    started = time.monotonic_ns()
    await request(given["provider_port"], "POST", f"/gates/{gate}")
    await asyncio.wait_for(asyncio.gather(*(reader.ended for reader in readers)), TIMEOUT_S)
    delays = [delay / 1e6 for reader in readers for delay in reader.delays_ns]
    took_s = (max(reader.last_ns for reader in readers) - started) / 1e9
    wanted = given["pieces"] * len(readers)
    return {
        "p50_ms": quantile(delays, 0.5),
        "p99_ms": quantile(delays, 0.99),
        "max_ms": max(delays),
        "rate": len(delays) / took_s,
        "lost": wanted - len(delays),
        "disordered": sum(reader.faults for reader in readers),
    }


async def measure_stops(given: Result) -> Result:
    """From the cancel message to the end of the provider's connection (ms), `times` times at each of three moments."""
    (reader,) = await connect(1, given)
    found: dict[str, list[float]] = {"before_first": [], "mid_text": [], "between_tools": []}
    for number in range(given["times"]):
        for moment, taken in found.items():
            taken.append(await _stop(reader, given, moment, f"{moment}{number}x{time.monotonic_ns()}"))
    return {f"{moment}_{name}_ms": quantile(taken, share) for moment, taken in found.items() for name, share in SHARES}


SHARES = (("p50", 0.5), ("p95", 0.95))


async def _stop(reader: Reader, given: Result, moment: str, tag: str) -> float:
    reader.expect()
    match moment:
        case "before_first":
            spec, wait = Spec(mode="silent", tag=tag), reader.started
        case "mid_text":
            spec, wait = Spec(pieces=5000, rate=100, tag=tag), reader.first
        case _:
            spec, wait = Spec(mode="tools", tag=tag), reader.called
    send(reader, spec)
    accepted = await asyncio.wait_for(reader.accepted, TIMEOUT_S)
    await asyncio.wait_for(wait, TIMEOUT_S)
    while moment == "before_first" and not (await _call(given, tag))["open"]:  # noqa: ASYNC110 (of another process)
        await asyncio.sleep(0.005)
    started = time.monotonic_ns()
    reader.socket.send(type="cancel", session_id=accepted["session_id"])
    end = await asyncio.wait_for(reader.ended, TIMEOUT_S)
    assert end["stopped"], "the turn ended by itself"
    call = await _call(given, tag)
    while call["open"]:
        await asyncio.sleep(0.002)
        call = await _call(given, tag)
    # Between tool calls there may be no call to cut off; then the end of the turn is what counts.
    return ((call["cut_at_ns"] or reader.ended_ns) - started) / 1e6


async def _call(given: Result, tag: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(await request(given["provider_port"], "GET", f"/calls/{tag}"))
    return answer


KINDS: dict[str, Callable[[Result], Awaitable[Result]]] = {
    "requests": measure_requests,
    "turns": measure_turns,
    "fanout": measure_fanout,
    "streams": measure_streams,
    "stops": measure_stops,
}


async def main(kind: str, given: Result) -> None:
    """Do one measurement; a fault in a callback ends it."""
    failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_fault(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if not failed.done():
            failed.set_exception(context.get("exception") or RuntimeError(context["message"]))

    asyncio.get_running_loop().set_exception_handler(on_fault)
    work = asyncio.ensure_future(KINDS[kind](given))
    await asyncio.wait((work, failed), return_when=asyncio.FIRST_COMPLETED)
    if failed.done():
        failed.result()
    print(json.dumps(work.result()), flush=True)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sys.argv[1], json.loads(sys.argv[2])))
