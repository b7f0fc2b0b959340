"""All pages of the console, in the order of its navigation."""

from typing import Final

from router_model.serving.console import catalog, decisions, neighbours, now, playground, router_page, spend

PAGES: Final = (
    *now.PAGES,
    *decisions.PAGES,
    *neighbours.PAGES,
    *playground.PAGES,
    *router_page.PAGES,
    *catalog.PAGES,
    *spend.PAGES,
)
