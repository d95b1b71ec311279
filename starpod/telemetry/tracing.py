"""Traces by OpenTelemetry, sent by OTLP over HTTP. Importing this needs the extra `otel`; nothing does unless a collector is configured.

Spans say which route, model and tool it was, how long it took and whether it failed; never what was said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context, propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

KINDS = {"internal": trace.SpanKind.INTERNAL, "client": trace.SpanKind.CLIENT, "server": trace.SpanKind.SERVER}


class OtelTracer:
    """A `Tracer` of its own, beside whatever the process has set up globally."""

    def __init__(self, endpoint: str, service_name: str, version: str) -> None:
        resource = Resource.create({"service.name": service_name, "service.version": version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
        self._tracer = self._provider.get_tracer("starpod", version)

    @contextmanager
    def span(self, name: str, kind: str, attributes: dict[str, Any]) -> Iterator[OtelSpan]:
        """A span that is the parent of those that begin inside. An error's text may quote people, so only its type is kept."""
        with self._tracer.start_as_current_span(
            name, kind=KINDS[kind], attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            made = OtelSpan(span)
            try:
                yield made
            except BaseException as error:
                made.fail(type(error).__name__)
                raise

    def begin(self, name: str, headers: Mapping[str, str], attributes: dict[str, Any]) -> OtelSpan:
        """A request's span, in the trace that its headers name; the parent of what the running task does. Ended by `end`."""
        carrier = {key.lower(): value for key, value in headers.items() if key.lower() in ("traceparent", "tracestate")}
        span = self._tracer.start_span(
            name, context=propagate.extract(carrier), kind=KINDS["server"], attributes=attributes
        )
        context.attach(trace.set_span_in_context(span))
        return OtelSpan(span)

    def close(self) -> None:
        """Send what is held. Blocks, at most some seconds."""
        self._provider.shutdown()


class OtelSpan:
    """One span."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, **attributes: str | float) -> None:
        """Add attributes."""
        self._span.set_attributes(attributes)

    def fail(self, kind: str) -> None:
        """Mark it as failed."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.StatusCode.ERROR)

    def end(self, status: int) -> None:
        """End a request's span."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self.fail(str(status))
        self._span.end()
