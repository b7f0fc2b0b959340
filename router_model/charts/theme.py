"""The look of every chart: colours by role, for light and dark pages and for print, and the settings that all share.

Charts are built in the light palette. Each of its colours has one role. `repaint` exchanges them for the colours of
another palette. The palette `PAGE` holds names of CSS variables, so that a picture in a page follows the page: dark,
light, or printed. Differences that matter are told apart by form as well as by colour.
"""

from collections.abc import Mapping
from typing import Any, Final

SERIES: Final = ("series1", "series2", "series3", "series4", "series5", "series6", "series7", "series8")
RAMP: Final = ("ramp1", "ramp2", "ramp3", "ramp4", "ramp5", "ramp6", "ramp7", "ramp8")

LIGHT: Final[Mapping[str, str]] = {
    "surface": "#ffffff",
    "ink": "#1d2129",
    "muted": "#5a6270",
    "grid": "#e4e7eb",
    "rule": "#8a919e",
    "ours": "#2456c4",
    "good": "#0c7469",
    "bad": "#b63d0b",
    "neutral": "#717987",
    "series1": "#2f6f9f",
    "series2": "#a8501a",
    "series3": "#2d7a4f",
    "series4": "#8c4799",
    "series5": "#8a6d0f",
    "series6": "#b3365f",
    "series7": "#4a5fb5",
    "series8": "#5f6b3a",
    "ramp1": "#123b73",
    "ramp2": "#1f5a96",
    "ramp3": "#3b79ad",
    "ramp4": "#6498b8",
    "ramp5": "#94b5b4",
    "ramp6": "#c9c28a",
    "ramp7": "#e2ab54",
    "ramp8": "#c97a1f",
    "rest": "#c8ccd3",
}
DARK: Final[Mapping[str, str]] = {
    "surface": "#15181e",
    "ink": "#e8eaee",
    "muted": "#a7afbc",
    "grid": "#2b303a",
    "rule": "#747d8b",
    "ours": "#82adff",
    "good": "#56cdb9",
    "bad": "#ff9a6b",
    "neutral": "#98a1af",
    "series1": "#7db8e0",
    "series2": "#e6a06b",
    "series3": "#7fcb9d",
    "series4": "#d39fe0",
    "series5": "#d9bd5c",
    "series6": "#f08fae",
    "series7": "#a3b2f5",
    "series8": "#b8c48a",
    "ramp1": "#4273b3",
    "ramp2": "#5a8fc9",
    "ramp3": "#77a8d3",
    "ramp4": "#98bfd3",
    "ramp5": "#b5cbc0",
    "ramp6": "#d6cd97",
    "ramp7": "#e9b869",
    "ramp8": "#dd9242",
    "rest": "#4a515d",
}
PAGE: Final[Mapping[str, str]] = {role: f"var(--chart-{role})" for role in LIGHT}
"""For pictures in a page that defines the variables; see `css_variables`."""

PALETTES: Final[Mapping[str, Mapping[str, str]]] = {"light": LIGHT, "dark": DARK, "page": PAGE}

FONT: Final = "Arial, 'Liberation Sans', Helvetica, sans-serif"
FONT_SIZE: Final = 12


def css_variables(palette: Mapping[str, str]) -> str:
    """Return the declarations of a palette's CSS variables, for a style sheet.

    >>> css_variables({"ink": "#000001"})
    '--chart-ink:#000001;'
    """
    return "".join(f"--chart-{role}:{colour};" for role, colour in palette.items())


def repaint(spec: Any, palette: Mapping[str, str]) -> Any:
    """Return a specification of a chart with the light palette's colours exchanged for another one's.

    >>> repaint({"mark": {"color": LIGHT["ours"]}, "x": [1, "text"]}, PAGE)
    {'mark': {'color': 'var(--chart-ours)'}, 'x': [1, 'text']}
    """
    if isinstance(spec, dict):
        return {key: repaint(value, palette) for key, value in spec.items()}
    if isinstance(spec, list):
        return [repaint(value, palette) for value in spec]
    return palette[_ROLES[spec]] if isinstance(spec, str) and spec in _ROLES else spec


def config() -> dict[str, Any]:
    """Return the settings of Vega-Lite that all charts share, in the light palette."""
    quiet = {"labelColor": LIGHT["muted"], "titleColor": LIGHT["muted"], "labelFont": FONT, "titleFont": FONT}
    sizes = {"labelFontSize": FONT_SIZE, "titleFontSize": FONT_SIZE, "titleFontWeight": "normal"}
    return {
        "background": LIGHT["surface"],
        "font": FONT,
        "axis": {
            **quiet,
            **sizes,
            "domain": False,
            "ticks": False,
            "gridColor": LIGHT["grid"],
            "labelPadding": 6,
            "titlePadding": 8,
        },
        "legend": {**quiet, **sizes, "title": None, "labelLimit": 260, "symbolStrokeWidth": 2, "orient": "top"},
        "title": {
            "anchor": "start",
            "color": LIGHT["ink"],
            "font": FONT,
            "fontSize": 13,
            "fontWeight": 600,
            "subtitleColor": LIGHT["muted"],
            "subtitleFont": FONT,
            "subtitleFontSize": FONT_SIZE,
            "offset": 10,
            "frame": "bounds",
        },
        "view": {"stroke": None},
        "range": {"category": [LIGHT[role] for role in SERIES]},
    }


_ROLES: Final = {colour: role for role, colour in LIGHT.items()}
