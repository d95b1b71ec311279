"""Joins text deltas that arrive together into one, before a provider's SDK parses them.

An SDK and pydantic-ai spend 80 to 250 µs on each event of a stream; joining two costs about 5. A delta that comes alone is
passed on untouched and at once, so nothing waits; when readers fall behind, several deltas lie in one network read and become
one event, so the cost falls as load rises (figures: docs/decisions/0005-joining-deltas.md).
It knows the two formats by their text deltas only. Whatever it does not fully understand passes byte for byte.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore2
import httpx2
from pydantic_core import from_json, to_json

# An event longer than this is none of ours: stop looking and pass everything on.
LONGEST_EVENT_BYTES = 1 << 20
LONGEST_HEAD_BYTES = 1 << 16
# The fields of a Chat Completions delta that are text which a reader appends.
OPENAI_TEXT_FIELDS = ("content", "reasoning_content", "reasoning")
ANTHROPIC_TEXT_FIELDS = {"text_delta": "text", "thinking_delta": "thinking"}
STREAM_HEAD_FIELDS = (b"\r\ntransfer-encoding: chunked", b"\r\ncontent-type: text/event-stream")
ANTHROPIC_EVENT = b"event: content_block_delta\ndata: "


class JoiningTransport(httpx2.AsyncBaseTransport):
    """An httpx2 transport around `AsyncHTTPTransport` whose event streams have their text deltas joined."""

    def __init__(self, inner: httpx2.AsyncHTTPTransport) -> None:
        self._inner = inner
        # httpcore yields once for each HTTP chunk, and providers send one chunk a delta: merge the chunks of a read first.
        pool = getattr(inner, "_pool", None)
        if pool is not None and isinstance(getattr(pool, "_network_backend", None), httpcore2.AsyncNetworkBackend):
            pool._network_backend = MergingBackend(pool._network_backend)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        plain = "content-encoding" not in response.headers
        if plain and response.headers.get("content-type", "").startswith("text/event-stream"):
            assert isinstance(response.stream, httpx2.AsyncByteStream)
            response.stream = JoinedStream(response.stream)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class JoinedStream(httpx2.AsyncByteStream):
    """The bytes of an event stream with joined deltas; closing it closes the connection underneath."""

    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        joiner = DeltaJoiner()
        async for data in self._inner:
            if out := joiner.feed(data):
                yield out
        if rest := joiner.finish():
            yield rest

    async def aclose(self) -> None:
        await self._inner.aclose()


class DeltaJoiner:
    """Takes the reads of one event stream and gives whole events, those with consecutive text deltas joined."""

    def __init__(self) -> None:
        self._tail = b""
        self._passing = False

    def feed(self, data: bytes) -> bytes:
        """What can be passed on now; empty while an event is incomplete, whose bytes nobody could use yet."""
        if self._passing:
            return data
        if self._tail:
            data = self._tail + data
        if b"\r" in data:
            return self._pass_on(data)
        end = data.rfind(b"\n\n") + 2
        if end == 1:
            if len(data) > LONGEST_EVENT_BYTES:
                return self._pass_on(data)
            self._tail = data
            return b""
        self._tail = data[end:]
        whole = data[:end] if self._tail else data
        # The usual case, one delta a read, is decided by two searches.
        if whole.find(b"\n\n") == end - 2:
            return whole
        return join_events(whole)

    def finish(self) -> bytes:
        """What is left at the end of the stream: an event that was cut."""
        rest, self._tail = self._tail, b""
        return rest

    def _pass_on(self, data: bytes) -> bytes:
        self._passing = True
        self._tail = b""
        return data


def join_events(data: bytes) -> bytes:
    """`data` (whole events) with runs of equal text deltas made into one event each."""
    out: list[bytes] = []
    run: TextDelta | None = None
    *events, rest = data.split(b"\n\n")
    for event in events:
        delta = parse_delta(event)
        if run is not None and delta is not None and delta.continues(run):
            run.append(delta)
            continue
        if run is not None:
            out.append(run.encode())
        run = delta
        if delta is None:
            out.append(event + b"\n\n")
    if run is not None:
        out.append(run.encode())
    out.append(rest)
    return b"".join(out)


class TextDelta:
    """One event that does nothing but append `text` to the field `key` of `holder`; `frame` is all the rest of it."""

    __slots__ = ("_event", "_holder", "_joined", "_key", "_prefix", "_texts", "frame")

    def __init__(self, event: bytes, prefix: bytes, frame: dict[str, Any], holder: dict[str, Any], key: str) -> None:
        self._event = event
        self._prefix = prefix
        self._holder = holder
        self._key = key
        self._texts: list[str] = [holder[key]]
        self._joined = False
        holder[key] = None
        self.frame = frame

    def continues(self, other: TextDelta) -> bool:
        """Whether both append to the same place and nothing else differs."""
        return self._key == other._key and self._prefix == other._prefix and self.frame == other.frame

    def append(self, other: TextDelta) -> None:
        self._joined = True
        self._texts += other._texts

    def encode(self) -> bytes:
        """The event as it came, or the joined one."""
        if not self._joined:
            return self._event + b"\n\n"
        self._holder[self._key] = "".join(self._texts)
        return b"%b%b\n\n" % (self._prefix, to_json(self.frame))


def parse_delta(event: bytes) -> TextDelta | None:
    """The event as a text delta of a format that we know, else None."""
    if event.startswith(b'data: {"') and b"chat.completion.chunk" in event:
        return parse_openai(event, load(event[6:]))
    if event.startswith(ANTHROPIC_EVENT):
        return parse_anthropic(event, load(event[len(ANTHROPIC_EVENT) :]))
    return None


def load(data: bytes) -> dict[str, Any] | None:
    """The JSON object in `data`; None for anything else, several lines included."""
    if b"\n" in data:
        return None
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def parse_openai(event: bytes, chunk: dict[str, Any] | None) -> TextDelta | None:
    """A `chat.completion.chunk` whose only choice adds to exactly one text field: no finish reason, usage or log probabilities."""
    choices = chunk.get("choices") if chunk else None
    if not chunk or not isinstance(choices, list) or len(choices) != 1 or chunk.get("usage") is not None:
        return None
    choice = choices[0]
    delta = choice.get("delta") if isinstance(choice, dict) else None
    if not isinstance(delta, dict) or choice.get("finish_reason") is not None or choice.get("logprobs") is not None:
        return None
    filled = [name for name, value in delta.items() if value is not None and name != "role"]
    if len(filled) != 1 or filled[0] not in OPENAI_TEXT_FIELDS or not isinstance(delta[filled[0]], str):
        return None
    # Random padding against traffic analysis: differs in every event and means nothing.
    chunk.pop("obfuscation", None)
    return TextDelta(event, b"data: ", chunk, delta, filled[0])


def parse_anthropic(event: bytes, frame: dict[str, Any] | None) -> TextDelta | None:
    """A `content_block_delta` that holds a type, an index and one piece of text or thinking."""
    delta = frame.get("delta") if frame else None
    if not frame or not isinstance(delta, dict) or frame.keys() != {"type", "index", "delta"}:
        return None
    field = ANTHROPIC_TEXT_FIELDS.get(str(delta.get("type")))
    if field is None or delta.keys() != {"type", field} or not isinstance(delta[field], str):
        return None
    return TextDelta(event, ANTHROPIC_EVENT, frame, delta, field)


class MergingBackend(httpcore2.AsyncNetworkBackend):
    """A network backend whose connections merge the HTTP chunks of each read of an event stream."""

    def __init__(self, inner: httpcore2.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return MergingConnection(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return MergingConnection(await self._inner.connect_unix_socket(path, timeout, socket_options))

    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class MergingConnection(httpcore2.AsyncNetworkStream):
    """One connection. Each write starts a new request, so the next bytes read are a response's head."""

    def __init__(self, inner: httpcore2.AsyncNetworkStream) -> None:
        self._inner = inner
        self._merger = ChunkMerger()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        while True:
            data = await self._inner.read(max_bytes, timeout)
            if not data:
                return self._merger.finish()
            # Half a chunk head gives nothing yet, and an empty result would mean that the peer has closed.
            if out := self._merger.feed(data):
                return out

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self._merger = ChunkMerger()
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: Any,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore2.AsyncNetworkStream:
        return MergingConnection(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class ChunkMerger:
    """Rewrites the chunked body of one HTTP/1.1 event stream (RFC 9112, section 7.1) so that a read holds one chunk, not many.

    Heads, other bodies, chunk extensions, trailers and everything malformed pass as they came: the parser behind it judges them.
    """

    def __init__(self) -> None:
        self._head = b""
        self._in_head = True
        self._passing = False
        # Bytes of a chunk head that is incomplete; what is left of the chunk's data and its closing CRLF.
        self._carry = b""
        self._left = 0

    def feed(self, data: bytes) -> bytes:
        """What to hand to the HTTP parser for this read; empty when only half a chunk head came."""
        if self._passing:
            return data
        if self._in_head:
            return self._feed_head(data)
        return self._merge(data)

    def finish(self) -> bytes:
        """What was held back when the peer closes."""
        rest, self._carry = self._carry, b""
        return rest

    def _feed_head(self, data: bytes) -> bytes:
        """Pass the head on at once, and only look at a copy of it."""
        before = len(self._head)
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            self._passing = len(self._head) > LONGEST_HEAD_BYTES
            return data
        body_at = end + 4 - before
        head = self._head[:end].lower()
        self._head = b""
        self._in_head = False
        # An interim response (1xx), before which the real head follows, is too rare to be worth understanding.
        if not head.startswith(b"http/1.1 2") or not all(field in head for field in STREAM_HEAD_FIELDS):
            self._passing = True
            return data
        return data[:body_at] + self._merge(data[body_at:])

    def _merge(self, data: bytes) -> bytes:
        if self._carry:
            data = self._carry + data
            self._carry = b""
        parts: list[bytes] = []
        at, size = 0, len(data)
        while at < size:
            if self._left > 2:
                taken = min(self._left - 2, size - at)
                parts.append(data[at : at + taken])
                at += taken
                self._left -= taken
            elif self._left > 0:
                # The CRLF after the data.
                taken = min(self._left, size - at)
                if data[at : at + taken] != b"\r\n"[2 - self._left :][:taken]:
                    self._passing = True
                    return framed(parts)[:-2] + data[at:]
                at += taken
                self._left -= taken
            else:
                line_end = data.find(b"\r\n", at)
                if line_end < 0:
                    self._carry = data[at:]
                    return framed(parts) if len(self._carry) < 32 else self._give_up(parts, b"")
                length = chunk_length(data[at:line_end])
                if length <= 0:
                    return self._give_up(parts, data[at:])
                at = line_end + 2
                self._left = length + 2
        return framed(parts)

    def _give_up(self, parts: list[bytes], rest: bytes) -> bytes:
        """Pass `rest` and all that follows untouched: the last chunk, or something that is no chunk."""
        self._passing = True
        carry, self._carry = self._carry, b""
        return framed(parts) + carry + rest


def chunk_length(line: bytes) -> int:
    """The length that a chunk head names; -1 for anything but plain hexadecimal digits."""
    if not line or len(line) > 8 or line.strip(b"0123456789abcdefABCDEF"):
        return -1
    return int(line, 16)


def framed(parts: list[bytes]) -> bytes:
    """One chunk that holds all parts; nothing for none."""
    if not parts:
        return b""
    body = b"".join(parts)
    return b"%x\r\n%b\r\n" % (len(body), body)
