"""OpenTelemetry's GenAI spans become outcomes, in whatever file they come.

Spans of other conventions in the same file are read by those (see `router_model.training.importing.spans`).
"""

from typing import Final

from router_model.training.importing.adapter import Adapter
from router_model.training.importing.spans.conversion import convert_spans, span_notes
from router_model.training.importing.spans.transport import LISTS, holds_spans

ADAPTER: Final = Adapter(
    "otel",
    "OpenTelemetry",
    holds_spans,
    convert_spans,
    lists=LISTS,
    notes=span_notes,
    fields=("attributes", "traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano"),
)
