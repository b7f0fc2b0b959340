"""Draw docs/training.md's picture: how regret falls with the number of logged requests, beside two rivals.

``python tests/performance/bench_retrain.py DATA --out results.json`` measures, and ``python docs/draw_regret.py
results.json`` writes ``docs/figures/regret.svg``: one part for each world of the larger share of exploration.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from router_model.charts import Grown, growth, stacked, to_svg

PICTURE = Path(__file__).parent / "figures" / "regret.svg"
_RIVALS = ("paretobandit", "Beta per cell")


def main() -> None:
    """Read the results and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--epsilon", default="0.1")
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(options.results.read_text())
    worlds = {name: found for name, found in results.items() if name.split()[-1] == options.epsilon}
    pictures = [to_svg(_draw(name.split()[0], found)) for name, found in worlds.items()]
    options.out.write_text(stacked(pictures), encoding="utf-8")


def _draw(name: str, found: dict[str, Any]) -> Any:
    """Draw one world; bars are one standard error on both sides."""
    ours = {n: (at["arms"]["retrain"]["regret"], at["arms"]["retrain"]["regret_error"])
            for n, at in found["sizes"].items()}  # fmt: skip
    lines = {"retrain": ours} | {rival: found["rivals"][rival] for rival in _RIVALS}
    values = [
        Grown(int(n), mean, label, mean - error, mean + error)
        for label, regrets in lines.items()
        for n, (mean, error) in regrets.items()
    ]
    return growth(
        values, axis="logged requests", unit="regret, points of quality", title=name,
        reference=found["base"]["regret"], reference_label="the base", description=f"Regret of {name}",
    )  # fmt: skip


if __name__ == "__main__":
    main()
