"""What all charts share in their making: size, settings, and layers of text that nothing covers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from router_model.charts.extra import altair
from router_model.charts.theme import FONT_SIZE, LIGHT, config

if TYPE_CHECKING:
    from altair import LayerChart

Width = int | Literal["container"]
"""Pixels of the whole chart; ``container`` follows the element of a page, with a script only."""

NARROW: Final = 480
"""Below so many pixels, names stand above what they name instead of beside it."""

ASSUMED_CONTAINER: Final = 640


def pixels(width: Width) -> int:
    """Return the width for which places of labels are computed.

    Raises
    ------
    ValueError
        If it is below 200 pixels, or no number.
    """
    if width == "container":
        return ASSUMED_CONTAINER
    if not isinstance(width, int) or width < 200:  # noqa: PLR2004
        raise ValueError(f"width is {width!r}; expected pixels from 200 on, or 'container'")
    return width


def finished(
    layers: Sequence[Any],
    *,
    width: Width,
    height: float,
    description: str,
    title: str = "",
    values: str = "",
    padding: Mapping[str, float] | None = None,
) -> "LayerChart":
    """Put layers on top of each other and give them the shared settings.

    Parameters
    ----------
    width : of the whole chart
    height : of the whole chart, in pixels
    description : the picture in words, for people who do not see it
    values : what the vertical axis shows, which stands above it
    padding : in pixels around all sides, or some
    """
    alt = altair()
    around = {"left": 2, "top": 4, "right": 6, "bottom": 2, **(padding or {})}
    chart = alt.layer(*layers).properties(
        width=width,
        height=height,
        description=description,
        padding=around,
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        config=config(),
        **_heading(title, values),
    )
    return cast("LayerChart", chart)


def _heading(title: str, values: str) -> dict[str, Any]:
    """Return the lines above a chart; a heading of the vertical axis alone is as quiet as the axis."""
    if title:
        return {"title": {"text": title, **({"subtitle": values} if values else {})}}
    return (
        {"title": {"text": values, "fontWeight": "normal", "fontSize": FONT_SIZE, "color": LIGHT["muted"]}}
        if values
        else {}
    )


def data(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Return rows as inline data, without a data frame."""
    return altair().Data(values=[dict(row) for row in rows])


def rimmed(chart: Any, *, colour: str = LIGHT["ink"], **mark: Any) -> list[Any]:
    """Return text twice: a rim in the page's colour, which parts it from lines below it, and the letters."""
    shared = {"aria": False, **mark}
    rim = chart.mark_text(**shared, stroke=LIGHT["surface"], strokeWidth=4, strokeJoin="round")
    return [rim, chart.mark_text(**shared, color=colour)]


def words(
    rows: Sequence[Mapping[str, Any]], *, size: float = FONT_SIZE, colour: str = LIGHT["ink"], **place: Any
) -> list[Any]:
    """Return two layers of text from the field `text`: a rim in the page's colour, and the letters on top of it.

    Fields `dx` and `dy` move each text, in pixels.

    Parameters
    ----------
    place : encodings of the place, x and y
    """
    chart = altair().Chart(data(rows))
    moved = {"dx": {"expr": "datum.dx"}, "dy": {"expr": "datum.dy"}}
    mark = {"align": "left", "baseline": "middle", "fontSize": size, "lineBreak": "\n", **moved}
    return [each.encode(text="text:N", **place) for each in rimmed(chart, colour=colour, **mark)]


def names_above(rows: Sequence[Mapping[str, Any]], y: Any, *, dy: float = -6, numbers: bool = True) -> list[Any]:
    """Return the names of rows (field `label`) above them, and their numbers (field `said`) on the right."""
    alt = altair()
    chart, shared = alt.Chart(data(rows)), {"baseline": "bottom", "dy": dy}
    found = [each.encode(x=alt.value(0), y=y, text="label:N") for each in rimmed(chart, align="left", **shared)]
    if numbers:
        right = alt.value({"expr": "width"})
        found += [each.encode(x=right, y=y, text="said:N") for each in rimmed(chart, align="right", **shared)]
    return found
