"""The starter: a router for models that nobody has graded an answer of.

It is made of the shipped anchors and a catalog. Anchors are imaginary models of several levels. What they answer well
was learned from public tables (`router_model.training.anchors`), so they say how hard a prompt is. A model of the
catalog is predicted from them by its level (`router_model.announced`), and its level comes from what the catalog says:
an accuracy, published scores, a sibling or only a price.

Choosing by difficulty pays only if the levels are right: on public tables that the anchors had not seen, wrong levels
cost more than difficulty brought (docs/decisions/0047). So the starter routes only if the accuracies of at least two
models were counted on `SURE_PROMPTS` prompts. Else it calls one model, the cheapest that is expected to be about as
good as the best, and says so. It explores all the same, so that its log teaches the first trained router.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import as_file, files
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from router_model.announced.announced import AnnouncedModels
from router_model.announced.level import Level
from router_model.announced.starter_levels import starter_levels
from router_model.catalog import Catalog
from router_model.cost import Prices
from router_model.decision import lowered
from router_model.errors import CatalogError
from router_model.policy import OperatingPoint, best_by_value
from router_model.prediction.uncertainty import Z
from router_model.saved.artifact import Artifact, load_artifact

Float64Array = npt.NDArray[np.float64]

SURE_PROMPTS: Final = 400
"""Prompts that an accuracy must be counted on, so that choosing by difficulty does not lose on tables left out."""

MAX_QUALITY_LOSS: Final = 0.01
"""Expected quality that the default rule may lose against the best model, as in training."""

_FLAT: Final = 1e-6  # the slope of difficulty where the starter does not route; it must be above 0
_TYPICAL_INPUT_TOKENS: Final = 300.0
_VALUES: Final = 200  # values of quality that are tried


@dataclass(frozen=True, slots=True)
class Starter:
    """A router from a catalog alone.

    Attributes
    ----------
    artifact : Artifact
    levels : model -> Level
    routes : bool
        Whether it chooses by difficulty. If not, `always_model` is called.
    always_model : id or None
    why : str
        Why it routes, or does not.
    """

    artifact: Artifact
    levels: Mapping[str, Level]
    routes: bool
    always_model: str | None
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Return the starter as plain JSON types."""
        return {
            "routes": self.routes,
            "always_model": self.always_model,
            "why": self.why,
            "quality_value_usd": self.artifact.operating_point.quality_value_usd,
            "levels": {
                model: {"mean_quality": float(expit(level.log_odds)), "interval": list(level.interval)}
                for model, level in self.levels.items()
            },
        }


@lru_cache(maxsize=1)
def load_anchors() -> Artifact:
    """Load the shipped anchors; of one process, once.

    Raises
    ------
    ArtifactError
        If the files are damaged.
    """
    with as_file(files("router_model").joinpath("assets/anchors")) as folder:
        return load_artifact(folder)


def start(catalog: Catalog, *, quality_value_usd: float | None = None, anchors: Artifact | None = None) -> Starter:
    """Make a router from a catalog.

    Parameters
    ----------
    catalog : of the candidates; what a card says of a model's level is used (`router_model.announced.starter_levels`)
    quality_value_usd : what a good answer is worth over a bad one, in USD
        Default: the least value at which `MAX_QUALITY_LOSS` is expected to be lost against the best model, at most.
    anchors : default: the shipped ones

    Raises
    ------
    CatalogError
        If there are fewer than two models, one has an anchor's name, or a sibling is not in the catalog.
    """
    anchors = load_anchors() if anchors is None else anchors
    _check(catalog, anchors)
    reference = anchors.reference
    assert reference is not None  # noqa: S101 - anchors are built with one
    levels = starter_levels(catalog)
    sure = [model for model, card in catalog.cards.items() if (card.accuracy_prompts or 0) >= SURE_PROMPTS]
    routes = len(sure) >= 2  # noqa: PLR2004 - there is nothing to choose between one
    if not routes:
        reference = replace(reference, slope=_FLAT)
    announced = AnnouncedModels.of_levels(reference, levels)
    quality = lowered(expit(reference.log_odds @ announced.weights + announced.shift), Z * announced.errors)
    cost = _typical_cost(catalog, anchors)
    value = _value_of_quality(quality, cost) if quality_value_usd is None else quality_value_usd
    always = None if routes else list(levels)[_one_for_all(quality.mean(axis=0), cost, quality_value_usd)]
    why = _why(sure, always)
    artifact = replace(
        anchors,
        catalog=Catalog({**anchors.catalog.cards, **catalog.cards}),
        reference=reference,
        operating_point=OperatingPoint(anchors.operating_point.quality_bar, value, always),
        provenance={**anchors.provenance, "starter": {"routes": routes, "why": why}},
    )
    return Starter(artifact, levels, routes, always, why)


