"""Fit the boosters that all models share, on evidence that was computed out of fold."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from router_model.errors import TrainingError
from router_model.prediction.predictor import raw_scores
from router_model.training.distributed.engine import spread
from router_model.training.table.split import sample_rows

FloatArray = npt.NDArray[np.float32]
Rows = npt.NDArray[np.intp]

N_THREADS = 2
"""Fixed, because the number of threads changes the order of sums and therefore the last bits of a booster."""

_CHUNK_ROWS = 200_000  # rows laid out at once: 64 MB with about 80 columns


@dataclass(frozen=True, slots=True)
class BoosterConfig:
    """The settings of LightGBM that matter here; docs/decisions/0001 gives reasons for the defaults.

    Attributes
    ----------
    max_rounds, patience : early stopping, measured on each fold's own prompts
    max_rows : if there are more rows, a sample of this size is used for fitting and stopping
    """

    num_leaves: int = 15
    learning_rate: float = 0.03
    feature_fraction: float = 0.4
    bagging_fraction: float = 0.8
    lambda_l2: float = 5.0
    max_rounds: int = 600
    patience: int = 50
    max_rows: int = 1_000_000

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
class PairTable:
    """Training rows that are laid out a few prompts at a time, because all rows together would not fit into memory.

    Attributes
    ----------
    part : Callable
        Function from prompts (indices) to what lays out their rows where it is called, here or on a worker: a float32
        array of shape (len(prompts) * n_outputs, n_columns).
    names : names of the columns
    target, weight : float32 arrays, shape (n_prompts, n_outputs)
        An output is a (model, bar), or a model. Rows of weight 0 are left out of fitting.
    folds : shape (n_prompts,)
    """

    part: Callable[[Rows], Callable[[], FloatArray]]
    names: list[str]
    target: FloatArray
    weight: FloatArray
    folds: npt.NDArray[np.int64]

    def layout(self, prompts: Rows) -> FloatArray:
        """Return the rows of some prompts, shape (len(prompts) * n_outputs, n_columns)."""
        return self.part(prompts)()

    def chunks(self, prompts: Rows) -> Iterator[Rows]:
        """Split prompts so that a chunk's rows stay near `_CHUNK_ROWS`."""
        size = max(_CHUNK_ROWS // self.target.shape[1], 1)
        for start in range(0, len(prompts), size):
            yield prompts[start : start + size]

    def gather(self, pairs: Rows) -> FloatArray:
        """Lay out the rows with some ascending indices into the flattened table."""
        n_outputs = self.target.shape[1]
        prompts, first = np.unique(pairs // n_outputs, return_index=True)
        ends = np.append(first, len(pairs))
        rows = np.empty((len(pairs), len(self.names)), dtype=np.float32)
        done = 0
        for chunk in self.chunks(prompts):
            start, end = ends[done], ends[done + len(chunk)]
            within = np.searchsorted(chunk, pairs[start:end] // n_outputs) * n_outputs + pairs[start:end] % n_outputs
            rows[start:end] = self.layout(chunk)[within]
            done += len(chunk)
        return rows


@dataclass(frozen=True, slots=True)
class FoldBoosters:
    """The boosters of all folds, and the scores of each for its own held-out prompts.

    Attributes
    ----------
    boosters : one for each fold
    folds : their labels, ascending
    out_of_fold : float64 array, shape (n_prompts, n_outputs)
        Scores on the logit (or log) scale.
    """

    boosters: tuple[lgb.Booster, ...]
    folds: npt.NDArray[np.int64]
    out_of_fold: npt.NDArray[np.float64]


def fit_boosters(
    table: PairTable, *, objective: str, config: BoosterConfig, seed: int, advance: Callable[[], None]
) -> FoldBoosters:
    """Fit one booster for each fold on the other folds' rows, with early stopping on its own rows.

    Parameters
    ----------
    objective : ``binary`` or ``regression_l1``
    advance : called after each booster, for a progress bar
    """
    known = np.flatnonzero(table.weight.reshape(-1) > 0)
    pairs = known[sample_rows(len(known), config.max_rows, seed=seed)]
    sample = _Sample(
        rows=table.gather(pairs),
        target=table.target.reshape(-1)[pairs],
        weight=table.weight.reshape(-1)[pairs],
        names=table.names,
        fold_of_row=table.folds[pairs // table.target.shape[1]],
        parameters=_parameters(objective, config, n_rows=len(pairs)),
        config=config,
        seed=seed,
    )
    grown, folds = [], np.unique(table.folds)
    for one in spread(_Sample.grow, sample, folds):
        grown.append(one)
        advance()
    n_rounds = _best_rounds([curve for _, curve in grown])
    boosters = tuple(_cut(booster, n_rounds) for booster, _ in grown)
    return FoldBoosters(boosters, folds, out_of_fold_scores(boosters, table, folds=folds))


def out_of_fold_scores(
    boosters: Sequence[lgb.Booster], table: PairTable, *, folds: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return each prompt's scores from the booster that did not see its fold, shape (n_prompts, n_outputs).

    Parameters
    ----------
    boosters : one for each of `folds`, in order
    folds : labels; the table may lack some of them
    """
    placed = [
        (place, prompts)
        for place, fold in enumerate(folds)
        for prompts in table.chunks(np.flatnonzero(table.folds == fold))
    ]
    pieces = ((place, table.part(prompts)) for place, prompts in placed)
    scores = np.zeros(table.target.shape)
    for (_, prompts), found in zip(placed, spread(_scores, tuple(boosters), pieces), strict=True):
        scores[prompts] = found.reshape(len(prompts), -1)
    return scores


def _scores(boosters: tuple[lgb.Booster, ...], piece: tuple[int, Callable[[], FloatArray]]) -> npt.NDArray[np.float64]:
    """Return one booster's scores of the rows that are laid out here."""
    place, lay_out = piece
    return raw_scores(boosters[place], lay_out())


class _Sample:
    """The rows that boosters are fitted on; all folds share one set of bins.

    Attributes
    ----------
    rows : shape (n_rows, n_columns)
        Dropped once LightGBM has binned them, which it does where the first fold is fitted.
    target, weight, fold_of_row : shape (n_rows,)
    """

    def __init__(
        self,
        *,
        rows: FloatArray,
        target: FloatArray,
        weight: FloatArray,
        names: list[str],
        fold_of_row: npt.NDArray[np.int64],
        parameters: dict[str, Any],
        config: BoosterConfig,
        seed: int,
    ) -> None:
        self.rows: FloatArray | None = rows
        self.target, self.weight, self.names, self.fold_of_row = target, weight, names, fold_of_row
        self.parameters, self.config, self.seed = parameters, config, seed
        self._binned: lgb.Dataset | None = None
        self._binning = Lock()
        self._is_sent = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker needs: it bins the rows itself, into the same bins."""
        return {**self.__dict__, "_binned": None, "_binning": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _binning=Lock(), _is_sent=True)

    def grow(self, fold: int) -> tuple[lgb.Booster, list[float]]:
        """Fit on the other folds until the fold's loss has not fallen for `patience` rounds; also return its curve."""
        binned, curves = self._bins(), dict[str, dict[str, list[float]]]()
        fitted, held_out = (
            binned.subset(np.flatnonzero(side)) for side in (self.fold_of_row != fold, self.fold_of_row == fold)
        )
        booster = lgb.train(
            {**self.parameters, "seed": self.seed + int(fold)},
            fitted,
            self.config.max_rounds,
            valid_sets=[held_out],
            valid_names=["held_out"],
            callbacks=[lgb.early_stopping(self.config.patience, verbose=False), lgb.record_evaluation(curves)],
        )
        (curve,) = curves["held_out"].values()
        return booster, curve

    def _bins(self) -> lgb.Dataset:
        with self._binning:  # a worker may fit two folds at once
            if self._binned is None:
                self._binned = lgb.Dataset(
                    self.rows,
                    self.target,
                    weight=self.weight,
                    feature_name=self.names,
                    params=self.parameters,
                ).construct()
                if not self._is_sent:  # a worker may be asked for them by another one
                    self.rows = None
            return self._binned


def _best_rounds(curves: list[list[float]]) -> int:
    """Return the number of rounds with the least mean held-out loss, among those that every fold reached.

    All folds use the same number, as in `lightgbm.cv`. If each fold chose its own, its held-out predictions would look
    better than they are, and the blend would trust the boosters too much on small tables.
    """
    shortest = min(map(len, curves))
    mean = np.mean([curve[:shortest] for curve in curves], axis=0)
    return int(np.argmin(mean)) + 1


def _cut(booster: lgb.Booster, n_rounds: int) -> lgb.Booster:
    """Return a copy with the first rounds only, so that the saved booster is the one that is used."""
    return lgb.Booster(model_str=booster.model_to_string(num_iteration=n_rounds))


def _parameters(objective: str, config: BoosterConfig, *, n_rows: int) -> dict[str, Any]:
    return {
        "objective": objective,
        "num_leaves": config.num_leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": int(np.clip(n_rows // 50, 5, 100)),
        "feature_fraction": config.feature_fraction,
        "bagging_fraction": config.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": config.lambda_l2,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": N_THREADS,
        "feature_pre_filter": False,  # all folds share one set of bins
        "verbose": -1,
    }
