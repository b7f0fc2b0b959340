"""Turn a chart into a picture, a page, or a specification for a page's own script.

`vl-convert-python` draws without a browser and holds Vega's JavaScript, so nothing is fetched from anywhere.
"""

import html
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, Literal

from router_model.charts.extra import altair, vl_convert
from router_model.charts.theme import DARK, LIGHT, PALETTES, css_variables, repaint

if TYPE_CHECKING:
    from altair import TopLevelMixin

Theme = Literal["light", "dark", "page"]

_SVG: Final = "http://www.w3.org/2000/svg"
_GUIDES: Final = ("axis", "legend", "title", "header")
_URL = re.compile(r"url\(#([^)]+)\)")


def to_spec(chart: "TopLevelMixin", *, theme: Theme = "light") -> dict[str, Any]:
    """Return a chart as a Vega-Lite specification of plain JSON types.

    Parameters
    ----------
    theme : ``light``, ``dark``, or ``page``, whose colours are the CSS variables of `theme.css_variables`
        Vega draws those with ``renderer: "svg"`` only.
    """
    return dict(repaint(chart.to_dict(), PALETTES[theme]))


def to_svg(chart: "TopLevelMixin", *, theme: Theme = "light") -> str:
    """Return a chart as an SVG that can stand in a page beside others; equal charts give equal texts.

    Its text stays text. What a mark stands for is its ``<title>``, which browsers show at the pointer. The whole is an
    image with the chart's description as its name.
    """
    spec = to_spec(chart, theme=theme)
    spec["config"] = {**spec.get("config", {}), "background": "transparent"} if theme == "page" else spec["config"]
    drawn = vl_convert().vegalite_to_svg(spec, vl_version=_vl_version())
    return _plain_svg(drawn, str(spec.get("description", "")))


def to_png(chart: "TopLevelMixin", *, theme: Theme = "light", scale: float = 2.0) -> bytes:
    """Return a chart as a PNG; `scale` is the number of dots per pixel."""
    if theme == "page":
        raise ValueError("theme is 'page', whose colours only a page knows; expected 'light' or 'dark'")
    return bytes(vl_convert().vegalite_to_png(to_spec(chart, theme=theme), vl_version=_vl_version(), scale=scale))


def to_html(chart: "TopLevelMixin", *, title: str = "") -> str:
    """Return a page of its own with one chart, which is dark or light as its reader's system; it loads nothing."""
    svg = to_svg(chart, theme="page")
    name = html.escape(title or str(chart.to_dict().get("description", "")) or "chart")
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{css_variables(DARK)}}}}}"
    style = (
        f":root{{{css_variables(LIGHT)}}}{dark}"
        "body{margin:1rem;background:var(--chart-surface);color:var(--chart-ink)}svg{max-width:100%;height:auto}"
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="color-scheme" '
        f'content="light dark"><style>{style}</style></head><body><main>{svg}</main></body></html>'
    )


def javascript() -> str:
    """Return a script that draws specifications in a page, for a server to send as one file; about 0.9 MB.

    It holds Vega, Vega-Lite and Vega-Embed, whose licences are BSD-3-Clause, and defines ``drawCharts(root)``: each
    element with the attribute ``data-chart``, the JSON of `to_spec(theme="page")`, gets its picture. It runs under a
    content-security policy without ``unsafe-eval`` and without inline scripts, because expressions are interpreted.
    Vega-Embed's own styles are left out: style ``#vg-tooltip-element``.
    """
    return _bundle()


@cache
def _bundle() -> str:
    return str(vl_convert().javascript_bundle(_SNIPPET, vl_version=_vl_version()))


_SNIPPET: Final = """
window.drawCharts = (root) => Promise.all(
  Array.from((root || document).querySelectorAll("[data-chart]"), async (element) => {
    const spec = JSON.parse(element.getAttribute("data-chart"));
    const drawn = await vegaEmbed(element, spec, {
      actions: false, ast: true, defaultStyle: false, renderer: "svg",
      tooltip: { disableDefaultStyle: true, theme: "own" },
    });
    element.setAttribute("data-drawn", "");
    return drawn;
  }),
);
"""


def data_chart(chart: "TopLevelMixin") -> str:
    """Return the value of the attribute ``data-chart`` for `javascript`; a template has to escape it."""
    return json.dumps(to_spec(chart, theme="page"), ensure_ascii=False, separators=(",", ":"))


@cache
def _vl_version() -> str:
    """Return the version of Vega-Lite that Altair writes, as vl-convert names it."""
    return ".".join(altair().SCHEMA_VERSION.split(".")[:2])


def _plain_svg(drawn: str, description: str) -> str:
    """Keep of Vega's SVG what a page needs: names of marks become titles, and ids differ between pictures."""
    ET.register_namespace("", _SVG)
    root = ET.fromstring(drawn)  # noqa: S314  (from our own renderer)
    numbers: dict[str, str] = {}  # Vega counts ids on from picture to picture
    for element in root.iter():
        label, kind = element.get("aria-label"), element.get("aria-roledescription")
        is_mark = element.get("role") == "graphics-symbol" and kind not in _GUIDES
        for name in [name for name in element.attrib if name == "role" or name.startswith("aria-")]:
            del element.attrib[name]
        if label and is_mark:
            title = ET.Element(f"{{{_SVG}}}title")
            title.text = label
            element.insert(0, title)
        if "id" in element.attrib:
            numbers[element.attrib["id"]] = f"{len(numbers)}"
    _rename(root, numbers)
    digest = sha256(ET.tostring(root)).hexdigest()[:8]
    _rename(root, {number: f"c{digest}-{number}" for number in numbers.values()})
    root.attrib.pop("class", None)
    root.set("role", "img")
    root.set("aria-label", description)
    return ET.tostring(root, encoding="unicode")


def stacked(pictures: Sequence[str], *, gap: float = 16.0) -> str:
    """Return several SVGs of `to_svg` below each other as one; as wide as the widest."""
    if not pictures:
        raise ValueError("no pictures to stack; expected at least one")
    roots = [ET.fromstring(picture) for picture in pictures]  # noqa: S314  (from our own renderer)
    whole = ET.Element(f"{{{_SVG}}}svg", {"version": "1.1", "role": "img"})
    top = 0.0
    for root in roots:
        root.set("y", f"{top:g}")
        top += float(root.get("height", "0")) + gap
        whole.append(root)
    width, height = max(float(root.get("width", "0")) for root in roots), top - gap
    whole.attrib |= {"width": f"{width:g}", "height": f"{height:g}", "viewBox": f"0 0 {width:g} {height:g}"}
    whole.set("aria-label", "; ".join(root.get("aria-label", "") for root in roots))
    return ET.tostring(whole, encoding="unicode")


def _rename(root: ET.Element, names: Mapping[str, str]) -> None:
    """Exchange ids, and what refers to them."""
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.set(name, names[value])
            elif "url(#" in value:
                element.set(name, _URL.sub(lambda found: f"url(#{names[found.group(1)]})", value))
