"""Give an answer of a model with an effort to the candidate that the catalog has of both.

Tools log the effort of a call beside its model, each at its own place. What is looked for is OpenAI's
``reasoning_effort`` and ``reasoning.effort``, in the record itself and in the places where tools keep the parameters or
the body of a request. Spans of OpenTelemetry have no agreed place for it, so theirs is not read.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from router_model.catalog import Catalog
from router_model.features.prompt import asked_effort
from router_model.training.importing.conversion import Row, Source

Efforts: TypeAlias = Mapping[tuple[str, str], str]
"""(model, effort) -> the candidate's id."""

_HOLDERS: Final = (
    *("model_parameters", "modelParameters", "parameters", "optional_params", "body", "request_body", "request"),
    *("request_kwargs", "standard_logging_object", "proxy_server_request", "response", "kwargs"),
)
"""Fields that hold parameters or a body, in the order of trust; they may hold one another, once."""
_DEPTH: Final = 2


def efforts_of(catalog: Catalog) -> Efforts:
    """Return the candidates of a catalog that are models with an effort."""
    cards = catalog.cards.values()
    return {(card.served_model, card.reasoning_effort): card.model for card in cards if card.reasoning_effort}


def give_to_candidates(rows: list[Row], record: Source, efforts: Efforts) -> int:
    """Set the model of rows to the candidate's, where the record has an effort; return how many there were.

    Examples
    --------
    >>> rows = [{"model": "gpt-5", "quality": 1.0}]
    >>> record = {"model": "gpt-5", "model_parameters": {"reasoning_effort": "high"}}
    >>> give_to_candidates(rows, record, {("gpt-5", "high"): "gpt-5:high"}), rows[0]["model"]
    (1, 'gpt-5:high')
    """
    effort = next(_efforts_in(record, _DEPTH), None)
    if effort is None:
        return 0
    known = [(row, candidate) for row in rows if (candidate := efforts.get((str(row.get("model")), effort)))]
    for row, candidate in known:
        row["model"] = candidate
    return len(known)


def _efforts_in(fields: Mapping[str, Any], depth: int) -> Iterator[str]:
    effort = asked_effort(fields)
    if effort is not None:
        yield effort
    for name in _HOLDERS if depth else ():
        held = fields.get(name)
        if isinstance(held, str) and held.startswith("{"):  # tables of other tools keep objects as text
            try:
                held = json.loads(held)
            except (ValueError, RecursionError):
                continue
        if isinstance(held, Mapping):
            yield from _efforts_in(held, depth - 1)
