"""Draw the README's picture: what the quickstart's router costs and achieves, beside its three models.

``python docs/picture.py quickstart/router quickstart/unseen.parquet`` after ``make quickstart`` writes
``docs/figures/cost-and-quality.svg``. The picture has a light background of its own, so that it reads the same on a
dark page.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from router_model import Router
from router_model.charts import CostCurve, CostPoint, frontier, random_mix, to_svg
from router_model.charts.names import short_model
from router_model.training.measuring.evaluate import evaluate
from router_model.training.measuring.evaluation import Evaluation
from router_model.training.reporting.figures import router_curve
from router_model.training.table.outcomes import read_outcomes
from router_model.wording import percent, usd

if TYPE_CHECKING:
    from altair import LayerChart

PICTURE = Path(__file__).parent / "figures" / "cost-and-quality.svg"
_PER_1000 = 1000


def main() -> None:
    """Measure a router on a table and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("router", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path, default=PICTURE)
    options = parser.parse_args()
    chart = draw(evaluate(Router.load(options.router), read_outcomes(options.table)))
    options.out.write_text(to_svg(chart), encoding="utf-8")


def draw(evaluation: Evaluation) -> "LayerChart":
    """Draw the router's curve, the single models, and the curve of sending prompts to the models by lot."""
    singles = [
        CostPoint(f"{short_model(one.label)}\n{usd(one.cost_usd * _PER_1000)}", one.cost_usd, one.quality, needed=True)
        for one in evaluation.singles
    ]
    mix = random_mix(singles)
    found = router_curve(evaluation)
    curves = [
        CostCurve("a random mix of them", mix.cost_usd, mix.value, "mix", named=True),
        CostCurve("router-model", found.cost_usd, found.value, "ours", named=True),
    ]
    return frontier(
        [*singles, *_saving(evaluation)],
        curves,
        title=f"{evaluation.n_prompts:,} prompts that the router never saw",
        width=720,
        height=420,
    )


def _saving(evaluation: Evaluation) -> list[CostPoint]:
    """Mark the cheapest setting of the router that is as good as the best model."""
    best, same = evaluation.singles[0], evaluation.tradeoffs[0]
    if same.saving is None:
        return []
    cost = best.cost_usd * (1 - same.saving)
    label = f"the best model's quality\nfor {percent(same.saving)} less: {usd(cost * _PER_1000)}"
    return [CostPoint(label, cost, best.quality, kind="router", needed=True)]


if __name__ == "__main__":
    main()
