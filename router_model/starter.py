"""The starter: a router for models that nobody has graded an answer of.

It is made of the shipped anchors and a catalog. Anchors are imaginary models of several levels. What they answer well
was learned from public tables (`router_model.training.anchors`), so they say how hard a prompt is. A model of the
catalog is predicted from them by its level (`router_model.announced`), and its level comes from what the catalog says:
an accuracy, published scores, a sibling or only a price.

Choosing by difficulty pays only if the levels are right. So the starter routes only if at least two models have an
accuracy, and the levels are so sure that it can hardly lose against the best mixes of single models
(`router_model.starter_rule`). Else it calls one model, the cheapest that is expected to be about as good as the best,
and says so. It explores all the same, so that its log teaches the first trained router.
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
from router_model.announced.reference import Reference
from router_model.announced.starter_levels import starter_levels
from router_model.catalog import Catalog
from router_model.cost import Prices
from router_model.errors import CatalogError
from router_model.policy import OperatingPoint
from router_model.prediction.uncertainty import Z
from router_model.prediction_table import lowered
from router_model.saved.artifact import Artifact, load_artifact
from router_model.starter_rule import MOST_LOSS, least_gain, one_for_all, value_of_quality

Float64Array = npt.NDArray[np.float64]

_FLAT: Final = 1e-6  # the slope of difficulty where the starter does not route; it must be above 0
_TYPICAL_INPUT_TOKENS: Final = 300.0


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
    least_gain : float
        AIQ that routing gains over the single models' hull, at the lower end of its 90 % interval
        (`router_model.starter_rule.least_gain`); 0 at most.
    why : str
        Why it routes, or does not.
    """

    artifact: Artifact
    levels: Mapping[str, Level]
    routes: bool
    always_model: str | None
    least_gain: float
    why: str

    def as_dict(self) -> dict[str, Any]:
        """Return the starter as plain JSON types."""
        return {
            "routes": self.routes,
            "always_model": self.always_model,
            "least_gain": self.least_gain,
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
    n_counted = sum(card.accuracy is not None for card in catalog.cards.values())
    cost = _typical_cost(catalog, anchors)
    gain = least_gain(_quality(reference, levels), cost, list(levels.values()))
    routes = n_counted >= 2 and gain >= -MOST_LOSS  # noqa: PLR2004 - levels of two must be known to choose by them
    if not routes:
        reference = replace(reference, slope=_FLAT)
    quality = _quality(reference, levels)
    value = value_of_quality(quality, cost) if quality_value_usd is None else quality_value_usd
    always = None if routes else list(levels)[one_for_all(quality.mean(axis=0), cost, quality_value_usd)]
    is_dearest = always is not None and cost[list(levels).index(always)] == cost.max()
    why = _why(n_counted, gain, always, is_dearest=is_dearest)
    artifact = replace(
        anchors,
        catalog=Catalog({**anchors.catalog.cards, **catalog.cards}),
        reference=reference,
        operating_point=OperatingPoint(anchors.operating_point.quality_bar, value, always),
        provenance={**anchors.provenance, "starter": {"routes": routes, "why": why}},
    )
    return Starter(artifact, levels, routes, always, gain, why)


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


def _quality(reference: Reference, levels: Mapping[str, Level]) -> Float64Array:
    """Return the quality that decisions count with on the reference's prompts, shape (n_prompts, n_models)."""
    announced = AnnouncedModels.of_levels(reference, levels)
    return lowered(expit(reference.log_odds @ announced.weights + announced.shift), Z * announced.errors)


def _why(n_counted: int, gain: float, always: str | None, *, is_dearest: bool) -> str:
    loss = "0.001" if gain > -0.001 else f"{-gain:.3f}"  # noqa: PLR2004
    loss += " of quality against the best mixes of single models"
    if always is None:
        return f"routes by difficulty: by these levels it should lose at most {loss}, even if difficulty tells nothing"
    why_it = "the cheapest that should be about as good as the best"
    if is_dearest:
        why_it = "the dearest, as no cheaper one should be about as good by what the catalog tells"
    answers = f"{always} answers everything: {why_it}"
    if n_counted < 2:  # noqa: PLR2004
        return (
            f"does not route: it needs two models with an accuracy, and the catalog has {n_counted or 'none'}. "
            f"{answers}. Give accuracies (accuracy, accuracy_prompts), or collect and grade outcomes"
        )
    return (
        f"does not route: the models' levels are too unsure. Routing may lose {loss}; it must not lose more than "
        f"{MOST_LOSS}. {answers}. Give all models accuracies that were counted on more prompts (accuracy, "
        "accuracy_prompts), or collect and grade outcomes"
    )
