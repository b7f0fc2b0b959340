"""Values over a growing amount, such as of requests or prompts, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from router_model.charts.extra import altair
from router_model.charts.layout import Width, data, finished, pixels
from router_model.charts.theme import LIGHT, SERIES

if TYPE_CHECKING:
    from altair import LayerChart

_MOST_TICKS: Final = 12


@dataclass(frozen=True, slots=True)
class Grown:
    """A value at an amount.

    Attributes
    ----------
    amount : above 0
    value : float
    series : the line it belongs to
    low, high : its interval; None without one
    """

    amount: float
    value: float
    series: str
    low: float | None = None
    high: float | None = None


def growth(
    values: Sequence[Grown],
    *,
    axis: str,
    unit: str,
    description: str,
    title: str = "",
    reference: float | None = None,
    reference_label: str = "",
    joined: bool = True,
    from_zero: bool = True,
    width: Width = 640,
    height: int = 300,
) -> "LayerChart":
    """Draw lines over a logarithmic amount.

    Parameters
    ----------
    axis, unit : what the horizontal and the vertical axis show
    reference : a dashed line across
    reference_label : what it is, which stands above the chart
    joined : whether the points of a series are joined by a line
    from_zero : whether the vertical axis holds 0

    Raises
    ------
    ValueError
        If there are no values, or an amount is not above 0.
    """
    if not values or min(one.amount for one in values) <= 0:
        raise ValueError(f"got {len(values)} values to draw; expected at least one, and amounts above 0")
    alt, size = altair(), pixels(width)
    names = list(dict.fromkeys(one.series for one in values))
    rows = [
        {
            "amount": one.amount,
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "series": one.series,
            "full": f"{one.series}, {one.amount:,g}: {one.value:.4g}",
        }
        for one in values
    ]
    amounts = sorted({one.amount for one in values})
    ticks = amounts if len(amounts) <= _MOST_TICKS else alt.Undefined
    x = alt.X(
        "amount:Q",
        scale=alt.Scale(type="log", nice=False, padding=12),
        axis=alt.Axis(title=axis, values=ticks, format=",~r", grid=False, labelOverlap="greedy"),
    )
    ruler = alt.Axis(title=None, tickCount=5)
    colours = [LIGHT[role] for role in ("ours", *SERIES[1:])]
    colour = alt.Color(
        "series:N",
        sort=names,
        scale=alt.Scale(domain=names, range=[colours[place % len(colours)] for place in range(len(names))]),
        legend=alt.Legend(
            orient="top",
            columns=max(1, size // 160),
            symbolType="stroke" if joined else "circle",
            symbolSize=90,
            symbolOpacity=1,
        ),
    )
    chart = alt.Chart(data(rows))
    y = alt.Y("value:Q", axis=ruler, scale=alt.Scale(zero=from_zero))
    layers = [
        chart.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=1.6, opacity=0.6, aria=False)
        .encode(x=x, y=alt.Y("low:Q", axis=ruler), y2="high:Q", color=colour),
        *([chart.mark_line(strokeWidth=2, aria=False).encode(x=x, y=y, color=colour)] if joined else []),
        chart.mark_point(filled=True, size=45, opacity=1).encode(
            x=x, y=y, color=colour, description="full:N", tooltip=alt.Tooltip("full:N", title=" ")
        ),
    ]
    if reference is not None:
        at = alt.Chart(data([{"at": reference}]))
        line = at.mark_rule(color=LIGHT["rule"], strokeDash=[4, 3], aria=False)
        layers.append(line.encode(y=alt.Y("at:Q", axis=ruler)))
        unit += f"; dashed: {reference_label}" if reference_label else ""
    return finished(
        layers, width=width, height=height + 24 * bool(title), description=description, title=title, values=unit
    )
