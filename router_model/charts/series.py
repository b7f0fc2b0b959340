"""Values over time: requests, costs, savings, latencies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from router_model.charts.extra import altair
from router_model.charts.layout import Width, data, finished, pixels
from router_model.charts.theme import LIGHT, SERIES

if TYPE_CHECKING:
    from altair import LayerChart


@dataclass(frozen=True, slots=True)
class Moment:
    """A value at a time.

    Attributes
    ----------
    time : with a time zone
    value : None where there is none, a gap of the line
    series : the line it belongs to
    low, high : its interval, a band; None without one
    """

    time: datetime
    value: float | None
    series: str = ""
    low: float | None = None
    high: float | None = None


_TIMES: Final = {
    "year": "%Y",
    "month": "%b %Y",
    "date": "%d %b",
    "day": "%d %b",
    "hours": "%H:%M",
    "minutes": "%H:%M",
    "seconds": "%H:%M:%S",
}
_COLOURS: Final = ("ours", *SERIES[1:])


def series(
    moments: Sequence[Moment],
    *,
    unit: str,
    description: str,
    stacked: bool = False,
    axis_format: str = "~s",
    write: Callable[[float], str] = "{:,.4g}".format,
    reference: float | None = None,
    title: str = "",
    width: Width = 640,
    height: int = 220,
) -> "LayerChart":
    """Draw lines over time, in UTC, each with its band where intervals are given; or stacked areas.

    Parameters
    ----------
    unit : what the vertical axis shows
    stacked : areas on top of each other, for parts of a whole
    axis_format : of d3, for the vertical axis
    write : writes a value, for the pointer
    reference : a dashed line across

    Raises
    ------
    ValueError
        If there are no moments, or one has no time zone.
    """
    if not moments:
        raise ValueError("no moments to draw; expected at least one")
    for one in moments:
        if one.time.tzinfo is None:
            raise ValueError(f"{one.time.isoformat()} has no time zone; expected one, such as datetime.UTC")
    alt, size = altair(), pixels(width)
    names = list(dict.fromkeys(one.series for one in moments))
    rows = [
        {
            "time": one.time.astimezone(UTC).isoformat(),
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "series": one.series,
            "full": f"{one.time.astimezone(UTC):%d %b %H:%M} {one.series}".strip()
            + f": {'nothing' if one.value is None else write(one.value)}",
        }
        for one in moments
    ]
    x = alt.X(
        "time:T",
        axis=alt.Axis(title=None, format=_TIMES, tickCount=max(3, size // 110), labelOverlap="greedy", grid=False),
        scale=alt.Scale(type="utc"),
    )
    axis = alt.Axis(title=None, format=axis_format, tickCount=4, minExtent=34, maxExtent=34)
    low = min((end for one in moments for end in (one.value, one.low, reference) if end is not None), default=0.0)
    scale = alt.Scale(zero=low >= 0, nice=True)
    colour = alt.Color(
        "series:N",
        sort=names,
        scale=alt.Scale(domain=names, range=[LIGHT[_COLOURS[place % len(_COLOURS)]] for place in range(len(names))]),
        legend=None
        if len(names) == 1
        else alt.Legend(
            orient="top",
            columns=max(1, size // 150),
            symbolType="square" if stacked else "stroke",
            symbolSize=140,
            symbolOpacity=1,
        ),
    )
    chart = alt.Chart(data(rows))
    shown = {"description": "full:N", "tooltip": alt.Tooltip("full:N", title=" ")}
    value = alt.Y("value:Q", axis=axis, scale=scale, stack="zero" if stacked else None)
    if stacked:
        layers = [
            chart.mark_area(opacity=0.9, stroke=LIGHT["surface"], strokeWidth=0.8).encode(
                x=x, y=value, color=colour, **shown
            )
        ]
    else:
        band = chart.transform_filter("isValid(datum.low)").mark_area(opacity=0.18, aria=False)
        layers = [
            band.encode(x=x, y=alt.Y("low:Q", axis=axis, scale=scale), y2="high:Q", color=colour),
            chart.mark_line(strokeWidth=2, aria=False).encode(x=x, y=value, color=colour),
            chart.mark_point(filled=True, size=18, opacity=1).encode(x=x, y=value, color=colour, **shown),
        ]
    if reference is not None:
        line = alt.Chart(data([{"at": reference}])).mark_rule(color=LIGHT["rule"], strokeDash=[4, 3], aria=False)
        layers.append(line.encode(y=alt.Y("at:Q", axis=axis, scale=scale)))
    legend = 0 if len(names) == 1 else 22 * -(-len(names) // max(1, size // 150))
    return finished(
        layers,
        width=width,
        height=height + legend + 24 * bool(title),
        description=description,
        title=title,
        values=unit,
    )
