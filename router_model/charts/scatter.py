"""Points and curves over cost, with labels that cover nothing."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from router_model.charts.extra import altair
from router_model.charts.labels import Anchor, Place, place_labels
from router_model.charts.layout import NARROW, Width, data, finished, pixels, words
from router_model.charts.theme import LIGHT

if TYPE_CHECKING:
    from altair import LayerChart

PointKind = Literal["single", "router", "option", "chosen", "candidate", "excluded"]
CurveKind = Literal["ours", "mix", "bound", "simple", "rival", "other"]

_LEFT: Final = 50
_BOTTOM: Final = 44
_POINTS: Final[Mapping[str, tuple[str, str, int, bool]]] = {
    # shape, colour, size, filled
    "single": ("circle", "muted", 70, True),
    "router": ("diamond", "ours", 190, True),
    "option": ("diamond", "ours", 90, False),
    "chosen": ("diamond", "ours", 190, True),
    "candidate": ("circle", "muted", 80, True),
    "excluded": ("cross", "bad", 70, True),
}
_CURVES: Final[Mapping[str, tuple[str, float, list[int]]]] = {
    "ours": ("ours", 2.6, [1, 0]),
    "mix": ("rule", 1.4, [4, 3]),
    "bound": ("ink", 1.2, [7, 4]),
    "simple": ("neutral", 1.3, [2, 2]),
    "other": ("rest", 1.2, [1, 0]),
}


@dataclass(frozen=True, slots=True)
class CostPoint:
    """A point over cost.

    Attributes
    ----------
    label : str
    cost_usd : of one prompt
    value : quality, or probability
    low, high : interval of the value; None without one
    kind : what it is, which decides its look
    needed : its label is shown even if there is hardly room
    note : added to what the pointer shows
    """

    label: str
    cost_usd: float
    value: float
    low: float | None = None
    high: float | None = None
    kind: PointKind = "single"
    needed: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class CostCurve:
    """A curve over cost, of points in the order of cost.

    Attributes
    ----------
    label : shown in the legend, or at the pointer
    cost_usd, value : of equal length
    kind : ``rival`` curves have colours of their own, ``other`` ones are all alike
    named : whether its label stands beside it
    """

    label: str
    cost_usd: Sequence[float]
    value: Sequence[float]
    kind: CurveKind = "ours"
    named: bool = False


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where costs and values lie, in pixels of the inner area."""

    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]
    is_log: bool
    per: float
    title: str = field(default="")

    def at(self, cost_usd: float, value: float) -> tuple[float, float]:
        cost, (low, high) = cost_usd * self.per, self.x
        if self.is_log:
            cost, low, high = math.log(max(cost, low)), math.log(low), math.log(high)
        right = (cost - low) / (high - low) * self.width
        return right, (self.y[1] - value) / (self.y[1] - self.y[0]) * self.height


