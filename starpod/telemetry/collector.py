"""Where traces go, by the settings or OpenTelemetry's own variables."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from starpod.telemetry.service import Tracer

logger = logging.getLogger(__name__)

PATH = "/v1/traces"


def traces_address(setting: str | None, environ: Mapping[str, str]) -> str | None:
    """The address that spans are posted to; None when no traces are wanted."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    base = setting or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    exact = "" if setting else environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip()
    if exact:
        return exact
    return f"{base.rstrip('/').removesuffix(PATH)}{PATH}" if base else None


def open_tracer(address: str, service_name: str, version: str) -> Tracer | None:
    """A tracer; None, with a warning, where the extra is not installed. Blocks while the library loads."""
    try:
        from starpod.telemetry.tracing import OtelTracer
    except ImportError:
        logger.warning("no traces are sent: pip install 'starpod[otel]', or take the collector out of the settings")
        return None
    return OtelTracer(address, service_name, version)
