"""Read the spans of the Vercel AI SDK's telemetry."""

from typing import Final

from router_model.training.importing.adapter import Adapter
from router_model.training.importing.conversion import Source
from router_model.training.importing.spans.conversion import convert_spans, follows, span_notes
from router_model.training.importing.spans.transport import LISTS
from router_model.training.importing.spans.vercel import VERCEL


def _recognises(record: Source) -> bool:
    return follows(record, VERCEL)


ADAPTER: Final = Adapter("vercel", "the Vercel AI SDK", _recognises, convert_spans, lists=LISTS, notes=span_notes)
