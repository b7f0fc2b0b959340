"""*Playground*: type a prompt and watch the plan change; send it to models, and see answers and bills side by side."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from starlette.responses import Response

from router_model.serving.common.callers import Role
from router_model.serving.common.router_names import AUTO
from router_model.serving.common.service_errors import InvalidRequestError, NotFoundError, ServiceError
from router_model.serving.console.previews import CHALLENGER, CHAMPION, preview_plans, side_id, sides_at_hand
from router_model.serving.console.prompt_input import PlaygroundPrompt, read_asked
from router_model.serving.console.sending import MOST_MODELS, SentAnswer, send
from router_model.serving.console.visit import READERS, Page, Visit
from router_model.serving.proxy.preferences import NONE
from router_model.serving.proxy.proxy import Proxy

_TO: Final = "to:"
"""Before a model's id in the name of its box: send the prompt to it."""
_MOST_OFFERED: Final = 500
_NO_PROXY: Final = "no providers are configured, so nothing can be sent; start the service with --providers"


async def show(visit: Visit) -> Response:
    """Show the form, without a prompt."""
    return visit.render("playground.html", **await _page(visit))


async def plan(visit: Visit) -> Response:
    """Show what the routers would do with the prompt."""
    error, plans, asked, page = "", [], None, await _page(visit)
    try:
        asked = await _asked(visit)
        if asked is not None and page["chosen"]:
            unavailable = _unavailable(visit.parts.proxy, visit)
            key_id = visit.caller.key_id
            plans = await preview_plans(visit.parts, page["chosen"], asked, key_id=key_id, unavailable=unavailable)
    except ServiceError as exc:
        error = exc.message
    template = "playground_plan.html" if visit.is_partial else "playground.html"
    return visit.render(template, **page | {"error": error, "plans": plans, "asked": asked})


async def send_to_models(visit: Visit) -> Response:
    """Send the prompt to the chosen models: each by a request of its own, or one after the other without scripts."""
    models = _chosen(visit)
    if visit.is_partial:
        return visit.render("playground_calls.html", models=models)
    answers = [await _answer(visit, model) for model in models]
    return visit.render("playground.html", **await _page(visit) | {"answers": answers})


async def call(visit: Visit) -> Response:
    """Send the prompt to one model, and show its answer and bill."""
    model = visit.form.get("model", "")
    return visit.render("playground_answer.html", answer=await _answer(visit, model))


async def _answer(visit: Visit, model: str) -> SentAnswer:
    proxy, asked = _proxy(visit), await _asked(visit)
    if asked is None:
        raise InvalidRequestError("there is no prompt to send; type one", param="prompt")
    return await send(visit.request, proxy, visit.caller, asked.body, model)


def _chosen(visit: Visit) -> list[str]:
    """Return the models whose boxes are ticked, and the one that was typed."""
    models = [name.removeprefix(_TO) for name in visit.form if name.startswith(_TO)]
    typed = visit.form.get("other", "").strip()
    models += [typed] if typed and typed not in models else []
    _proxy(visit)
    if not models:
        raise InvalidRequestError("no model is chosen; tick one of the plan, or type its id", param="to")
    if len(models) > MOST_MODELS:
        raise InvalidRequestError(f"{len(models)} models are chosen; expected at most {MOST_MODELS}", param="to")
    return models


def _proxy(visit: Visit) -> Proxy:
    if visit.parts.proxy is None:
        raise NotFoundError(_NO_PROXY)
    return visit.parts.proxy


async def _asked(visit: Visit) -> PlaygroundPrompt | None:
    """Read the form; a long prompt in the thread for long bodies."""
    bodies = visit.parts.bodies
    return await bodies.aside(visit.caller, partial(read_asked, visit.form, bodies.parsed))


def _unavailable(proxy: Proxy | None, visit: Visit) -> tuple[str, ...]:
    """Return the models that the proxy could not call; without one all can be, by whoever asks for decisions."""
    return () if proxy is None else proxy.candidates.unavailable(visit.parts.engines.cards or (), NONE)


def _chosen_sides(visit: Visit, sides: Mapping[str, str]) -> list[str]:
    """Return the one or two routers whose plans are shown; at first the champion, and a challenger beside it."""
    if "router" not in visit.form:
        usual = [side_id(visit.parts, visit.router, side) for side in (CHAMPION, CHALLENGER)]
        return [side for side in usual if side in sides] or list(sides)[:1]
    return list(dict.fromkeys(filter(None, (visit.form["router"], visit.form.get("beside")))))


async def _page(visit: Visit) -> dict[str, Any]:
    proxy, router, sides = visit.parts.proxy, visit.parts.engines.default.router, await sides_at_hand(visit.parts)
    autos = [AUTO[0], *(f"{AUTO[0]}:{name}" for name in visit.routers)]
    served = [] if proxy is None else [*autos, *proxy.candidates.served_models]
    why_not = _NO_PROXY if proxy is None else ""
    if not why_not and Role.PROXY not in visit.caller.roles:
        why_not = f"the key '{visit.key_name}' lacks the role 'proxy', so it can send nothing"
    return {
        "form": visit.form,
        "own_bar": 0.5 if router is None else router.artifact.operating_point.quality_bar,
        "sides": sides,
        "chosen": _chosen_sides(visit, sides),
        "why_no_sending": why_not,
        "served": served[:_MOST_OFFERED],
        "most_models": MOST_MODELS,
        "error": "",
        "plans": [],
        "asked": None,
        "answers": [],
    }


_SENDERS: Final = frozenset({Role.PROXY})
PAGES: Final = (
    Page("/playground", show, "Playground", roles=READERS),
    Page("/playground", plan, roles=READERS, method="POST"),
    Page("/playground/send", send_to_models, roles=_SENDERS, method="POST"),
    Page("/playground/call", call, roles=_SENDERS, method="POST"),
)
