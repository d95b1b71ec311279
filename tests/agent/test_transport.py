"""Joining deltas: the same text and the same other events as without, however the network cuts the bytes."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starpod.agent.transport import ChunkMerger, DeltaJoiner, JoiningTransport, framed, join_events
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import Burst, Cut, Gate, Say, Script, SplitCharacter, Wait, script

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def openai_event(delta: dict[str, Any], **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": fields.pop("finish_reason", None)}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice], **fields}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def anthropic_event(kind: str, index: int, delta: dict[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'index': index, 'delta': delta})}\n\n".encode()


OTHERS = st.sampled_from(
    [
        b": keep-alive\n\n",
        b"data: [DONE]\n\n",
        b"\n",
        b"data: {broken\n\n",
        b"data: one\ndata: two\n\n",
        b"event: ping\ndata: {}\n\n",
        openai_event({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}),
        openai_event({"content": "x", "refusal": "no"}),
        openai_event({"content": "x"}, usage={"prompt_tokens": 1}),
        openai_event({"content": "x"}, finish_reason="stop"),
        anthropic_event("content_block_delta", 0, {"type": "signature_delta", "signature": "s"}),
        anthropic_event("content_block_delta", 0, {"type": "input_json_delta", "partial_json": "{"}),
        anthropic_event("content_block_stop", 0, {}),
    ]
)
DELTAS = st.one_of(
    TEXTS.map(lambda text: openai_event({"content": text})),
    TEXTS.map(lambda text: openai_event({"role": "assistant", "content": text})),
    TEXTS.map(lambda text: openai_event({"content": None, "reasoning_content": text})),
    TEXTS.map(lambda text: openai_event({"content": text}, obfuscation=text * 2)),
    st.tuples(st.integers(0, 1), TEXTS).map(
        lambda it: anthropic_event("content_block_delta", it[0], {"type": "text_delta", "text": it[1]})
    ),
    TEXTS.map(lambda text: anthropic_event("content_block_delta", 0, {"type": "thinking_delta", "thinking": text})),
)
STREAMS = st.lists(st.one_of(DELTAS, DELTAS, OTHERS), max_size=30).map(b"".join)


def meaning(data: bytes) -> list[Any]:
    """What a stream says: the texts with all that stands around them, runs of one kind added up; everything else as bytes.
    Blank lines between events mean nothing."""
    said: list[Any] = []
    for event in filter(None, (event.lstrip(b"\n") for event in data.split(b"\n\n"))):
        frame, text = take_text(event)
        if text is None:
            said.append(event)
        elif said and isinstance(said[-1], list) and said[-1][0] == frame:
            said[-1][1] += text
        else:
            said.append([frame, text])
    return said


def take_text(event: bytes) -> tuple[str, str | None]:
    try:
        head, body = event.split(b"data: ", 1)
        value = json.loads(body)
        value.pop("obfuscation", None)
        holder = value["delta"] if "delta" in value else value["choices"][0]["delta"]
        plain = "choices" not in value or (value["choices"][0]["finish_reason"] is None and "usage" not in value)
        key = next(
            key for key in ("text", "thinking", "reasoning_content", "content") if isinstance(holder.get(key), str)
        )
        text = holder[key]
    except (ValueError, KeyError, StopIteration, TypeError):
        return "", None
    if not plain or "refusal" in holder:
        return "", None
    holder[key] = None
    return f"{head!r} {json.dumps(value, sort_keys=True)} {key}", text


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(edge % (len(data) + 1) for edge in at)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@settings(max_examples=300, deadline=None)
@given(STREAMS, st.lists(st.integers(0, 1 << 16), max_size=12))
def test_the_text_and_the_other_events_are_the_same_however_the_bytes_are_cut(data: bytes, at: list[int]) -> None:
    joiner = DeltaJoiner()
    reads = [joiner.feed(read) for read in cut(data, at)]

    assert meaning(b"".join(reads) + joiner.finish()) == meaning(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=8))
def test_bytes_that_are_no_deltas_pass_untouched(data: bytes, at: list[int]) -> None:
    joiner = DeltaJoiner()

    assert b"".join(joiner.feed(read) for read in cut(data, at)) + joiner.finish() == data


def test_deltas_of_one_read_become_one_event() -> None:
    events = [openai_event({"content": text}, obfuscation=text) for text in ("Gr", "\u00fc\u00df", ' "dich"\n')]

    joined = DeltaJoiner().feed(b"".join(events))

    assert joined.count(b"data: ") == 1
    assert json.loads(joined[6:])["choices"][0]["delta"] == {"content": 'Gr\u00fc\u00df "dich"\n'}


@pytest.mark.parametrize(
    "other",
    [
        openai_event({"content": "b"}, model="other"),
        openai_event({"content": "b"}, service_tier="flex"),
        openai_event({"reasoning_content": "b"}),
        openai_event({"content": "b"}, finish_reason="length"),
        anthropic_event("content_block_delta", 0, {"type": "text_delta", "text": "b"}),
    ],
)
def test_deltas_that_differ_in_anything_else_stay_apart(other: bytes) -> None:
    data = openai_event({"content": "a"}) + other

    assert join_events(data) == data


def test_a_lone_delta_leaves_at_once_as_it_came() -> None:
    event = openai_event({"content": "a"}, obfuscation="xyz")

    assert DeltaJoiner().feed(event) == event


def test_an_event_without_end_does_not_fill_the_memory() -> None:
    joiner = DeltaJoiner()

    out = b"".join(joiner.feed(b"x" * 100_000) for _ in range(12))

    assert len(out) >= 1_000_000


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def unchunk(data: bytes) -> bytes:
    """The body in `data`, after its head, by the plainest reading of the RFC."""
    body, out = data.split(b"\r\n\r\n", 1)[1], b""
    while body:
        line, body = body.split(b"\r\n", 1)
        length = int(line.split(b";")[0], 16)
        if length == 0:
            break
        out, body = out + body[:length], body[length + 2 :]
    return out


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40), max_size=12), st.lists(st.integers(0, 1 << 12), max_size=10))
def test_merged_chunks_hold_the_same_body(parts: list[bytes], at: list[int]) -> None:
    wire = HEAD + b"".join(framed([part]) for part in parts) + b"0\r\n\r\n"
    merger = ChunkMerger()
    reads = [merger.feed(read) for read in cut(wire, at)]

    assert unchunk(b"".join(reads) + merger.finish()) == b"".join(parts)


def test_the_chunks_of_one_read_become_one_chunk() -> None:
    merger = ChunkMerger()
    assert merger.feed(HEAD) == HEAD

    assert merger.feed(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") == b"5\r\nabcde\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "wire",
    [
        HEAD + b"3;name=value\r\nabc\r\n0\r\n\r\n",
        HEAD + b"nonsense\r\n",
        HEAD + b"3\r\nabcXX2\r\nde\r\n",
        HEAD.replace(b"event-stream", b"plain") + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 12\r\n\r\n1\r\na\r\n1\r\nb\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n",
        b"\x00\x00\x12\x04\x00\x00",
    ],
)
def test_what_is_no_plain_chunked_event_stream_passes_untouched(wire: bytes) -> None:
    merger = ChunkMerger()

    assert merger.feed(wire) + merger.finish() == wire


def reads_of(reply: Script, *, gate: Gate | None = None) -> list[bytes]:
    """What a client gets, read by read, through the joining transport from a real server."""

    async def run(url: str) -> list[bytes]:
        reads = []
        async with (
            httpx2.AsyncClient(transport=JoiningTransport(httpx2.AsyncHTTPTransport())) as client,
            client.stream("POST", f"{url}/chat/completions", json={"model": "m", "stream": True}) as response,
        ):
            async for read in response.aiter_raw():
                reads.append(read)
                if gate is not None and b"first" in read:
                    gate.open()
        return reads

    with OpenAIServer(reply) as server:
        return asyncio.run(run(server.base_url))


def test_a_burst_from_a_real_server_arrives_as_one_event() -> None:
    pieces = tuple(f"word{number} " for number in range(50))

    reads = reads_of(script(Burst(pieces)))

    assert len(reads) < 10
    assert "".join(pieces).encode() in b"".join(reads)


def test_the_first_delta_is_not_held_back_for_a_second() -> None:
    gate = Gate()

    reads = reads_of(script(Say(("first",)), Wait(gate), Say(("second",))), gate=gate)

    assert b"second" in b"".join(reads), "the server only goes on once the first delta was seen"


def test_a_character_cut_by_the_network_arrives_whole() -> None:
    reads = reads_of(script(SplitCharacter("na\u00efve")))

    assert any("na\u00efve".encode() in read for read in reads)


def test_a_cut_stream_is_an_error_after_what_came() -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        reads_of(script("whole", Cut()))
