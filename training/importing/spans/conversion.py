"""Convert spans into outcomes, each by the convention that it follows and with the events that belong to it.

A span without the prompt cannot be used, because nothing can be learned from it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from router_model.training.importing.adapter import Around
from router_model.training.importing.conversion import Conversion, Row, Source, is_missing
from router_model.training.importing.notes import Note
from router_model.training.importing.problems import Problem, RecordError
from router_model.training.importing.scores import quality_of
from router_model.training.importing.spans.convention import EVALUATION, OTHER, Convention, event_scores, kept
from router_model.training.importing.spans.genai import EVENTS, GENAI, INFERENCE
from router_model.training.importing.spans.openinference import OPENINFERENCE, annotation, is_annotation
from router_model.training.importing.spans.transport import Event, Span, holds_spans, raw_spans, span_of
from router_model.training.importing.spans.vercel import VERCEL

CONVENTIONS: Final = (VERCEL, OPENINFERENCE, GENAI)
"""Conventions in the order in which they are tried, because spans of the AI SDK have GenAI attributes too."""


def convert_spans(record: Source, around: Around) -> Conversion:
    """Convert the spans and log records of a record, in whatever container they come."""
    if is_annotation(record):
        return Conversion([], {"annotations": 1})
    rows: list[Row] = []
    failed: list[tuple[Problem, Source]] = []
    skipped: Counter[str] = Counter()
    for raw, resource in raw_spans(record):
        try:
            found = _outcome(span_of(raw, resource), around)
        except RecordError as exc:
            failed.append((exc.problem, raw))
        else:
            if isinstance(found, str):
                skipped[found] += 1
            else:
                rows.append(found)
    return Conversion(rows, skipped, failed)


def _outcome(span: Span, around: Around) -> Row | str:
    """Return the row of a call, or the kind of a span that is not an answered call."""
    if span.is_log and not _stands_alone(span, around):
        return "log records about spans"
    convention = convention_of(span)
    if convention is None:
        return OTHER
    other = convention.skipped_as(span)
    if other is not None:
        return other
    if span.is_error:
        return "failed calls"
    events = [*span.events, *_told_elsewhere(span, around)]
    row = convention.row(span, events)
    scores = [*convention.scores(span), *event_scores(events), *_annotations(span, around)]
    return {**row, "quality": quality_of(scores), "extra": kept(span, row)}


def convention_of(span: Span) -> Convention | None:
    """Return the convention that a span follows."""
    return next((one for one in CONVENTIONS if one.claims(span)), None)


def follows(record: Source, convention: Convention) -> bool:
    """Whether a span of the record follows a convention."""
    if not holds_spans(record):
        return False
    try:
        return any(convention_of(span_of(raw, resource)) is convention for raw, resource in raw_spans(record))
    except RecordError:
        return False  # the adapter that is tried next reports the problem of the spans


def _stands_alone(span: Span, around: Around) -> bool:
    """Whether a log record holds a whole call whose span is in none of the files."""
    if span.events[0].name != INFERENCE or is_missing(span.attributes.get("gen_ai.input.messages")):
        return False
    return not around.notes_of(f"{span.key()}:call")


# --- what belongs together -------------------------------------------------------------------------------


def span_notes(record: Source, around: Around) -> Iterable[Note]:
    """Note log records and annotations under the span that they describe, and note which spans exist."""
    del around
    if is_annotation(record):
        span_id, score = annotation(record)
        return [Note(f"annotation:{span_id}", score)]
    return [note for raw, resource in raw_spans(record) for note in _notes_of(span_of(raw, resource))]


def _notes_of(span: Span) -> Iterator[Note]:
    if not span.is_log:
        convention = convention_of(span)
        if span.key() and convention is GENAI and GENAI.skipped_as(span) is None:
            yield Note(f"{span.key()}:call", 1)
        return
    event = span.events[0]
    if event.name not in EVENTS and event.name != EVALUATION:
        return
    key = span.key() or _response_key(span)
    if key:
        yield Note(key, [event.name, event.attributes])


def _response_key(span: Span) -> str:
    response = span.attributes.get("gen_ai.response.id")
    return "" if is_missing(response) else f"response:{response}"


def _told_elsewhere(span: Span, around: Around) -> list[Event]:
    keys = [] if span.is_log else [key for key in (span.key(), _response_key(span)) if key]
    return [Event(name, attributes) for key in keys for name, attributes in around.notes_of(key)]


def _annotations(span: Span, around: Around) -> list[tuple[str, object]]:
    if not span.span_id:
        return []
    return [(name, value) for name, value in around.notes_of(f"annotation:{span.span_id}")]
