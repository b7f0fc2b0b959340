"""Read OpenInference's spans, as Arize Phoenix exports them: flat or nested, in JSON or as a table."""

from typing import Final

from router_model.training.importing.adapter import Adapter
from router_model.training.importing.conversion import Source
from router_model.training.importing.spans.conversion import convert_spans, follows, span_notes
from router_model.training.importing.spans.openinference import OPENINFERENCE, is_annotation
from router_model.training.importing.spans.transport import LISTS


def _recognises(record: Source) -> bool:
    return is_annotation(record) or follows(record, OPENINFERENCE)


ADAPTER: Final = Adapter(
    "openinference", "OpenInference (Arize Phoenix)", _recognises, convert_spans, lists=LISTS, notes=span_notes
)