def scatter(
    points: Sequence[CostPoint],
    curves: Sequence[CostCurve] = (),
    *,
    value_title: str,
    cost_title: str,
    description: str,
    per: float = 1000.0,
    write: Callable[[CostPoint], str],
    value_range: tuple[float, float] | None = None,
    title: str = "",
    width: Width = 640,
    height: int = 380,
) -> "LayerChart":
    """Draw curves, points with their intervals, and labels, over a logarithmic axis of cost.

    Costs of 0 are drawn at the left end. Where all are 0, or the dearest costs less than 1.5 times the cheapest, the
    axis is linear.

    Parameters
    ----------
    per : the number of prompts whose cost the axis shows
    write : says a point in one sentence

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if not points and not curves:
        raise ValueError("neither points nor curves to draw; expected at least one")
    alt, size = altair(), pixels(width)
    inner = {"width": size - _LEFT - 8, "height": height - _BOTTOM - 34 - 24 * bool(title)}
    frame = _frame(points, curves, **inner, per=per, value_range=value_range)
    ticks = _cost_ticks(frame)
    x_axis = alt.Axis(
        title=cost_title,
        values=ticks,
        labelExpr="'$' + format(datum.value, datum.value < 10 ? '~g' : ',~r')",
        gridOpacity=0.8,
        labelFlush=True,
        labelOverlap="greedy",
        labelSeparation=8,
    )
    y_axis = alt.Axis(title=None, format=".2f", tickCount=6, minExtent=36, maxExtent=36)
    x_scale = alt.Scale(type="log" if frame.is_log else "linear", domain=list(frame.x), nice=False, clamp=True)
    y_scale = alt.Scale(domain=list(frame.y), nice=False, zero=False, clamp=True)

    def on(cost: str, value: str) -> dict[str, Any]:
        return {"x": alt.X(cost, scale=x_scale, axis=x_axis), "y": alt.Y(value, scale=y_scale, axis=y_axis)}

    layers = [*_curves(curves, frame, on), *_points(points, frame, on, write)]
    layers += _labels(points, curves, frame, on, font_size=11 if size < NARROW else 12)
    return finished(layers, width=width, height=height, description=description, title=title, values=value_title)


def _frame(
    points: Sequence[CostPoint],
    curves: Sequence[CostCurve],
    *,
    width: float,
    height: float,
    per: float,
    value_range: tuple[float, float] | None,
) -> _Frame:
    costs = [point.cost_usd * per for point in points] + [cost * per for curve in curves for cost in curve.cost_usd]
    values = [end for point in points for end in (point.value, point.low, point.high) if end is not None]
    values += [value for curve in curves for value in curve.value]
    positive = [cost for cost in costs if cost > 0]
    is_log = bool(positive) and max(positive) >= 1.5 * min(positive)
    if is_log:
        margin = (max(positive) / min(positive)) ** 0.06
        x = min(positive) / margin / (2 if len(positive) < len(costs) else 1), max(positive) * margin
    else:
        x = 0.0, 1.15 * max(costs, default=0.0) or 1.0
    low, high = min(values), max(values)
    room = 0.08 * (high - low) or 0.05
    return _Frame(width, height, x, value_range or (low - room, high + room), is_log, per)


def _cost_ticks(frame: _Frame) -> list[float] | Any:
    """Return round costs within the frame, so many as fit."""
    alt = altair()
    if not frame.is_log:
        return alt.Undefined
    low, high = (math.log10(end) for end in frame.x)
    steps = (1.0, 2.0, 5.0) if high - low < 2.2 else (1.0, 3.0) if high - low < 3.2 else (1.0,)  # noqa: PLR2004
    every = [step * 10.0**power for power in range(math.floor(low), math.ceil(high)) for step in steps]
    return [float(f"{tick:.6g}") for tick in every if frame.x[0] <= tick <= frame.x[1]] or alt.Undefined


def _curves(curves: Sequence[CostCurve], frame: _Frame, on: Any) -> list[Any]:
    alt, layers, n_rivals = altair(), [], 0
    for curve in curves:
        if curve.kind == "rival":
            role, thick, dash = f"series{n_rivals % 8 + 1}", 1.4, [1, 0] if n_rivals < 8 else [6, 2]  # noqa: PLR2004
            n_rivals += 1
        else:
            role, thick, dash = _CURVES[curve.kind]
        rows = [
            {"cost": max(cost * frame.per, frame.x[0]), "value": value, "full": curve.label, "order": place}
            for place, (cost, value) in enumerate(zip(curve.cost_usd, curve.value, strict=True))
        ]
        line = alt.Chart(data(rows)).mark_line(
            color=LIGHT[role], strokeWidth=thick, strokeDash=dash, clip=True, strokeJoin="round"
        )
        layers.append(
            line.encode(
                **on("cost:Q", "value:Q"),
                order="order:O",
                description="full:N",
                tooltip=alt.Tooltip("full:N", title=" "),
            )
        )
    return layers


def _points(points: Sequence[CostPoint], frame: _Frame, on: Any, write: Callable[[CostPoint], str]) -> list[Any]:
    alt, layers = altair(), []
    for kind, (shape, role, area, filled) in _POINTS.items():
        rows = [
            {
                "cost": max(point.cost_usd * frame.per, frame.x[0]),
                "value": point.value,
                "low": point.low,
                "high": point.high,
                "full": write(point),
            }
            for point in points
            if point.kind == kind
        ]
        if not rows:
            continue
        chart = alt.Chart(data(rows))
        bars = chart.transform_filter("isValid(datum.low)").mark_rule(
            color=LIGHT[role], strokeWidth=1.6, opacity=0.6, aria=False, clip=True
        )
        layers.append(bars.encode(**on("cost:Q", "low:Q"), y2="high:Q"))
        hollow = {"fill": LIGHT["surface"], "strokeWidth": 2}
        dots = chart.mark_point(
            shape=shape,
            size=area,
            color=LIGHT[role],
            filled=filled,
            opacity=1,
            **({"stroke": LIGHT["surface"], "strokeWidth": 1} if filled else hollow),
        )
        layers.append(
            dots.encode(**on("cost:Q", "value:Q"), description="full:N", tooltip=alt.Tooltip("full:N", title=" "))
        )
    return layers


def _labels(
    points: Sequence[CostPoint], curves: Sequence[CostCurve], frame: _Frame, on: Any, *, font_size: int
) -> list[Any]:
    anchors = [
        Anchor(*frame.at(point.cost_usd, point.value), point.label, point.needed, math.sqrt(_POINTS[point.kind][2]) / 2)
        for point in points
    ]
    lines = [
        [frame.at(cost, value) for cost, value in zip(curve.cost_usd, curve.value, strict=True)] for curve in curves
    ]
    lines += [
        [frame.at(point.cost_usd, point.low), frame.at(point.cost_usd, point.high)]
        for point in points
        if point.low is not None and point.high is not None
    ]
    of_curves = _curve_labels(curves, frame)
    anchors += [anchor for anchor, _ in of_curves]
    places = place_labels(anchors, lines, width=frame.width, height=frame.height, font_size=font_size)
    layers = []
    for roles, colour in ((("router", "chosen", "option"), "ours"), (("single", "candidate", "excluded"), "ink")):
        rows = [
            _label(point, place, frame)
            for point, place in zip(points, places[: len(points)], strict=True)
            if place is not None and point.kind in roles
        ]
        if rows:
            layers += words(rows, size=font_size, colour=LIGHT[colour], **on("cost:Q", "value:Q"))
    for (_, curve), place in zip(of_curves, places[len(points) :], strict=True):
        if place is not None:
            row = _label(CostPoint(curve.label, *_middle(curve)), place, frame)
            role = _CURVES.get(curve.kind, ("muted", 0.0, []))[0]
            layers += words([row], size=font_size, colour=LIGHT[role], **on("cost:Q", "value:Q"))
    return layers


def _curve_labels(curves: Sequence[CostCurve], frame: _Frame) -> list[tuple[Anchor, CostCurve]]:
    named = [curve for curve in curves if curve.named and len(curve.cost_usd)]
    return [(Anchor(*frame.at(*_middle(curve)), curve.label, needed=True, radius=3), curve) for curve in named]


def _middle(curve: CostCurve) -> tuple[float, float]:
    place = 3 * len(curve.cost_usd) // 10
    return curve.cost_usd[place], curve.value[place]


def _label(point: CostPoint, place: Place, frame: _Frame) -> dict[str, Any]:
    cost = max(point.cost_usd * frame.per, frame.x[0])
    n_lines = point.label.count("\n")
    # Vega puts the first of several lines at the place; ours is the middle of them.
    return {"cost": cost, "value": point.value, "text": point.label, "dx": place.dx, "dy": place.dy - 7 * n_lines}
