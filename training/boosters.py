"""Fit the pooled boosters on out-of-fold evidence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from router_model.errors import TrainingError
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

    def __post_init__(self) -> None:
        checks = {
            "num_leaves": self.num_leaves >= 2,  # noqa: PLR2004
            "learning_rate": self.learning_rate > 0,
            "feature_fraction": 0 < self.feature_fraction <= 1,
            "bagging_fraction": 0 < self.bagging_fraction <= 1,
            "lambda_l2": self.lambda_l2 >= 0,
            "max_rounds": self.max_rounds >= 1,
            "patience": self.patience >= 1,
            "max_rows": self.max_rows >= 1,
        }
        wrong = [f"{name}={getattr(self, name)!r}" for name, fits in checks.items() if not fits]
        if wrong:
            raise TrainingError(
                f"boosters: {', '.join(wrong)} cannot be used; see the LightGBM parameters of that name"
            )


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
    grown = [
        _grow(
            Part(rows, target, weight, fitted=(folds != fold) & (weight > 0), held_out=(folds == fold) & (weight > 0)),
            _parameters(objective, config, seed=seed + int(fold), n_rows=int(np.count_nonzero(weight))),
            names=names,
            config=config,
            advance=advance,
        )
        for fold in np.unique(folds)
    ]
    n_rounds = _best_rounds([curve for _, curve in grown])
    boosters = tuple(_cut(booster, n_rounds) for booster, _ in grown)
    out_of_fold = np.zeros(len(rows))
    for fold, booster in zip(np.unique(folds), boosters, strict=True):
        out_of_fold[folds == fold] = raw_scores(booster, rows[folds == fold])
    return FoldBoosters(boosters, out_of_fold)


@dataclass(frozen=True, slots=True)
class Part:
    """Rows with masks of those to fit on and those to stop on."""

    rows: FloatArray
    target: FloatArray
    weight: FloatArray
    fitted: npt.NDArray[np.bool_]
    held_out: npt.NDArray[np.bool_]


def _grow(
    part: Part, parameters: dict[str, Any], *, names: list[str], config: BoosterConfig, advance: Callable[[], None]
) -> tuple[lgb.Booster, list[float]]:
    """Fit until the held-out loss has not fallen for `patience` rounds; return the loss after each round, too."""
    chosen = np.flatnonzero(part.fitted)
    if len(chosen) > config.max_rows:
        rng = np.random.default_rng(parameters["seed"])
        chosen = np.sort(rng.choice(chosen, config.max_rows, replace=False))
    train = lgb.Dataset(
        part.rows[chosen],
        part.target[chosen],
        weight=part.weight[chosen],
        feature_name=names,
        params={"verbose": -1},
    )
    stop = part.held_out
    held_out = train.create_valid(part.rows[stop], part.target[stop], weight=part.weight[stop])
    curves: dict[str, dict[str, list[float]]] = {}
    booster = lgb.train(
        parameters,
        train,
        config.max_rounds,
        valid_sets=[held_out],
        valid_names=["held_out"],
        callbacks=[lgb.early_stopping(config.patience, verbose=False), lgb.record_evaluation(curves)],
    )
    advance()
    (curve,) = curves["held_out"].values()
    return booster, curve


def _best_rounds(curves: list[list[float]]) -> int:
    """Return the number of rounds, among those every fold reached, with the least mean held-out loss.

    One number for all folds, as in `lightgbm.cv`: a fold that chose its own would make its held-out predictions
    look better than they are, and the blend would trust the boosters too much on small tables.
    """
    shortest = min(map(len, curves))
    mean = np.mean([curve[:shortest] for curve in curves], axis=0)
    return int(np.argmin(mean)) + 1


def _cut(booster: lgb.Booster, n_rounds: int) -> lgb.Booster:
    """Return a copy of the first rounds, so that what is saved is what is used."""
    return lgb.Booster(model_str=booster.model_to_string(num_iteration=n_rounds))


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
