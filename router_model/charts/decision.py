"""One decision: its plan over cost, and its attempts over time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from router_model.charts.extra import altair
from router_model.charts.intervals import names_of_rows
from router_model.charts.layout import NARROW, Width, data, finished, names_above, pixels
from router_model.charts.scatter import CostCurve, CostPoint, scatter
from router_model.charts.theme import LIGHT
from router_model.wording import usd

if TYPE_CHECKING:
    from altair import LayerChart

Ending = Literal["answered", "failed", "cancelled"]
_ENDINGS = {"answered": "good", "failed": "bad", "cancelled": "neutral"}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a model.

    Attributes
    ----------
    model : str
    start_s, end_s : seconds since the request came in
    ending : what came of it
    first_token_s : seconds since the request came in, of a stream; None without one
    note : the error, or anything else worth a word
    """

    model: str
    start_s: float
    end_s: float
    ending: Ending = "answered"
    first_token_s: float | None = None
    note: str = ""


def plan(
    points: Sequence[CostPoint],
    *,
    least: float | None = None,
    measure: str = "probability of success",
    description: str = "Predicted success of each model over its expected cost",
    title: str = "",
    width: Width = 640,
    height: int = 340,
) -> "LayerChart":
    """Draw the models of one decision by expected cost and predicted success, with intervals where they are known.

    Parameters
    ----------
    points : the ``chosen`` model, other ``candidate`` models, and ``excluded`` ones with the reason as their note
        Costs are of this one request.
    least : probability that was asked for, a dashed line
    """
    costs = [point.cost_usd for point in points if point.cost_usd > 0]
    line = (
        [CostCurve("asked for", [min(costs), max(costs)], [least, least], "mix")] if least is not None and costs else []
    )
    ends = [end for point in points for end in (point.value, point.low, point.high, least) if end is not None]
    low = max(min(ends, default=0.0) - 0.08, -0.02)
    shown = [replace(one, label=f"{one.label} (excluded)") if one.kind == "excluded" else one for one in points]
    return scatter(
        shown,
        line,
        value_title=measure,
        cost_title="expected cost of this request, USD",
        description=description,
        per=1.0,
        write=_said,
        value_range=(low, min(max(ends, default=1.0) + 0.06, 1.04)),
        title=title,
        width=width,
        height=height,
    )


def attempts(
    calls: Sequence[Attempt],
    *,
    description: str = "Attempts of this request over time",
    title: str = "",
    width: Width = 640,
) -> "LayerChart":
    """Draw the calls of one request on a timeline, in their order; a tick marks the first token.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not calls:
        raise ValueError("no attempts to draw; expected at least one call")
    alt, size = altair(), pixels(width)
    is_narrow = size < NARROW
    rows = [
        {
            "row": str(place),
            "start": call.start_s,
            "end": max(call.end_s, call.start_s + 1e-4),
            "first": call.first_token_s,
            "label": call.model,
            "colour": LIGHT[_ENDINGS[call.ending]],
            "said": _duration(call),
            "full": _attempt_said(call),
        }
        for place, call in enumerate(calls)
    ]
    latest = max(call.end_s for call in calls) or 1.0
    scale = alt.Scale(domain=[0, latest * (1.0 if is_narrow else 1.02)], nice=False)
    axis = alt.Axis(title="seconds since the request", tickCount=max(3, size // 130), format="~r")
    y = names_of_rows([call.model for call in calls], size)
    chart = alt.Chart(data(rows))
    bars = chart.mark_bar(height=14, cornerRadius=2, yOffset=6 if is_narrow else 0).encode(
        x=alt.X("start:Q", scale=scale, axis=axis),
        x2="end:Q",
        y=y,
        color=alt.Color("colour:N", scale=None),
        description="full:N",
        tooltip=alt.Tooltip("full:N", title=" "),
    )
    ticks = chart.transform_filter("isValid(datum.first)").mark_tick(
        color=LIGHT["ink"], thickness=2, size=22, yOffset=6 if is_narrow else 0, aria=False
    )
    layers = [bars, ticks.encode(x=alt.X("first:Q", scale=scale, axis=axis), y=y)]
    if is_narrow:
        layers += names_above(rows, y)
    else:
        said = chart.mark_text(align="left", color=LIGHT["ink"], aria=False)
        layers.append(said.encode(x=alt.value({"expr": "width + 10"}), y=y, text="said:N"))
    height = len(rows) * (42 if is_narrow else 30) + 50 + 28 * bool(title)
    return finished(layers, width=width, height=height, description=description, title=title)


def _said(point: CostPoint) -> str:
    if point.kind == "excluded":
        return f"{point.label}{f': {point.note}' if point.note else ''}"
    between = "" if point.low is None or point.high is None else f" ({point.low:.2f} to {point.high:.2f})"
    chosen = "; chosen" if point.kind == "chosen" else ""
    return f"{point.label}: succeeds with {point.value:.2f}{between}, costs {usd(point.cost_usd)}{chosen}"


def _duration(call: Attempt) -> str:
    return f"{call.ending}, {call.end_s - call.start_s:.2f} s"


def _attempt_said(call: Attempt) -> str:
    first = "" if call.first_token_s is None else f", first token after {call.first_token_s - call.start_s:.2f} s"
    note = f": {call.note}" if call.note else ""
    return f"{call.model} {_duration(call)}{first}{note}"
