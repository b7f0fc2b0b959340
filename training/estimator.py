"""A router as an estimator of scikit-learn, for cross-validation, searches over settings, and pipelines.

`fit` takes prompts and the quality of every model's answer to them. It trains with `router_model.training.train.train`,
and predictions are those of `router_model.Router`. Needs scikit-learn (extra ``sklearn``).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from router_model.catalog import Catalog
from router_model.errors import TrainingError
from router_model.features.prompt import PromptLike
from router_model.goal import Goal, OwnTradeoff, QualityValue
from router_model.install_line import install_line
from router_model.training.fitting.fit import FitConfig
from router_model.training.measuring.operating_point import MAX_QUALITY_LOSS
from router_model.training.table.frames import as_frame
from router_model.training.table.outcomes import Outcomes
from router_model.training.train import TrainConfig, train

try:
    from sklearn.base import BaseEstimator
    from sklearn.utils import Tags
    from sklearn.utils.validation import check_is_fitted
except ModuleNotFoundError as exc:
    raise ModuleNotFoundError(f"RouterEstimator needs scikit-learn: {install_line('sklearn')}") from exc

Float64Array = npt.NDArray[np.float64]
Matrix: TypeAlias = Any
"""Numbers of shape (n_prompts, n_models): an array, lists, or a frame whose columns are the models."""

_TWO_D = 2


class RouterEstimator(BaseEstimator):  # type: ignore[misc]
    """Learn which model answers which prompt well, and choose one for each.

    Parameters
    ----------
    models : ids of the models, in the order of the columns of `y`
        None: the columns of `y`, if it is a frame, else ``model 0`` and so on. Columns of frames are taken by these
        names, whatever their order is, if they have them.
    catalog : Catalog, or path of its file
        Prices; those it lacks are looked up, and otherwise learned from `cost_usd`.
    quality_bar : float
        `predict_proba` returns the probability that the quality of an answer is at least this.
    quality_value_usd : float, optional
        What quality 1 is worth over quality 0. None: chosen in training, see `max_quality_loss`.
    max_quality_loss : float
        The mean quality that may be lost against the best single model where no value is given.
    encoder : name for `router_model.features.load_encoder`
    fit_config : FitConfig, optional
        Settings of the predictor.
    random_state : int
        Seed of folds and boosters.

    Attributes
    ----------
    router_ : Router
    report_ : TrainingReport
    classes_ : array of the models' ids, in the order of the columns of `predict_proba`

    Examples
    --------
    ::

        outcomes = read_outcomes("outcomes.parquet")
        search = GridSearchCV(RouterEstimator(models=outcomes.models), {"quality_value_usd": [0.01, 0.1, 1]})
        search.fit(outcomes.prompts, outcomes.quality, cost_usd=outcomes.cost_usd)
    """

    def __init__(
        self,
        *,
        models: Sequence[str] | None = None,
        catalog: Catalog | str | Path | None = None,
        quality_bar: float = 0.5,
        quality_value_usd: float | None = None,
        max_quality_loss: float = MAX_QUALITY_LOSS,
        encoder: str = "static",
        fit_config: FitConfig | None = None,
        random_state: int = 0,
    ) -> None:
        self.models = models
        self.catalog = catalog
        self.quality_bar = quality_bar
        self.quality_value_usd = quality_value_usd
        self.max_quality_loss = max_quality_loss
        self.encoder = encoder
        self.fit_config = fit_config
        self.random_state = random_state

    def fit(self, X: Any, y: Matrix, cost_usd: Matrix | None = None) -> "RouterEstimator":  # noqa: N803
        """Train on prompts.

        Parameters
        ----------
        X : n texts, lists of chat messages, or chat bodies; or an array or frame with one column of them
        y : shape (n, n_models), in [0, 1]
            Quality of every model's answer; NaN if unknown.
        cost_usd : shape (n, n_models), optional
            What the answers cost; NaN if unknown.

        Raises
        ------
        TrainingError
            If shapes do not fit, or the prompts are too few to learn from.
        CatalogError
            If a model has no price, and no cost either.
        """
        prompts = _prompts(X)
        quality, models = self._matrix(y, len(prompts), "y")
        if ((quality < 0) | (quality > 1)).any():
            raise TrainingError(f"y has a quality of {np.nanmax(np.abs(quality)):g}; expected 0 to 1; scale it")
        unknown = np.full(quality.shape, np.nan)
        cost = unknown if cost_usd is None else self._matrix(cost_usd, len(prompts), "cost_usd", models)[0]
        outcomes = Outcomes(
            prompt_ids=[str(row) for row in range(len(prompts))],
            prompts=prompts,
            tasks=[""] * len(prompts),
            models=models,
            quality=quality,
            input_tokens=unknown,
            output_tokens=unknown,
            cost_usd=cost,
            latency_s=unknown,
            propensity=unknown,
        )
        catalog = (
            self.catalog if self.catalog is None or isinstance(self.catalog, Catalog) else Catalog.load(self.catalog)
        )
        config = TrainConfig(
            quality_bars=(self.quality_bar,),
            encoder=self.encoder,
            seed=self.random_state,
            holdout=False,
            max_quality_loss=self.max_quality_loss,
            fit=self.fit_config or FitConfig(),
        )
        self.report_ = train(outcomes, catalog=catalog, config=config)
        self.router_ = self.report_.router
        self.classes_ = np.array(self.router_.models)
        return self

    def predict_proba(self, X: Any) -> Float64Array:  # noqa: N803
        """Return the probability of every model to answer well, shape (n_prompts, n_models).

        Several models may answer well, so rows do not sum to 1.
        """
        check_is_fitted(self)
        return self.router_.predict(_prompts(X), self.quality_bar).p_success

    def predict(self, X: Any) -> npt.NDArray[np.str_]:  # noqa: N803
        """Return the model to call for each prompt, shape (n_prompts,)."""
        check_is_fitted(self)
        decisions = self.router_.decide(_prompts(X), self._goal())
        return np.array([decision.model for decision in decisions])

    def score(self, X: Any, y: Matrix, cost_usd: Matrix | None = None) -> float:  # noqa: N803
        """Return the mean quality of the chosen models' answers, less their cost.

        Costs count in units of quality, by `quality_value_usd`; without it, quality alone counts. Answers whose quality
        is unknown are left out, and costs that are unknown are the router's own expectation.
        """
        check_is_fitted(self)
        prompts = _prompts(X)
        quality, models = self._matrix(y, len(prompts), "y", tuple(self.classes_.tolist()))
        steps = [decision.plan[0] for decision in self.router_.decide(prompts, self._goal())]
        at = np.arange(len(prompts)), np.array([models.index(step.model) for step in steps])
        value = quality[at]
        if self.quality_value_usd is not None:
            expected = np.array([step.expected_cost_usd for step in steps])
            known = expected if cost_usd is None else self._matrix(cost_usd, len(prompts), "cost_usd", models)[0][at]
            value = value - np.where(np.isnan(known), expected, known) / self.quality_value_usd
        if np.isnan(value).all():
            raise TrainingError("y has no quality of any chosen model's answer, so there is nothing to score")
        return float(np.nanmean(value))

    def _goal(self) -> Goal:
        return OwnTradeoff() if self.quality_value_usd is None else QualityValue(self.quality_value_usd)

    def _matrix(
        self, given: Matrix, n_prompts: int, name: str, models: Sequence[str] | None = None
    ) -> tuple[Float64Array, tuple[str, ...]]:
        """Return numbers for each prompt and model, and the models' ids: `models`, or those of the settings or of y."""
        named = self.models if models is None else models
        if hasattr(given, "columns"):
            frame = as_frame(given)
            if named is None:
                named = frame.columns
            elif set(named) == set(frame.columns):
                frame = frame.select(named)
            given = frame.to_numpy()
        try:
            matrix = np.array(given, dtype=np.float64)
        except (TypeError, ValueError) as exc:
            raise TrainingError(f"{name} is no matrix of numbers ({exc}); expected one column for each model") from exc
        if matrix.ndim != _TWO_D or len(matrix) != n_prompts or (named is not None and len(named) != matrix.shape[1]):
            n_columns = "n_models" if named is None else len(named)
            raise TrainingError(f"{name} has the shape {matrix.shape}; expected ({n_prompts}, {n_columns})")
        return matrix, tuple(f"model {at}" for at in range(matrix.shape[1])) if named is None else tuple(named)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.target_tags.required = tags.target_tags.multi_output = tags.target_tags.two_d_labels = True
        tags.target_tags.single_output = False
        return tags


def _prompts(given: Any) -> list[PromptLike]:
    """Return prompts of any container as a list."""
    if isinstance(given, str):
        raise TrainingError("X is one text; expected a list of prompts, e.g. [prompt]")
    if hasattr(given, "columns"):  # a frame, as a pipeline's column transformer gives it
        given = as_frame(given).to_numpy()
    if isinstance(given, np.ndarray) and given.ndim == _TWO_D and given.shape[1] == 1:
        given = given[:, 0]
    if isinstance(given, np.ndarray) and given.ndim != 1:
        raise TrainingError(f"X has the shape {given.shape}; expected one column of prompts")
    return given.tolist() if hasattr(given, "tolist") else list(given)
