"""Spans of the Vercel AI SDK's telemetry."""

from typing import Final

from training.importing.adapters.adapter import Adapter
from training.importing.conversion import Source
from training.importing.spans.conversion import convert_spans, follows, span_notes
from training.importing.spans.transport import LISTS
from training.importing.spans.vercel import VERCEL


def _recognises(record: Source) -> bool:
    return follows(record, VERCEL)


ADAPTER: Final = Adapter("vercel", "the Vercel AI SDK", _recognises, convert_spans, lists=LISTS, notes=span_notes)
