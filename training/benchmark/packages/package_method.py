"""A published package as a method of the benchmark: it answers in its own process, and validation chooses a variant."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from router_model.training.benchmark.method import MethodCard, MethodUnavailableError, Routed
from router_model.training.benchmark.packages.child import run_adapter
from router_model.training.benchmark.packages.environment import PackageEnvironment
from router_model.training.benchmark.packages.exchange import Variant, read_answer, write_task
from router_model.training.benchmark.trial import Side, Trial
from router_model.training.metrics import Points, Singles, aiq


@dataclass(frozen=True, slots=True)
class PackageMethod:
    """Runs a package's adapter, and chooses the variant of hyperparameters with the highest AIQ on validation.

    Attributes
    ----------
    card : MethodCard
    environment : PackageEnvironment
    adapter : Path
        The script of the adapter; its docstring says what was adapted and why.
    pair_only : bool
        Whether the package can route between two models only.
    time_limit_s : float
    """

    card: MethodCard
    environment: PackageEnvironment
    adapter: Path
    pair_only: bool = False
    time_limit_s: float = 1800.0

    def route(self, trial: Trial, advance: Callable[[str], None]) -> Routed:
        """Run the adapter in the package's own environment, which is installed on first use."""
        if self.pair_only and len(trial.models) != 2:  # noqa: PLR2004
            raise MethodUnavailableError(f"needs exactly two models; the table has {len(trial.models)}")
        python = self.environment.python()
        advance(f"{self.environment.name} is installed")
        with tempfile.TemporaryDirectory(prefix="router-model-") as name:
            folder = Path(name)
            write_task(folder, trial)
            run_adapter(python, self.adapter, folder, time_limit_s=self.time_limit_s)
            variants = read_answer(folder, trial)
        best = choose(variants, trial.validation)
        return Routed(best.validation, best.test, best.settings, best.fit_s, best.decide_s)


def choose(variants: Sequence[Variant], validation: Side) -> Variant:
    """Return the variant with the highest AIQ on validation; of equals, the first."""
    singles = Singles(validation.cost_usd.mean(axis=0), validation.mean_quality.mean(axis=0))
    rows = np.arange(len(validation))

    def height(variant: Variant) -> float:
        chosen = variant.validation.choices
        cost, quality = validation.cost_usd[rows, chosen], validation.mean_quality[rows, chosen]
        return aiq(Points(cost.mean(axis=1), quality.mean(axis=1)), singles)

    return max(variants, key=height)
