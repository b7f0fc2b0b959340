"""The method that trains a separate gradient booster for every model, on the prompt's vector alone."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from router_model.training.benchmark.method import MethodCard, Routing
from router_model.training.benchmark.methods.learned import (
    Advance,
    Learned,
    Settings,
    Targets,
    answer_by_value,
    vectors_of,
)
from router_model.training.benchmark.methods.ridge import fit_costs
from router_model.training.benchmark.trial import Trial
from router_model.training.fitting.boosters import N_THREADS

Float64Array = npt.NDArray[np.float64]
Score = Callable[[Float64Array], Float64Array]


@dataclass(frozen=True, slots=True)
class Boosted(Learned):
    """LightGBM with the cross-entropy of outcomes in [0, 1], stopped early on validation; costs by ridge.

    Attributes
    ----------
    num_leaves, learning_rate, feature_fraction, bagging_fraction, lambda_l2, max_bin : as LightGBM's
    max_rounds, patience : early stopping
    """

    num_leaves: int = 15
    learning_rate: float = 0.05
    feature_fraction: float = 0.15
    bagging_fraction: float = 0.7
    lambda_l2: float = 10.0
    max_bin: int = 63
    max_rounds: int = 400
    patience: int = 30

    @property
    def card(self) -> MethodCard:
        """What it is."""
        origin = "gradient boosting (LightGBM, Ke et al. 2017), costs by ridge"
        return MethodCard("LightGBM per model", "learned", origin, "value of a success")

    def fit(self, trial: Trial, advance: Advance) -> tuple[Callable[[Float64Array], Routing], Settings]:
        """Fit a booster for every model."""
        targets, vectors, held_out = Targets.of(trial.train), vectors_of(trial.train), vectors_of(trial.validation)
        wanted, means = targets.same_of(trial.validation), targets.means
        parameters = self._parameters(len(vectors), trial.seed)
        # The data is binned once and labelled for each model. Labels set before a subset is constructed would be lost.
        rows = lgb.Dataset(vectors, np.zeros(len(vectors)), params=parameters).construct()
        scores: list[Score] = []
        n_rounds: list[int] = []
        for column, values in enumerate(targets.values.T):
            known = np.flatnonzero(~np.isnan(values))
            if len(np.unique(values[known])) < 2:  # noqa: PLR2004  all outcomes are equal
                scores.append(_constant(means[column]))
                continue
            fitted = rows.subset(known).construct().set_label(values[known])
            stop = lgb.Dataset(held_out, wanted[:, column], reference=rows, params=parameters)
            quiet = lgb.early_stopping(self.patience, verbose=False)
            booster = lgb.train(parameters, fitted, self.max_rounds, valid_sets=[stop], callbacks=[quiet])
            n_rounds.append(booster.best_iteration)
            scores.append(_score(booster))
            advance(f"booster {column + 1} of {targets.values.shape[1]}")
        costs = fit_costs(trial)

        def predict(queries: Float64Array) -> Float64Array:
            return np.stack([score(queries) for score in scores], axis=1)

        settings = {"mean_rounds": round(float(np.mean(n_rounds or [0])), 1), "cost_penalty": costs.penalty}
        return answer_by_value(trial, targets, predict, costs.predict), settings

    def _parameters(self, n_prompts: int, seed: int) -> dict[str, float | int | str | bool]:
        chosen = {name: value for name, value in asdict(self).items() if name not in ("max_rounds", "patience")}
        return {
            **chosen,
            "objective": "cross_entropy",
            "bagging_freq": 1,
            "min_data_in_leaf": int(np.clip(n_prompts // 50, 3, 20)),
            "feature_pre_filter": False,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": N_THREADS,
            "seed": seed,
            "verbose": -1,
        }


def _constant(value: float) -> Score:
    return lambda queries: np.full(len(queries), value)


def _score(booster: lgb.Booster) -> Score:
    return lambda queries: np.asarray(booster.predict(queries, num_threads=N_THREADS))
