"""Draw docs/training.md's picture: how regret falls with the number of logged requests, beside two rivals.

``python tests/performance/bench_retrain.py DATA --out results.json`` measures, and ``python docs/draw_regret.py
results.json`` writes ``docs/figures/regret.svg``: one part for each world of the larger share of exploration.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from router_model.training.benchmark.plots.style import DARK, OURS, plain

PICTURE = Path(__file__).parent / "figures" / "regret.svg"
_OTHERS = {"paretobandit": "#0072B2", "Beta per cell": "#009E73"}


def main() -> None:
    """Read the results and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--epsilon", default="0.1")
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args()
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "router-model", "font.family": "sans-serif"})
    results: dict[str, Any] = json.loads(options.results.read_text())
    worlds = {name: found for name, found in results.items() if name.split()[-1] == options.epsilon}
    figure = Figure(figsize=(9.5, 3.4), layout="constrained")
    every = figure.subplots(1, len(worlds), squeeze=False)[0]
    for axes, (name, found) in zip(every, worlds.items(), strict=True):
        _draw(axes, found)
        axes.set_title(name.split()[0], color=DARK, fontsize=11)
    every[0].set_ylabel("regret, points of quality")
    every[0].legend(frameon=False, fontsize=9)
    figure.savefig(options.out, metadata={"Date": None}, facecolor="white")


def _draw(axes: Any, found: dict[str, Any]) -> None:
    """Draw one world; bars are one standard error on both sides."""
    ours = {n: (at["arms"]["retrain"]["regret"], at["arms"]["retrain"]["regret_error"])
            for n, at in found["sizes"].items()}  # fmt: skip
    lines = {"retrain": (ours, OURS), **{name: (found["rivals"][name], colour) for name, colour in _OTHERS.items()}}
    for name, (regrets, colour) in lines.items():
        means, errors = zip(*regrets.values(), strict=True)
        axes.errorbar([int(n) for n in regrets], means, errors, color=colour, marker="o", capsize=3, label=name)
    axes.axhline(found["base"]["regret"], color="0.45", linestyle=(0, (3, 2)), label="the base")
    axes.axhline(0, color=DARK, linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks([int(n) for n in ours])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("logged requests")
    plain(axes)


if __name__ == "__main__":
    main()
