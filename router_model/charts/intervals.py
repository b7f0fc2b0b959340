"""Rows of values with their intervals: savings by task, paired differences, changes against their limits."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from router_model.charts.extra import altair
from router_model.charts.layout import NARROW, Width, data, finished, names_above, pixels
from router_model.charts.names import short_name
from router_model.charts.theme import FONT_SIZE, LIGHT

if TYPE_CHECKING:
    from altair import LayerChart

Kind = Literal["good", "bad", "neutral", "ours"]

_ROW: Final = 26
_NARROW_ROW: Final = 42
_AXIS: Final = 46
_PIECE: Final = 11
_WIDEST_LETTER: Final = 0.62
"""Of the font's size: the mean in the widest font that a reader's system may show instead of ours."""
_SHAPES: Final = {"good": "circle", "bad": "square", "neutral": "diamond", "ours": "circle"}


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """A value with its interval.

    Attributes
    ----------
    label : what it is of
    value : None if it is not known
    low, high : None without an interval
    kind : its colour and form; None: by the side of 0 on which the interval lies
    note : said instead of the value, if there is any
    """

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    kind: Kind | None = None
    note: str = ""


def intervals(
    rows: Sequence[IntervalRow],
    *,
    axis: str,
    description: str,
    title: str = "",
    limits: Sequence[float] = (),
    lower_is_better: bool = False,
    reach: tuple[float, float] | None = None,
    axis_format: str = "",
    write: Callable[[float], str] = "{:.2f}".format,
    width: Width = 640,
) -> "LayerChart":
    """Draw one row for each value, with its interval and its number; the first is on top.

    Parameters
    ----------
    axis : what is drawn, with its unit
    limits : values that matter, dashed lines; that of no difference, 0, is a strong one
    lower_is_better : what lies below 0 is good
    reach : the axis' ends; what lies beyond is an arrow at the end, beside its number
    axis_format : of d3, for the numbers of the axis
    write : writes the number of a row

    Raises
    ------
    ValueError
        If there are no rows.
    """
    if not rows:
        raise ValueError("no rows to draw; expected at least one value")
    alt, size = altair(), pixels(width)
    is_narrow = size < NARROW
    lines = [*limits, 0.0]
    ends = reach or _reach(rows, lines)
    drawn = [_drawn(row, place, ends, write=write, lower_is_better=lower_is_better) for place, row in enumerate(rows)]
    scale = alt.Scale(type="linear", domain=list(ends), nice=False, zero=False)
    form = {"format": axis_format} if axis_format else {}
    ruler = alt.Axis(title=axis, **form, tickCount=max(3, size // 130), labelFlush=True)
    y = names_of_rows([row.label for row in rows], size)
    marks = alt.Chart(data([one for one in drawn if one["value"] is not None]))
    shared = {"y": y, "color": alt.Color("colour:N", scale=None)}
    layers = [
        *(_line(at, scale, ruler, strong=at == 0, rows=y if is_narrow else None, n=len(rows)) for at in lines),
        marks.transform_filter("isValid(datum.low)")
        .mark_rule(strokeWidth=2.5, opacity=0.75, aria=False)
        .encode(x=alt.X("low:Q", scale=scale, axis=ruler), x2="high:Q", **shared),
        marks.mark_point(filled=True, size=75, opacity=1).encode(
            x=alt.X("value:Q", scale=scale, axis=ruler),
            shape=alt.Shape("shape:N", scale=None),
            description="full:N",
            tooltip=alt.Tooltip("full:N", title=" "),
            **shared,
        ),
        *_texts(drawn, y, is_narrow=is_narrow),
    ]
    height = len(rows) * (_NARROW_ROW if is_narrow else _ROW) + _AXIS + 28 * bool(title)
    return finished(
        layers,
        width=width,
        height=height,
        description=description,
        title=title,
        padding={"top": 10} if is_narrow else None,
    )


def names_of_rows(names: Sequence[str], size: int) -> Any:
    """Return the vertical axis of rows (field `row`: their numbers); on narrow charts names stand above the rows."""
    alt = altair()
    shown = json.dumps([short_name(name, 44) for name in names], ensure_ascii=False)
    longest = max((len(short_name(name, 44)) for name in names), default=0)
    axis = alt.Axis(
        labelExpr=f"{shown}[+datum.value]",
        labelColor=LIGHT["ink"],
        labelLimit=0.4 * size,
        minExtent=min(_WIDEST_LETTER * FONT_SIZE * longest, 0.4 * size),
        grid=False,
    )
    return alt.Y(
        "row:O",
        sort=[str(place) for place in range(len(names))],
        title=None,
        axis=None if size < NARROW else axis,
        scale=alt.Scale(padding=0.1),
    )


def _line(at: float, scale: Any, ruler: Any, *, strong: bool, rows: Any, n: int) -> Any:
    """Return a line through all rows; where names stand above the rows, a piece of it in each row, below the name."""
    alt = altair()
    look = {"color": LIGHT["ink"] if strong else LIGHT["rule"], "aria": False}
    x = alt.X("at:Q", scale=scale, axis=ruler)
    if rows is None:
        dash = [1, 0] if strong else [4, 3]
        return alt.Chart(data([{"at": at}])).mark_rule(strokeDash=dash, strokeWidth=1, **look).encode(x=x)
    pieces = alt.Chart(data([{"at": at, "row": str(place)} for place in range(n)]))
    return pieces.mark_tick(orient="vertical", size=_PIECE, thickness=1, **look).encode(x=x, y=rows)


def _texts(drawn: Sequence[dict[str, Any]], y: Any, *, is_narrow: bool) -> list[Any]:
    """Return what stands beside the rows: their numbers on the right, and on narrow charts their names above."""
    alt = altair()
    chart = alt.Chart(data(drawn))
    if not is_narrow:
        said = chart.mark_text(align="left", color=LIGHT["ink"], aria=False)
        return [said.encode(x=alt.value({"expr": "width + 10"}), y=y, text="said:N")]
    return names_above(drawn, y, dy=-8)


def _drawn(
    row: IntervalRow,
    place: int,
    ends: tuple[float, float],
    *,
    write: Callable[[float], str],
    lower_is_better: bool,
) -> dict[str, Any]:
    """Return a row as it is drawn, within the ends of the axis."""
    kind = row.kind or _side(row, lower_is_better=lower_is_better)
    said = row.note or ("not known" if row.value is None else write(row.value))
    between = "" if row.low is None or row.high is None else f" (95 %: {write(row.low)} to {write(row.high)})"
    low, high = ends
    inside = {
        name: None if value is None else min(max(value, low), high)
        for name, value in (("value", row.value), ("low", row.low), ("high", row.high))
    }
    shape = _SHAPES[kind]
    if row.value is not None and not low <= row.value <= high:
        shape = "triangle-left" if row.value < low else "triangle-right"
    return {
        "row": str(place),
        "label": short_name(row.label, 30),
        "said": said,
        "full": f"{row.label}: {said}{between}",
        "shape": shape,
        "colour": LIGHT[kind],
        **inside,
    }


def _side(row: IntervalRow, *, lower_is_better: bool) -> Kind:
    if row.low is None or row.high is None or row.low <= 0 <= row.high:
        return "neutral"
    return "good" if (row.low > 0) != lower_is_better else "bad"


def _reach(rows: Sequence[IntervalRow], lines: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis that holds all values, intervals and lines, with some margin."""
    ends = [value for row in rows for value in (row.value, row.low, row.high) if value is not None]
    low, high = min([*ends, *lines]), max([*ends, *lines])
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin
