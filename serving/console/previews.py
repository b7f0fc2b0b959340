"""Ask the routers that are loaded what they would do with a prompt, without doing it."""

import asyncio
from collections.abc import Sequence

from router_model.router import Router
from router_model.serving.console.plan_views import PlanView, plan_view, short_hash
from router_model.serving.console.prompt_input import AskedPrompt
from router_model.serving.engine.engine import Engine
from router_model.serving.http_edge.error_answers import as_service_error, failed

CHAMPION, CHALLENGER = "champion", "challenger"


async def preview_plans(
    engine: Engine, asked: AskedPrompt, *, key_id: str, unavailable: Sequence[str]
) -> list[PlanView]:
    """Return what each router that is loaded would do, the champion first; an error of one stands in its place.

    Parameters
    ----------
    key_id, unavailable : as of `AskedPrompt.query`
    """

    async def one(side: str, router: Router) -> PlanView:
        try:
            query = asked.query(known=router.models, key_id=key_id, unavailable=unavailable)
            return plan_view(side, router, await engine.preview(router, query))
        except Exception as exc:  # noqa: BLE001  (the page says it; what nobody expected is logged with an id)
            error = as_service_error(exc) or failed(exc, "a preview in the console")
            return PlanView(side, short_hash(router), error=error.message)

    return list(await asyncio.gather(*(one(side, router) for side, router in loaded_routers(engine).items())))


def loaded_routers(engine: Engine) -> dict[str, Router]:
    """Return the routers that are loaded, by what they are; empty if none is."""
    champion, contender = engine.router, engine.challenging.contender
    found = {} if champion is None else {CHAMPION: champion}
    return found if contender is None else found | {CHALLENGER: contender.router}
