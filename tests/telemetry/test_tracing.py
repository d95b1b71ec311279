"""Spans of a turn arrive at a collector that speaks OTLP over HTTP, hang together, and say nothing of what was said."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from starpod.telemetry.collector import traces_address
from tests.gateway import ADMIN_KEY, Gateway
from tests.providers.openai_server import OpenAIServer
from tests.providers.script import CallTool, script

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """What was posted to `url`."""

    def __init__(self) -> None:
        self.url = ""
        self.raw: list[bytes] = []

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(raw) for raw in self.raw]

    @property
    def spans(self) -> dict[str, Span]:
        """By name."""
        return {
            span.name: span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found.raw.append(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.gen_test
async def test_a_turn_is_one_trace_from_the_request_to_the_tool(tmp_path: Path, collector: Collector) -> None:
    settings = {"telemetry": {"otlp_endpoint": collector.url, "service_name": "nova"}}
    async with Gateway(tmp_path, OpenAIServer(), settings=settings) as gateway:
        gateway.provider.play(script(CallTool("FileList")), script("my secret answer"))
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        answer = await gateway.http.post("/api/chat", json={"text": "my secret words"}, headers=headers)
        turn_id = answer.json()["turn_id"]
    spans = collector.spans
    request, turn = spans["POST /api/chat"], spans["turn"]
    call, tool = spans["chat m"], spans["execute_tool FileList"]
    assert {span.trace_id.hex() for span in (request, turn, call, tool)} == {TRACE}
    assert request.parent_span_id.hex() == PARENT
    assert turn.parent_span_id == request.span_id
    assert call.parent_span_id == tool.parent_span_id == turn.span_id
    assert {each.key: each.value.string_value for each in turn.attributes}["starpod.turn_id"] == turn_id
    assert {each.key: each.value.int_value for each in request.attributes}["http.response.status_code"] == 200
    raw = b"".join(collector.raw)
    assert b"nova" in raw
    assert not any(secret in raw for secret in (b"my secret", ADMIN_KEY.encode()))


@pytest.mark.parametrize(
    ("setting", "environ", "address"),
    [
        (None, {}, None),
        ("http://c:4318", {}, "http://c:4318/v1/traces"),
        ("http://c:4318/v1/traces", {}, "http://c:4318/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://e:4318/"}, "http://e:4318/v1/traces"),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://e/x"}, "http://e/x"),
        ("http://c:4318", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://e/x"}, "http://c:4318/v1/traces"),
        ("http://c:4318", {"OTEL_SDK_DISABLED": "true"}, None),
    ],
)
def test_settings_and_standard_variables_name_the_collector(
    setting: str | None, environ: dict[str, str], address: str | None
) -> None:
    assert traces_address(setting, environ) == address


def test_without_a_collector_the_library_is_not_loaded() -> None:
    program = "import sys, starpod.server; sys.exit('opentelemetry.sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
