"""Read what the catalog says about a router's candidate models into arrays.

Prices, limits and capabilities never change during a router's life. So they are read once, when the router is loaded,
and not once for each prompt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from router_model.announced.announced import AnnouncedModels
from router_model.announced.level import luckiest
from router_model.announced.starter_levels import starter_levels
from router_model.catalog import Catalog, ModelCard
from router_model.cost import Prices
from router_model.decision import Exclusion
from router_model.saved.artifact import Artifact
from router_model.tradeoff import Dial

NO_OUTCOMES = "no_outcomes"
"""The reason code for excluding a model if nothing tells how well it answers."""

_NO_OUTCOMES_DETAIL: Final = (
    "no graded prompt of it, and no score; give the catalog its scores, a sibling (like) or an accuracy, or grade some "
    "prompts and give them to 'router-model add-model'"
)

CAPABILITIES: Final = ("tools", "vision", "audio", "structured_output")
"""Capabilities that a card states, denies or leaves open."""


@dataclass(frozen=True, slots=True, eq=False)
class CardTable:
    """The cards of m models as arrays.

    Attributes
    ----------
    cards : m cards
    context_window, max_output_tokens : float64 array, shape (m,)
        Infinite if unknown.
    lacks : capability -> bool array, shape (m,)
        True for models that are known not to have the capability.
    """

    cards: tuple[ModelCard, ...]
    context_window: npt.NDArray[np.float64]
    max_output_tokens: npt.NDArray[np.float64]
    lacks: Mapping[str, npt.NDArray[np.bool_]]

    @classmethod
    def of(cls, cards: Sequence[ModelCard]) -> "CardTable":
        """Read cards.

        >>> from decimal import Decimal
        >>> table = CardTable.of([ModelCard("a", Decimal(1), Decimal(2), context_window=1000, tools=False)])
        >>> table.context_window.tolist(), table.max_output_tokens.tolist(), table.lacks["tools"].tolist()
        ([1000.0], [inf], [True])
        """
        return cls(
            cards=tuple(cards),
            context_window=_limits([card.context_window for card in cards]),
            max_output_tokens=_limits([card.max_output_tokens for card in cards]),
            lacks={name: np.array([getattr(card, name) is False for card in cards], bool) for name in CAPABILITIES},
        )


def _limits(limits: Sequence[int | None]) -> npt.NDArray[np.float64]:
    return np.array([np.inf if limit is None else limit for limit in limits], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The candidates of a router.

    Attributes
    ----------
    models : ids
        The graded models in the order of the predictor, then the announced ones.
    columns : shape (n_candidates,), or None
        Of the candidates among the predictor's models and the announced ones; None if all of them are candidates.
    table : CardTable
        Of the candidates. `prices` has the same order.
    prices : Prices
    tokens_per_piece : float64 array, shape (n_candidates,)
        Of an announced model, the mean of the others.
    level_error, caution : float64 array, shape (n_candidates,), or None
        See `router_model.decision.PredictionTable`.
    dial : Dial
        From quality to cost, at the prices that the artifact was trained with.
    without_outcomes : models with a price, and nothing that tells their level; they are never chosen
    has_own_prices : bool
        Whether the catalog is the one that the artifact was certified with. Another catalog makes other decisions.
    """

    models: tuple[str, ...]
    columns: npt.NDArray[np.intp] | None
    table: CardTable
    prices: Prices
    tokens_per_piece: npt.NDArray[np.float64]
    level_error: npt.NDArray[np.float64] | None
    caution: npt.NDArray[np.float64] | None
    dial: Dial
    without_outcomes: tuple[Exclusion, ...]
    has_own_prices: bool

    @classmethod
    def of(cls, artifact: Artifact, catalog: Catalog, announced: AnnouncedModels | None = None) -> "Candidates":
        """Read the cards of an artifact's models, and of announced ones, from `catalog`.

        Raises
        ------
        CatalogError
            If `catalog`, or the artifact's own catalog, lacks one of the models.
        """
        graded = graded_models(artifact)
        new = () if announced is None else announced.models
        models = (*graded, *new)
        own = artifact.catalog.only(graded)
        rates, known = artifact.tokens_per_piece, artifact.predictor.models
        error = None if announced is None else np.append(np.full(len(graded), np.nan), announced.errors)
        columns = np.array([*map(known.index, graded), *range(len(known), len(known) + len(new))], dtype=np.intp)
        return cls(
            models=models,
            columns=None if len(columns) == len(known) + len(new) else columns,
            table=CardTable.of([catalog[model] for model in models]),
            prices=Prices.of(catalog, models),
            tokens_per_piece=np.append(rates, np.full(len(new), rates.mean()))[columns],
            level_error=error,
            # Where none is graded there is none to lose against the luckiest of them.
            caution=None if error is None else luckiest(len(new) if graded else 1) * np.nan_to_num(error),
            dial=Dial.of(artifact.operating_point, own if graded else artifact.catalog.only(known)),
            without_outcomes=tuple(
                Exclusion(model, NO_OUTCOMES, _NO_OUTCOMES_DETAIL)
                for model in artifact.catalog
                if model not in models and model not in artifact.anchors
            ),
            has_own_prices=catalog.only(graded) == own,
        )


def graded_models(artifact: Artifact) -> tuple[str, ...]:
    """Return the ids of an artifact's models that are candidates: all that it has outcomes of but the anchors."""
    return tuple(model for model in artifact.predictor.models if model not in artifact.anchors)


def read_announced(artifact: Artifact, cards: Catalog) -> AnnouncedModels | None:
    """Return the announced models of a catalog; None if there are none, or the artifact cannot predict any.

    Raises
    ------
    CatalogError
        If a card names a sibling that is not known.
    """
    if artifact.reference is None:
        return None
    known = artifact.predictor.models
    if artifact.is_starter:
        mine = Catalog({model: card for model, card in cards.cards.items() if model not in known})
        return AnnouncedModels.of_levels(artifact.reference, starter_levels(mine))
    # Anchors are in no other catalog than the artifact's.
    anchors = {model: artifact.catalog[model] for model in artifact.anchors}
    return AnnouncedModels.of(artifact.reference, known, Catalog({**cards.cards, **anchors}))
