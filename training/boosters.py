"""Fit the pooled boosters on out-of-fold evidence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from router_model.predictor import raw_scores

FloatArray = npt.NDArray[np.float32]

N_THREADS = 2
"""Fixed, because the number of threads changes the order of sums and so the last bits of a booster."""


@dataclass(frozen=True, slots=True)
class BoosterConfig:
    """LightGBM's parameters that matter here; the defaults are argued in docs/decisions/0001.

    Attributes
    ----------
    max_rounds, patience : early stopping on each fold's own prompts
    max_rows : more rows than this are sampled down before fitting
    """

    num_leaves: int = 15
    learning_rate: float = 0.03
    feature_fraction: float = 0.4
    bagging_fraction: float = 0.8
    lambda_l2: float = 5.0
    max_rounds: int = 600
    patience: int = 50
    max_rows: int = 3_000_000


@dataclass(frozen=True, slots=True)
class FoldBoosters:
    """Boosters of all folds, and what each said of its own held-out rows.

    Attributes
    ----------
    boosters : one a fold
    out_of_fold : float64 array, shape (n_rows,)
        Scores on the logit (or log) scale.
    """

    boosters: tuple[lgb.Booster, ...]
    out_of_fold: npt.NDArray[np.float64]


def fit_boosters(
    rows: FloatArray,
    target: FloatArray,
    weight: FloatArray,
    folds: npt.NDArray[np.int64],
    *,
    objective: str,
    names: list[str],
    config: BoosterConfig,
    seed: int,
    advance: Callable[[], None],
) -> FoldBoosters:
    """Fit one booster a fold on the other folds' rows, stopped early on its own.

    Parameters
    ----------
    rows : shape (n_rows, n_columns), as `router_model.predictor.pair_rows`
    target, weight, folds : shape (n_rows,); rows of weight 0 are left out of fitting
    objective : ``binary`` or ``regression``
    advance : called after each booster, for a progress bar
    """
    boosters = []
    out_of_fold = np.zeros(len(rows))
    for fold in np.unique(folds):
        inside = folds == fold
        booster = _fit_one(
            rows, target, weight, fitted=~inside & (weight > 0), stopped_on=inside & (weight > 0),
            parameters=_parameters(objective, config, seed=seed + int(fold), n_rows=int(np.count_nonzero(weight))),
            names=names, config=config, seed=seed,
        )  # fmt: skip
        out_of_fold[inside] = raw_scores(booster, rows[inside])
        boosters.append(booster)
        advance()
    return FoldBoosters(tuple(boosters), out_of_fold)


def _fit_one(
    rows: FloatArray,
    target: FloatArray,
    weight: FloatArray,
    *,
    fitted: npt.NDArray[np.bool_],
    stopped_on: npt.NDArray[np.bool_],
    parameters: dict[str, Any],
    names: list[str],
    config: BoosterConfig,
    seed: int,
) -> lgb.Booster:
    chosen = np.flatnonzero(fitted)
    if len(chosen) > config.max_rows:
        chosen = np.sort(np.random.default_rng(seed).choice(chosen, config.max_rows, replace=False))
    train = lgb.Dataset(
        rows[chosen],
        target[chosen],
        weight=weight[chosen],
        feature_name=names,
        params={"verbose": -1},
    )
    held_out = train.create_valid(rows[stopped_on], target[stopped_on], weight=weight[stopped_on])
    booster = lgb.train(
        parameters,
        train,
        config.max_rounds,
        valid_sets=[held_out],
        callbacks=[lgb.early_stopping(config.patience, verbose=False)],
    )
    # A copy cut at the best round, so that what is saved is what is used.
    return lgb.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))


def _parameters(objective: str, config: BoosterConfig, *, seed: int, n_rows: int) -> dict[str, Any]:
    return {
        "objective": objective,
        "num_leaves": config.num_leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": int(np.clip(n_rows // 50, 5, 100)),
        "feature_fraction": config.feature_fraction,
        "bagging_fraction": config.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": config.lambda_l2,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": N_THREADS,
        "verbose": -1,
    }
