"""All pages of the console, in the order of its navigation."""

from typing import Final

from router_model.serving.console import decisions, now, spend

PAGES: Final = (*now.PAGES, *decisions.PAGES, *spend.PAGES)
