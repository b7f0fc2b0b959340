"""Draw a router's frontier: the child process of `router_model.serving.console.frontier_picture`.

It imports little, so that the process is soon there.
"""

import json
import sys
from typing import Any, Final

from router_model.charts.frontier import frontier, random_mix
from router_model.charts.output import to_svg
from router_model.charts.scatter import CostCurve, CostPoint

_WIDTHS: Final = {"wide": 720, "narrow": 320}
"""Classes and widths in pixels; the page shows the one that fits."""


def main() -> None:
    """Draw the picture of what stands on the standard input, and print it."""
    sys.stdout.write(draw(json.load(sys.stdin)))


def draw(measured: dict[str, Any]) -> str:
    """Return the pictures of a `router_facts.Measured`, as plain JSON types."""
    points, here = measured["frontier"], measured["point"]
    singles = [CostPoint(one["label"], one["cost_usd"], one["quality"]) for one in measured["singles"]]
    curve = CostCurve(
        "the router, at each value of quality", [one["cost_usd"] for one in points], [one["quality"] for one in points]
    )
    operating = CostPoint("router", here["cost_usd"], here["quality"], kind="router", needed=True)
    drawn = {
        name: to_svg(frontier([*singles, operating], [random_mix(singles), curve], width=width), theme="page")
        for name, width in _WIDTHS.items()
    }
    return "".join(f'<div class="{name}">{svg}</div>' for name, svg in drawn.items())
