"""Quality against cost: what routing brings at each of its settings, and what each model brings alone."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from router_model.charts.layout import Width
from router_model.charts.scatter import CostCurve, CostPoint, scatter
from router_model.wording import usd

if TYPE_CHECKING:
    from altair import LayerChart

_PER_1000 = 1000


def frontier(
    points: Sequence[CostPoint],
    curves: Sequence[CostCurve] = (),
    *,
    description: str = "Mean quality over cost of 1,000 prompts, of routing and of each model alone",
    quality: str = "mean quality",
    title: str = "",
    width: Width = 640,
    height: int = 380,
) -> "LayerChart":
    """Draw frontiers of routers or other methods, operating points, and single models.

    Parameters
    ----------
    points : ``single`` models, the ``router`` as it decides, and ``option`` settings of it, with their intervals
    curves : ``ours``, ``rival`` methods, ``simple`` ones, a ``bound``, and a random ``mix``; see `random_mix`
    quality : what the vertical axis shows

    Examples
    --------
    >>> chart = frontier([CostPoint("large", 0.01, 0.9), CostPoint("small", 0.001, 0.7)])
    >>> chart.to_dict()["description"]
    'Mean quality over cost of 1,000 prompts, of routing and of each model alone'
    """
    return scatter(
        points,
        curves,
        value_title=quality,
        cost_title="USD per 1,000 prompts",
        description=description,
        per=_PER_1000,
        write=_said,
        title=title,
        width=width,
        height=height,
    )


def random_mix(points: Sequence[CostPoint], *, steps: int = 40) -> CostCurve:
    """Return what sending prompts to the models by lot costs and brings, at its best: the hull of the single models.

    Examples
    --------
    Between a model of quality 0.5 for $1 and one of 0.9 for $3; the one for $2 with quality 0.6 lies below the mix:

    >>> mix = random_mix([CostPoint("a", 1, 0.5), CostPoint("b", 2, 0.6), CostPoint("c", 3, 0.9)], steps=2)
    >>> list(mix.cost_usd), [round(value, 2) for value in mix.value]
    ([1.0, 2.0, 3.0], [0.5, 0.7, 0.9])
    """
    corners: list[tuple[float, float]] = []
    for cost, value in sorted(((point.cost_usd, point.value) for point in points), key=lambda one: (one[0], -one[1])):
        if corners and value <= corners[-1][1]:
            continue
        while len(corners) > 1 and _slope(corners[-2], (cost, value)) >= _slope(corners[-2], corners[-1]):
            corners.pop()
        corners.append((cost, value))
    found = [(float(x), float(y)) for x, y in corners[:1]]
    for (x0, y0), (x1, y1) in pairwise(corners):
        found += [(x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps) for k in range(1, steps + 1)]
    costs, values = zip(*found, strict=True) if found else ((), ())
    return CostCurve("a random mix of models", costs, values, "mix")


def _slope(start: tuple[float, float], end: tuple[float, float]) -> float:
    return (end[1] - start[1]) / max(end[0] - start[0], 1e-300)


def _said(point: CostPoint) -> str:
    between = "" if point.low is None or point.high is None else f" ({point.low:.3f} to {point.high:.3f})"
    label = point.label.replace("\n", " ")
    note = f"; {point.note}" if point.note else ""
    return f"{label}: quality {point.value:.3f}{between}, {usd(point.cost_usd * _PER_1000)} per 1,000 prompts{note}"
