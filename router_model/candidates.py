"""Read what the catalog says about a router's candidate models into arrays.

Prices, limits and capabilities never change during a router's life. So they are read once, when the router is loaded,
and not once for each prompt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from router_model.catalog import Catalog, ModelCard
from router_model.cost import Prices
from router_model.decision import Exclusion
from router_model.saved.artifact import Artifact
from router_model.tradeoff import Dial

NO_OUTCOMES = "no_outcomes"
"""The reason code for excluding a model that was announced without outcomes."""

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
    table : CardTable
        Of the candidates, in the order of the predictor's models. `prices` has the same order.
    prices : Prices
    dial : Dial
        From quality to cost, at the prices that the artifact was trained with.
    without_outcomes : models with a price and no outcome in the artifact; they are never chosen
    has_own_prices : bool
        Whether the catalog is the one that the artifact was certified with. Another catalog makes other decisions.
    """

    table: CardTable
    prices: Prices
    dial: Dial
    without_outcomes: tuple[Exclusion, ...]
    has_own_prices: bool

    @classmethod
    def of(cls, artifact: Artifact, catalog: Catalog) -> "Candidates":
        """Read the cards of an artifact's models from `catalog`.

        Raises
        ------
        CatalogError
            If `catalog`, or the artifact's own catalog, lacks one of the models.
        """
        models = artifact.predictor.models
        own = artifact.catalog.only(models)
        detail = "no graded prompt of it; grade some and give them to 'router-model add-model'"
        return cls(
            table=CardTable.of([catalog[model] for model in models]),
            prices=Prices.of(catalog, models),
            dial=Dial.of(artifact.operating_point, own),
            without_outcomes=tuple(
                Exclusion(model, NO_OUTCOMES, detail) for model in artifact.catalog if model not in own
            ),
            has_own_prices=catalog == own,
        )
