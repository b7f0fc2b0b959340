"""Write a report as one HTML file that loads nothing and runs no script.

Charts are drawn in two widths as SVG that takes its colours from the page, and the page shows the one that fits. So the
same file is read on a phone, in the dark, and on paper. A content-security policy in the page forbids scripts and every
connection.
"""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from router_model.charts.output import to_svg
from router_model.charts.theme import DARK, LIGHT, css_variables
from router_model.install_line import install_line
from router_model.pages.blocks import Figure, Page

NARROW: Final = 344
WIDE: Final = 760

_CODE = re.compile(r"`([^`]+)`")
_NOT_IN_IDS = re.compile(r"[^a-z0-9]+")


def write_page(page: Page, path: Path) -> None:
    """Write a report; the file's folder has to exist."""
    path.write_text(render(page), encoding="utf-8")


def render(page: Page) -> str:
    """Return a report as one HTML document; equal reports give equal documents."""
    environment = _environment()
    style = _style()
    digest = b64encode(sha256(style.encode()).digest()).decode("ascii")
    return str(environment.get_template("page.html.j2").render(page=page, style=style, style_hash=f"sha256-{digest}"))


def _style() -> str:
    """Return the style sheet with the colours of both themes; what is printed is light."""
    text = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {css_variables(DARK)} }} }}"
    return f":root {{ {css_variables(LIGHT)} }}\n{dark}\n{text}"


@cache
def _environment() -> Any:
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  (extra)
    except ImportError as exc:
        raise ImportError(f"reports need jinja2: {install_line('report')}") from exc
    environment = Environment(
        loader=PackageLoader("router_model.pages", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "inline": _inline,
        "anchor": anchor,
        "drawn": _drawn,
        "kind": lambda one: type(one).__name__,
    }
    return environment


def anchor(title: str) -> str:
    """Return the id of a section.

    >>> anchor("Savings, by task")
    'savings-by-task'
    """
    return _NOT_IN_IDS.sub("-", title.lower()).strip("-")


def _inline(text: str) -> Any:
    """Escape a text, and mark the words between backticks as code."""
    from markupsafe import Markup, escape  # noqa: PLC0415  (comes with jinja2)

    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  (escaped before)


def _drawn(figure: Figure) -> Any:
    """Draw a chart in both widths."""
    from markupsafe import Markup  # noqa: PLC0415

    wide, narrow = (to_svg(figure.draw(width), theme="page") for width in (WIDE, NARROW))
    return Markup(f'<div class="wide">{wide}</div><div class="narrow">{narrow}</div>')  # noqa: S704  (our own SVG)
