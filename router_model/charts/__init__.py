"""Charts for reports, notebooks, MLflow, the documentation and the console (Altair; extra ``report``).

Each function takes small plain data and returns an Altair chart in the light palette. `to_svg`, `to_png`, `to_html` and
`to_spec` draw it in light or dark colours, or in those of the page in which it stands. Nothing is loaded from
elsewhere. The libraries are imported when the first chart is made.

A ``width`` is that of the whole chart. Below 480 pixels, names stand above what they name. A page shows the same chart
in several widths, and hides all but one of them.
"""

from router_model.charts.decision import Attempt, attempts, plan
from router_model.charts.frontier import frontier, random_mix
from router_model.charts.intervals import IntervalRow, intervals
from router_model.charts.output import data_chart, javascript, stacked, to_html, to_png, to_spec, to_svg
from router_model.charts.reliability import Bin, reliability
from router_model.charts.scatter import CostCurve, CostPoint
from router_model.charts.series import Moment, series
from router_model.charts.shares import shares

__all__ = [
    "Attempt",
    "Bin",
    "CostCurve",
    "CostPoint",
    "IntervalRow",
    "Moment",
    "attempts",
    "data_chart",
    "frontier",
    "intervals",
    "javascript",
    "plan",
    "random_mix",
    "reliability",
    "series",
    "shares",
    "stacked",
    "to_html",
    "to_png",
    "to_spec",
    "to_svg",
]
