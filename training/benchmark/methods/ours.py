"""Our predictor as a method of the benchmark, exactly as `router_model.training.train` fits and serves it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from router_model.training.benchmark.method import MethodCard, Routed, Routing, sweep, sweep_values
from router_model.training.benchmark.trial import Side, Trial
from router_model.training.fitting.fit import FitConfig
from router_model.training.table.split import Split
from router_model.training.train import Run, TrainConfig


@dataclass(frozen=True, slots=True)
class Ours:
    """Train our predictor on a trial's training prompts; all settings are chosen out of fold, none on validation."""

    fit: FitConfig = field(default_factory=FitConfig)

    @property
    def card(self) -> MethodCard:
        """What it is."""
        return MethodCard("ours", "ours", "router-model", "value of quality")

    def route(self, trial: Trial, advance: Callable[[str], None]) -> Routed:
        """Train, then predict."""
        started = time.perf_counter()
        everything, nothing = np.arange(len(trial.train)), np.arange(0)
        run = Run(
            None,
            trial.train.outcomes,
            trial.train.features,
            Split(everything, nothing, nothing),
            trial.catalog,
            trial.encoder,
            TrainConfig(quality_bars=(trial.quality_bar,), encoder=trial.encoder.name, seed=trial.seed, fit=self.fit),
        )
        router, _ = run.fit(advance)
        fitted = time.perf_counter()
        values = sweep_values(trial)

        def routed(side: Side) -> Routing:
            table = router.predict_features(side.features, trial.quality_bar)
            return Routing(
                sweep(table.mean_quality, table.expected_cost_usd, values),
                p_success=table.p_success.astype(np.float64),
                expected_cost_usd=table.expected_cost_usd.astype(np.float64),
                expected_output_tokens=table.expected_output_tokens.astype(np.float64),
            )

        validation = routed(trial.validation)
        predicted = time.perf_counter()
        test = routed(trial.test)
        return Routed(validation, test, {}, fitted - started, time.perf_counter() - predicted)