def _check(catalog: Catalog, anchors: Artifact) -> None:
    if len(catalog) < 2:  # noqa: PLR2004
        raise CatalogError(
            f"the catalog has one model, {', '.join(catalog)}; expected at least 2 to choose between: add a table "
            '[models."<id>"] with the prices of each'
        )
    taken = [model for model in catalog if model in anchors.predictor.models]
    if taken:
        raise CatalogError(f"a model is named {taken[0]!r}, as an anchor of the starter is; give it another name")


def _typical_cost(catalog: Catalog, anchors: Artifact) -> Float64Array:
    """Return what a typical call of each model costs, shape (n_models,)."""
    tokens = float(np.expm1(anchors.predictor.amounts["output_tokens"].mean_log.mean()))
    models = list(catalog)
    cost = Prices.of(catalog, models).expected_cost_usd(
        n_input_tokens=np.array([_TYPICAL_INPUT_TOKENS]),
        tokens_per_piece=np.ones(len(models)),
        output_tokens=np.full((1, len(models)), tokens),
    )
    return np.asarray(cost[0])


def _value_of_quality(quality: Float64Array, cost: Float64Array) -> float:
    """Return the least value of quality, in USD, at which little quality is expected to be lost.

    Parameters
    ----------
    quality : shape (n_prompts, n_models)
    cost : shape (n_models,)

    Examples
    --------
    The dear model is better by 0.1 and costs 1 cent more. Below 10 cents the cheap one would be chosen:

    >>> round(_value_of_quality(np.array([[0.8, 0.9]]), np.array([0.0, 0.01])), 2)
    0.1
    """
    best = quality.mean(axis=0).max()
    paid = cost[cost > 0]
    if not len(paid):
        return 1.0  # all are free, so any value leads to the best
    everyone, costs = np.ones(quality.shape, dtype=bool), np.broadcast_to(cost, quality.shape)
    values = np.geomspace(paid.min(), 1e4 * paid.max(), _VALUES)
    for value in values.tolist():
        chosen = best_by_value(quality, costs, everyone, success_value_usd=value)
        if np.take_along_axis(quality, chosen[:, None], axis=1).mean() >= best - MAX_QUALITY_LOSS:
            return float(value)
    return float(values[-1])


def _one_for_all(quality: Float64Array, cost: Float64Array, quality_value_usd: float | None) -> int:
    """Return the column of the model that answers everything where the starter does not route.

    It is the best at the value of quality. Without a value it is the cheapest that loses at most `MAX_QUALITY_LOSS`.

    Parameters
    ----------
    quality, cost : shape (n_models,)

    Examples
    --------
    The second of three loses 0.005. A mix of the others would be as good for less, so no value leads to it:

    >>> quality, cost = np.array([0.5, 0.895, 0.9]), np.array([0.01, 0.099, 0.1])
    >>> _one_for_all(quality, cost, None), _one_for_all(quality, cost, 0.226), _one_for_all(quality, cost, 0.22)
    (1, 2, 0)
    """
    if quality_value_usd is None:
        is_enough = quality >= quality.max() - MAX_QUALITY_LOSS
        return int(np.lexsort((-quality, np.where(is_enough, cost, np.inf)))[0])
    return int(np.lexsort((cost, cost - quality_value_usd * quality))[0])


def _why(sure: list[str], always: str | None) -> str:
    if always is None:
        return (
            f"routes by difficulty: the accuracies of {', '.join(sure)} were counted on {SURE_PROMPTS} prompts or more"
        )
    return (
        f"does not route: it needs two models with an accuracy that was counted on {SURE_PROMPTS} prompts or more, and "
        f"the catalog has {len(sure) or 'none'}. {always} answers everything: the cheapest that should be about "
        "as good as the best. Give accuracies (accuracy, accuracy_prompts), or collect and grade outcomes"
    )
