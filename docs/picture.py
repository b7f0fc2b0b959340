"""Draw the README's picture: what the quickstart's router costs and achieves, beside its three models.

``python docs/picture.py quickstart/router quickstart/unseen.parquet`` after ``make quickstart`` writes
``docs/figures/cost-and-quality.svg``. The picture has a light background of its own, so that it reads the same on a
dark page.
"""

import argparse
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from router_model import Router
from router_model.training.benchmark.plots.style import DARK, OURS, plain, short_model
from router_model.training.measuring.evaluate import evaluate
from router_model.training.measuring.evaluation import Evaluation, Realised
from router_model.training.table.outcomes import read_outcomes

PICTURE = Path(__file__).parent / "figures" / "cost-and-quality.svg"
_PER_1000 = 1000
_GREY = "0.45"


def main() -> None:
    """Measure a router on a table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("router", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args()
    # Text stays text, ids and dates do not change: the same figures make the same file.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "router-model", "font.family": "sans-serif"})
    figure = draw(evaluate(Router.load(options.router), read_outcomes(options.table)))
    figure.savefig(options.out, metadata={"Date": None}, facecolor="white")


def draw(evaluation: Evaluation) -> Figure:
    """Draw the router's curve, the single models, and the curve of sending prompts to the models by lot."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    singles = sorted(evaluation.singles, key=lambda single: single.cost_usd)
    _draw_lots(axes, singles)
    frontier = evaluation.frontier
    axes.plot(frontier.cost_usd * _PER_1000, frontier.quality, color=OURS, linewidth=3, zorder=4)
    cost = (singles[0].cost_usd * singles[1].cost_usd) ** 0.5
    axes.annotate(
        "router-model", (cost * _PER_1000, np.interp(cost, frontier.cost_usd, frontier.quality)), xytext=(-10, 4),
        textcoords="offset points", ha="right", color=OURS, fontsize=13, fontweight="bold",
    )  # fmt: skip
    for single in singles:
        _draw_single(axes, single)
    _draw_saving(axes, evaluation)
    _finish(axes, evaluation.n_prompts)
    return figure


def _draw_lots(axes: Any, singles: list[Realised]) -> None:
    """Draw what mixing neighbouring models by lot costs and achieves; straight in cost, curved on this axis."""
    shares = np.linspace(0, 1, 100)
    for cheap, dear in pairwise(singles):
        cost = cheap.cost_usd + shares * (dear.cost_usd - cheap.cost_usd)
        quality = cheap.quality + shares * (dear.quality - cheap.quality)
        axes.plot(cost * _PER_1000, quality, color=_GREY, linewidth=1.5, linestyle=(0, (3, 2)), zorder=2)
        if cheap is singles[0]:
            middle = cost[50] * _PER_1000, quality[50]
            axes.annotate("a random mix of them", middle, xytext=(8, -12), textcoords="offset points", color=_GREY)


def _draw_single(axes: Any, single: Realised) -> None:
    cost = single.cost_usd * _PER_1000
    axes.plot([cost], [single.quality], "o", color=DARK, markersize=8, zorder=5)
    axes.annotate(
        f"{short_model(single.label)}\n${cost:.2f}", (cost, single.quality), xytext=(6, -10),
        textcoords="offset points", color=DARK, va="top", fontsize=9.5,
    )  # fmt: skip


def _draw_saving(axes: Any, evaluation: Evaluation) -> None:
    """Mark the cheapest setting of the router that is as good as the best model."""
    best, same = evaluation.singles[0], evaluation.tradeoffs[0]
    if same.saving is None:
        return
    cost = best.cost_usd * (1 - same.saving) * _PER_1000
    axes.plot([cost], [best.quality], "D", color=OURS, markersize=8, zorder=6)
    axes.annotate(
        f"the best model's quality\nfor {same.saving:.0%} less: ${cost:.2f}", (cost, best.quality), xytext=(0, 10),
        textcoords="offset points", ha="center", va="bottom", color=OURS, fontsize=10.5,
    )  # fmt: skip


def _finish(axes: Any, n_prompts: int) -> None:
    axes.set_xscale("log")
    axes.set_xlim(0.02, 60)
    axes.set_ylim(0.76, 0.96)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"${value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("cost of 1,000 answers, USD (logarithmic)")
    axes.set_ylabel("mean quality of the answers")
    axes.set_title(f"{n_prompts:,} prompts that the router never saw", loc="left", fontsize=11, color=DARK)
    plain(axes)


if __name__ == "__main__":
    main()
