"""*Now*."""

from typing import Final

from starlette.responses import Response

from router_model.serving.console.visit import Page, Visit


async def show(visit: Visit) -> Response:
    """Show the page."""
    return visit.render("now.html")


PAGES: Final = (Page("", show, "Now"),)
