"""Decisions that flip under rewording, on the real outcome tables: ``bench_robustness.py DATA``.

Trains on each table with seed 0 and the defaults, unless ``--routers`` has a folder ``<table>`` with a router of that
split, rewords up to 1,000 of the test prompts, and prints Markdown: at the default operating point, then where a
success is worth a tenth of that, which leaves more models in the running.
"""

import argparse
import tempfile
from pathlib import Path

from router_model import Catalog, Router
from router_model.policy import Rule
from router_model.training.measuring.robustness import Robustness, measure_robustness
from router_model.training.table.outcomes import Outcomes, read_outcomes
from router_model.training.table.split import split_prompts
from router_model.training.train import train

SHARES = (1.0, 0.1)
"""Values of quality, over the default's."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with <table>/outcomes.parquet and <table>/catalog.toml")
    parser.add_argument("--tables", default="zeroeval,mmlu_pro")
    parser.add_argument("--routers", type=Path)
    parser.add_argument("--prompts", type=int, default=1000)
    options = parser.parse_args()
    measured: dict[str, Robustness] = {}
    for table in options.tables.split(","):
        router, outcomes = prepare(options.data / table, options.routers and options.routers / table)
        value = router.artifact.operating_point.quality_value_usd
        for share in SHARES:
            # include_seen: twins of training prompts stay in, as in every figure of these splits
            measured[f"{table}, {share:g} x value"] = measure_robustness(
                router,
                outcomes,
                rule=Rule(None, None, quality_value_usd=value * share),
                include_seen=True,
                max_prompts=options.prompts,
            )
    print(markdown(measured))


def prepare(folder: Path, saved: Path | None) -> tuple[Router, Outcomes]:
    """Return a router trained with seed 0, and its test prompts."""
    path = folder / "outcomes.parquet"
    outcomes = read_outcomes(path)
    test = outcomes.take(split_prompts(outcomes.prompt_ids, seed=0).test)
    if saved is not None:
        return Router.load(saved), test
    with tempfile.TemporaryDirectory() as temporary:
        train(path, Path(temporary) / "router", catalog=Catalog.load(folder / "catalog.toml"))
        return Router.load(Path(temporary) / "router"), test


def markdown(measured: dict[str, Robustness]) -> str:
    """One row a rewording; a cell: flips, costly flips, change of quality (points) and of cost."""
    results = list(measured.values())
    lines = [f"| | {' | '.join(measured)} |", "|---" * (len(measured) + 1) + "|"]
    lines.append(f"| prompts; flips by chance | {' | '.join(f'{r.n_prompts}; {r.chance:.0%}' for r in results)} |")
    for position, first in enumerate(results[0].rewordings):
        lines.append(row(first.name, [r.rewordings[position] for r in results]))
    for position, first in enumerate(results[0].kinds):
        lines.append(row(f"**{first.name}**", [r.kinds[position] for r in results]))
    return "\n".join(lines)


def row(name: str, cells) -> str:
    said = (
        f"{f.flipped:.1%}, {f.costly:.1%}, {f.quality_change * 100:+.2f}, {f.cost_change:+.1%}".replace("-0.00", "0.00")
        for f in cells
    )
    return f"| {name} | {' | '.join(said)} |"


if __name__ == "__main__":
    main()
