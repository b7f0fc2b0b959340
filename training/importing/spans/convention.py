"""The interface of a convention for span attributes, and the functions that all conventions share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from router_model.training.importing.conversion import Row, is_missing
from router_model.training.importing.spans.transport import Event, Span

OTHER: Final = "spans of other operations"
EMBEDDINGS: Final = "embedding calls"
EVALUATION: Final = "gen_ai.evaluation.result"
"""The name of the event that holds a score of a call."""

_KEPT_RESOURCE: Final = frozenset(
    {"service.name", "service.version", "deployment.environment", "deployment.environment.name"}
)
_KEPT_PREFIXES: Final = (
    "gen_ai.operation.", "gen_ai.provider.", "gen_ai.system", "gen_ai.request.", "gen_ai.usage.",
    "gen_ai.response.finish", "gen_ai.response.id", "gen_ai.output.type", "llm.request.type", "llm.usage.",
    "llm.provider", "llm.system", "llm.token_count.", "llm.cost.", "openinference.span.kind", "ai.operationId",
    "ai.model.", "ai.usage.", "ai.response.finishReason", "ai.response.msToFirstChunk",
)  # fmt: skip
_NEVER_KEPT: Final = ("user", "header", "instructions")


class Convention(NamedTuple):
    """How one family of instrumentations names the attributes of a span.

    Attributes
    ----------
    tool : str
        Name of the tool in messages.
    claims : callable
        Whether a span follows the convention.
    skipped_as : callable
        Return the kind of a span that is not a call of a chat model; None if it is one.
    row : callable
        Return the outcome of a call from its span and all its events. `quality` and `extra` are filled in
        by the caller.
    scores : callable
        Return the names and values of the scores that the span itself holds.
    """

    tool: str
    claims: Callable[[Span], bool]
    skipped_as: Callable[[Span], str | None]
    row: Callable[[Span, Sequence[Event]], Row]
    scores: Callable[[Span], list[tuple[str, Any]]]


def event_scores(events: Sequence[Event]) -> list[tuple[str, Any]]:
    """Return the names and values of evaluation events."""
    return [
        (str(event.attributes.get("gen_ai.evaluation.name")), event.attributes.get("gen_ai.evaluation.score.value"))
        for event in events
        if event.name == EVALUATION
    ]


def kept(span: Span, placed: Mapping[str, Any]) -> Row:
    """Return the values of a span for ``extra``: ids, harmless attributes by name, and the service that ran.

    Parameters
    ----------
    span : Span
    placed : mapping
        The row so far; values that it already has are not kept twice.
    """
    known = [value for value in placed.values() if isinstance(value, str | int | float)]
    extra: Row = {
        key: value
        for key, value in span.attributes.items()
        if key.startswith(_KEPT_PREFIXES)
        and not any(word in key.lower() for word in _NEVER_KEPT)
        and not is_missing(value)
        and value not in known
    }
    extra |= {name: value for name, value in (("traceId", span.trace_id), ("spanId", span.span_id)) if value}
    resource = {key: value for key, value in span.resource.items() if key in _KEPT_RESOURCE}
    return extra | ({"resource": resource} if resource else {})
