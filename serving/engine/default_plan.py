"""The default plan: the answer when no prediction can be made.

It lists the models that the settings name, or else the artifact's models: the safest one first, then the others by how
often they succeeded. Hard constraints hold here, too, as far as they need no prediction. If they exclude all models
that the settings name, the other models stand in.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import nan

import numpy as np

from router_model.candidates import graded_models, read_announced
from router_model.catalog import Catalog, ModelCard
from router_model.cost import prices_usd
from router_model.decision import Exclusion
from router_model.features import Prompt
from router_model.plan import Plan, PlanStep
from router_model.saved.artifact import Artifact
from router_model.screening.constraints import Constraints
from router_model.screening.screening import Screening, screen
from router_model.serving.common.service_errors import EmptyPlanError

CHARS_PER_TOKEN = 4.0
"""A rule of thumb, because no tokeniser is reliable for every model."""

_SIDES = ("input", "output")


@dataclass(frozen=True, slots=True)
class DefaultPlan:
    """Models to answer with, best first.

    Attributes
    ----------
    models : ids
    reserves : ids
        Models that stand in if constraints exclude all of `models`, best first.
    cards : model -> ModelCard
        Nothing is known about a model without a card.
    best_single : id or None
        The model to call if one had to answer everything, by the artifact; savings are counted against it.
    """

    models: tuple[str, ...]
    reserves: tuple[str, ...] = ()
    cards: Mapping[str, ModelCard] = field(default_factory=dict)
    best_single: str | None = None

    def steps(self, prompt: Prompt, constraints: Constraints) -> tuple[Plan, tuple[Exclusion, ...]]:
        """Return the plan for a request, NaN for all that is predicted, and the models that are left out.

        Raises
        ------
        NoCandidateError
            If the constraints leave no model.
        EmptyPlanError
            If the service has neither a router nor a default plan.
        """
        if not self.models:
            raise EmptyPlanError(
                "this service cannot choose a model: it runs without a router and without a default plan; "
                "name one of the "
                "models of GET /v1/models, or ask its operator to start it with an ARTIFACT"
            )
        found = self._screened(self.models, prompt, constraints)
        if not found.eligible.any():
            found = self._screened((*self.models, *self.reserves), prompt, constraints)
        # The number of tokens is a guess, so it must not be the reason why no model is left.
        if not found.eligible.any():
            found = self._screened((*self.models, *self.reserves), prompt, constraints, chars_per_token=np.inf)
        found.require_candidate(0)
        left = np.flatnonzero(found.eligible[0]).tolist()
        plan = Plan.of([PlanStep(found.case.cards[i].model, nan, nan, nan) for i in left])
        return plan, found.exclusions(0)

    def _screened(
        self,
        models: Sequence[str],
        prompt: Prompt,
        constraints: Constraints,
        chars_per_token: float = CHARS_PER_TOKEN,
    ) -> Screening:
        # A model that the settings name need not be in a catalog; a blank card lets it be screened all the same.
        cards = [self.cards.get(model) or ModelCard(model, Decimal(0), Decimal(0)) for model in models]
        shape = (1, len(cards))
        return screen(
            constraints,
            [prompt],
            cards,
            n_input_tokens=np.full(shape, prompt.n_chars / chars_per_token),
            expected_cost_usd=np.full(shape, nan),
        )


def default_plan(named: Sequence[str], artifact: Artifact | None = None, catalog: Catalog | None = None) -> DefaultPlan:
    """Return the default plan of a service.

    Parameters
    ----------
    named : ids
        The models that the settings name; if empty, the artifact's order is used.
    artifact : Artifact, optional
    catalog : the cards in use; of a service without a router, of what its settings name
    """
    cards = {} if catalog is None else dict(catalog.cards)
    ranked = () if artifact is None else by_record(artifact) or by_level(artifact, Catalog(cards))
    models = tuple(dict.fromkeys(named)) or ranked
    best = None if artifact is None else next(iter(by_success(artifact) or ranked), None)
    return DefaultPlan(models, tuple(model for model in ranked if model not in models), cards, best)


def by_record(artifact: Artifact) -> tuple[str, ...]:
    """Return the models by how often they met the default bar; ties from the cheapest up.

    First, whatever its record, comes the model that the router itself always calls, or else the one it calls safest: on
    certified prompts, or else on prompts unlike the logged ones.
    """
    bar = artifact.operating_point.quality_bar
    certified = (one.safest_model for one in artifact.certificates if one.quality_bar in (None, bar))
    safest = artifact.operating_point.always_model or next(certified, artifact.safe_model)
    return tuple(sorted(by_success(artifact), key=lambda model: model != safest))


def by_success(artifact: Artifact) -> tuple[str, ...]:
    """Return the graded models by how often they met the default bar; ties from the cheapest up."""
    candidates = graded_models(artifact)
    predictor, bar = artifact.predictor, artifact.operating_point.quality_bar
    n_bars = len(predictor.grid)
    success = predictor.grid.at(predictor.evidence_model.bank.base[:, :n_bars], bar)
    price_in, price_out = (prices_usd(artifact.catalog, predictor.models, f"usd_per_mtok_{of}") for of in _SIDES)
    ranked = [predictor.models[i] for i in np.lexsort((price_in + price_out, -success)).tolist()]
    return tuple(model for model in ranked if model in candidates)


def by_level(artifact: Artifact, catalog: Catalog) -> tuple[str, ...]:
    """Return announced models by the lower ends of their levels, for a router without graded candidates.

    First comes the one that the router always calls.
    """
    announced = read_announced(artifact, catalog)
    if announced is None:
        return ()
    always, levels = artifact.operating_point.always_model, announced.levels
    return tuple(sorted(levels, key=lambda model: (model != always, -levels[model].interval[0])))
