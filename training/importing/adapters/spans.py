"""Read spans, from any file format that holds them: OpenTelemetry's, OpenInference's and those of the Vercel AI SDK.

Spans in the same file that follow another convention are read by that convention
(`router_model.training.importing.spans`).
"""

from functools import partial
from typing import Final

from router_model.training.importing.adapter import Adapter
from router_model.training.importing.conversion import Source
from router_model.training.importing.spans.conversion import convert_spans, follows, span_notes
from router_model.training.importing.spans.openinference import OPENINFERENCE, is_annotation
from router_model.training.importing.spans.transport import LISTS, holds_spans
from router_model.training.importing.spans.vercel import VERCEL

_adapter = partial(Adapter, convert=convert_spans, lists=LISTS, notes=span_notes, are_calls=True)


def _is_of_phoenix(record: Source) -> bool:
    return is_annotation(record) or follows(record, OPENINFERENCE)


def _is_of_vercel(record: Source) -> bool:
    return follows(record, VERCEL)


OTEL: Final = _adapter(
    "otel",
    "OpenTelemetry",
    holds_spans,
    fields=("attributes", "traceId", "spanId", "startTimeUnixNano", "endTimeUnixNano"),
)
PHOENIX: Final = _adapter("openinference", "OpenInference (Arize Phoenix)", _is_of_phoenix)
VERCEL_AI: Final = _adapter("vercel", "the Vercel AI SDK", _is_of_vercel)
