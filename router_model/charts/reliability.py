"""Predicted probabilities of success against observed success rates."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from router_model.charts.extra import altair
from router_model.charts.layout import Width, data, finished, pixels
from router_model.charts.theme import LIGHT, SERIES
from router_model.rates import wilson_interval

if TYPE_CHECKING:
    from altair import LayerChart

_HIGH: Final = 0.3  # above it, the axes begin where the bins do


@dataclass(frozen=True, slots=True)
class Bin:
    """Outcomes with about the same predicted probability.

    Attributes
    ----------
    predicted : mean probability
    observed : share of successes
    n : number of outcomes
    """

    predicted: float
    observed: float
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the rate of successes (Wilson 1927).

        >>> low, high = Bin(0.9, 0.8, 10).interval
        >>> round(low, 3), round(high, 3)
        (0.49, 0.943)
        """
        return wilson_interval(self.observed, max(self.n, 1))


def reliability(
    curves: Mapping[str, Sequence[Bin]],
    *,
    description: str = "Observed success over predicted probability of success",
    title: str = "",
    width: Width = 420,
) -> "LayerChart":
    """Draw observed success over predicted probability, with 95 % intervals; on the dashed line, both are equal.

    Parameters
    ----------
    curves : name -> bins; with a single one there is no legend

    Raises
    ------
    ValueError
        If there are no bins.
    """
    if not any(curves.values()):
        raise ValueError("no bins to draw; expected at least one outcome with a probability")
    alt, size = altair(), pixels(width)
    names = list(curves)
    rows = [
        {
            "name": name,
            "predicted": one.predicted,
            "observed": one.observed,
            "low": one.interval[0],
            "high": one.interval[1],
            "full": f"{name}: predicted {one.predicted:.2f}, observed {one.observed:.2f} "
            f"({one.interval[0]:.2f} to {one.interval[1]:.2f}), {one.n:,} outcomes",
        }
        for name, bins in curves.items()
        for one in bins
    ]
    lowest = min(min(one.predicted, one.interval[0]) for bins in curves.values() for one in bins)
    start = math.floor(10 * lowest) / 10 if lowest > _HIGH else 0.0
    scale = alt.Scale(domain=[start, 1], nice=False, clamp=True)
    # On a short axis the ticks stand at 0.05 or less; one decimal would name two of them alike.
    decimals = ".1f" if start == 0 else ".2f"
    x_axis = alt.Axis(title="predicted probability of success", format=decimals, tickCount=5)
    y_axis = alt.Axis(title=None, format=decimals, tickCount=5)
    on = {"x": alt.X("predicted:Q", scale=scale, axis=x_axis), "y": alt.Y("observed:Q", scale=scale, axis=y_axis)}
    colours = [LIGHT["ours"], *(LIGHT[role] for role in SERIES[1:])]
    legend = None if len(names) == 1 else alt.Legend(orient="top", columns=max(1, size // 200), symbolType="stroke")
    colour = alt.Color(
        "name:N",
        sort=names,
        legend=legend,
        scale=alt.Scale(domain=names, range=[colours[place % len(colours)] for place in range(len(names))]),
    )
    equal = alt.Chart(data([{"predicted": start, "observed": start}, {"predicted": 1, "observed": 1}]))
    chart = alt.Chart(data(rows))
    layers = [
        equal.mark_line(color=LIGHT["rule"], strokeDash=[4, 3], strokeWidth=1.3, aria=False).encode(**on),
        chart.mark_rule(strokeWidth=1.6, opacity=0.55, aria=False).encode(
            x=on["x"], y=alt.Y("low:Q", scale=scale, axis=y_axis), y2="high:Q", color=colour
        ),
        chart.mark_line(strokeWidth=1.6, aria=False).encode(**on, color=colour),
        chart.mark_point(filled=True, size=45, opacity=1).encode(
            **on, color=colour, description="full:N", tooltip=alt.Tooltip("full:N", title=" ")
        ),
    ]
    height = min(size, 460) - 20 + (20 * -(-len(names) // max(1, size // 200)) if len(names) > 1 else 0)
    return finished(
        layers,
        width=width,
        height=height + 24 * bool(title),
        description=description,
        title=title,
        values="observed share of successes",
    )
