"""OpenTelemetry's GenAI spans become outcomes, in whatever file they come.

Spans of other conventions in the same file are read by those (see `training.importing.spans`).
"""

from typing import Final

from training.importing.adapters.adapter import Adapter
from training.importing.spans.conversion import convert_spans, span_notes
from training.importing.spans.transport import LISTS, holds_spans

ADAPTER: Final = Adapter(
    "otel",
    "OpenTelemetry",
    holds_spans,
    convert_spans,
    lists=LISTS,
    notes=span_notes,
    fields=("attributes", "traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano"),
)
