"""Open the tracing that the environment variables ask for.

Configured by OpenTelemetry's own variables: with ``OTEL_TRACES_EXPORTER=otlp`` or an ``OTEL_EXPORTER_OTLP_ENDPOINT``
there are spans, with ``OTEL_SDK_DISABLED=true`` or ``OTEL_TRACES_EXPORTER=none`` there are none.
"""

import logging
import os
from collections.abc import Mapping
from typing import Final

from router_model.install_line import install_line
from router_model.serving.monitoring.tracing import OFF, Tracing

logger = logging.getLogger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP: Final = "http/protobuf"


def open_tracing(environ: Mapping[str, str] = os.environ) -> Tracing:
    """Return the tracing that the environment asks for; `OFF` if it asks for none, or if the extra is missing."""
    if not is_wanted(environ):
        return OFF
    try:
        from router_model.serving.monitoring.otel_tracing import otlp_tracing  # noqa: PLC0415  (of the extra 'otel', and slow to import)
    except ModuleNotFoundError as exc:
        logger.warning(
            "no spans are sent: OpenTelemetry's variables ask for them, but the extra 'otel' is not "
            "installed (%s is missing): "
            "%s, or set OTEL_SDK_DISABLED=true",
            exc.name,
            install_line("otel"),
        )
        return OFF
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _HTTP)
    # The extra 'otel' has the exporter for HTTP alone, so another protocol can only be warned of.
    if protocol != _HTTP:
        logger.warning("spans are sent as %s; %s asks for %r", _HTTP, " or ".join(_PROTOCOLS), protocol)
    return otlp_tracing(environ)


def is_wanted(environ: Mapping[str, str]) -> bool:
    """Return whether the environment asks for spans.

    >>> is_wanted({}), is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"})
    (False, True)
    >>> is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_TRACES_EXPORTER": "none"})
    False
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporters:
        return "otlp" in (name.strip() for name in exporters.split(","))
    return any(environ.get(name) for name in _ENDPOINTS)
