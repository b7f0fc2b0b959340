"""*Catalog*: the models, their prices and how old those are, limits, capabilities and health."""

from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from router_model.serving.console.catalog_view import Standing, catalog_page
from router_model.serving.console.visit import Page, Visit

_LONGEST_SEARCH: Final = 200
_MOST_DIGITS: Final = 6


async def show(visit: Visit) -> Response:
    """Show a page of the models that match."""
    search, standing, number = visit.query("q")[:_LONGEST_SEARCH], visit.query("standing"), visit.query("page")
    found = catalog_page(
        visit.parts.engine.router,
        visit.parts.proxy,
        today=datetime.now(UTC).date(),
        search=search,
        standing=standing if standing in list(Standing) else "",
        number=int(number) if number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS else 1,
    )
    template = "catalog_rows.html" if visit.is_partial else "catalog.html"
    return visit.render(
        template,
        found=found,
        search=search,
        standing=standing,
        standings=list(Standing),
        has_router=visit.parts.engine.router is not None,
        has_proxy=visit.parts.proxy is not None,
    )


PAGES: Final = (Page("/catalog", show, "Catalog"),)
