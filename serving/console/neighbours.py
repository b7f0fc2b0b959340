"""The logged training prompts most like the prompt of a decision, and how each model did on them.

They are found anew from the text that the log keeps, by the router that decided, or else by the one that is served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.responses import Response

from router_model.explanation_records import LoggedOutcome, Neighbour
from router_model.goal import OwnTradeoff
from router_model.serving.common.router_names import DEFAULT_ROUTER
from router_model.serving.console.previews import CHAMPION, TITLES, router_of, side_id, side_of
from router_model.serving.console.visit import Page, Visit
from router_model.serving.decision_log.log_records import DecisionRecord
from router_model.serving.engine.query import Query
from router_model.wording import shortened

_MODELS_SHOWN: Final = 4
"""Models of the plan with a column of their own."""
_CHARS_SHOWN: Final = 400
_NO_TEXT: Final = (
    "The log keeps no text of this prompt, so it cannot be compared with logged ones; 'full' prompts can be "
    "(--log-prompts)"
)


@dataclass(frozen=True, slots=True)
class NeighbourRow:
    """A logged prompt.

    Attributes
    ----------
    name : its id in the training table; '' if the router has none
    text : '' if the router keeps no texts
    similarity : float
    outcomes : of each model that has a column, in words
    n_succeeded, n_known : of all models, on this prompt
    """

    name: str
    text: str
    similarity: float
    outcomes: Sequence[str]
    n_succeeded: int
    n_known: int


async def show(visit: Visit) -> Response:
    """Show the neighbours of a decision's prompt; as a part of its page, or alone."""
    record = await visit.decision()
    template = "decision_neighbours.html" if visit.is_partial else "decision_neighbours_page.html"
    return visit.render(template, record=record, **await _found(visit, record))


async def _found(visit: Visit, record: DecisionRecord) -> Mapping[str, Any]:
    decided_by = record.router or DEFAULT_ROUTER
    name = decided_by if decided_by in visit.parts.engines else visit.parts.engines.default_name
    side = await side_of(visit.parts, name, record.artifact)
    models = [one.model for one in record.candidates[:_MODELS_SHOWN]]
    found: dict[str, Any] = {"why_not": "", "rows": [], "models": models, "router": TITLES[side or CHAMPION]}
    found |= {"is_another": side is None, "shows_prompts": visit.sees_all}
    if record.messages is None:
        return found | {"why_not": _NO_TEXT}
    engine = visit.parts.engines[name]
    if engine.router is None:
        return found | {"why_not": "No router is loaded"}
    router = await router_of(visit.parts, side_id(visit.parts, name, side or CHAMPION))
    goal = OwnTradeoff(record.quality_bar)
    query = Query(_body(record.messages), surface="console", goal=goal, key_id=visit.caller.key_id, explain=True)
    decision = await engine.preview(router, query)
    near = () if decision.explanation is None else decision.explanation.neighbours
    return found | {"rows": [_row(one, models, shows_prompt=visit.sees_all) for one in near]}


def _body(messages: str) -> Mapping[str, Any]:
    content = orjson.loads(messages)
    return {"messages": content if isinstance(content, list) else [{"role": "user", "content": content}]}


def _row(near: Neighbour, models: Sequence[str], *, shows_prompt: bool) -> NeighbourRow:
    """Describe a neighbour; prompts that a router learned from are other callers', so not every key sees them."""
    by_model = {outcome.model: outcome for outcome in near.outcomes}
    known = [outcome.success for outcome in near.outcomes if outcome.success is not None]
    return NeighbourRow(
        name=(near.prompt_id or "") if shows_prompt else "",
        text=shortened(near.text or "", _CHARS_SHOWN) if shows_prompt else "",
        similarity=near.similarity,
        outcomes=[_in_words(by_model.get(model)) for model in models],
        n_succeeded=sum(known),
        n_known=len(known),
    )


def _in_words(outcome: LoggedOutcome | None) -> str:
    if outcome is None or outcome.quality_from is None:
        return "not tried"
    return {True: "succeeded", False: "failed", None: "near the bar"}[outcome.success]


PAGES: Final = (Page("/decisions/{decision_id}/neighbours", show),)
