"""Turn models, best first, into candidates: each with the providers that serve it and that the request allows."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from router_model.catalog import ModelCard
from router_model.serving.common.service_errors import EmptyPlanError, InvalidRequestError, ServiceError
from router_model.serving.formats.fitting.table import family_of
from router_model.serving.providers.fleet import Fleet
from router_model.serving.providers.provider import Provider, Target
from router_model.serving.proxy.preferences import NONE, Preferences
from router_model.serving.proxy.speeds import Speeds

_logger = logging.getLogger(__name__)
MAX_CANDIDATES: Final = 24
"""Candidates that are handed on: several times the attempts there can be."""
_KEPT: Final = 16
"""Collections of models whose missing ones are remembered: one or two for each router."""


class Candidates:
    """Finds the providers that serve the models."""

    def __init__(self, providers: Fleet) -> None:
        self._providers = providers
        self.speeds: Final = Speeds()
        self._unavailable: dict[int, tuple[Mapping[str, Provider], Collection[str], tuple[str, ...]]] = {}

    @property
    def provider_names(self) -> frozenset[str]:
        """Names of our providers, in lower case."""
        return frozenset(name.lower() for name in self._providers.all)

    def serves(self, model: str) -> bool:
        """Tell whether any provider serves a model."""
        return bool(self._providers.targets(model))

    def names_exactly(self, model: str) -> bool:
        """Tell whether a provider of the file serves a model by this name, and not by a star."""
        return any(model in one.models for one in self._providers.all.values())

    @property
    def served_models(self) -> Mapping[str, ModelCard | None]:
        """The models that are served, as far as the providers' file or the catalog names them, with their cards."""
        return self._providers.models

    def warn_of_efforts(self) -> None:
        """Name the candidates whose model is not known to take the effort that the catalog says."""
        for model in self.served_models:
            for target in self._providers.targets(model):
                known = None if target.effort is None else family_of(target).efforts
                if known is not None and target.effort not in known:
                    _logger.warning(
                        "%s: %s is not known to take the effort %r, but %s; each call of it will say what was sent "
                        "instead, so the catalog should have another effort",
                        target.name,
                        target.upstream_model,
                        target.effort,
                        ", ".join(known) or "none at all",
                    )

    def unavailable(self, models: Collection[str], preferences: Preferences) -> tuple[str, ...]:
        """Return the models that no provider serves of those that a request allows.

        Parameters
        ----------
        models : that may be chosen; the same object as long as they are the same
        preferences : of the request
        """
        if preferences.filters:
            return tuple(model for model in models if not self._any(model, preferences))
        kept = self._unavailable.get(id(models))
        if kept is None or kept[0] is not self._providers.all or kept[1] is not models:
            if len(self._unavailable) >= _KEPT:  # collections of routers that were replaced
                self._unavailable.clear()
            missing = tuple(model for model in models if not self._providers.targets(model))
            # The collection is kept, so that no other one gets its id.
            kept = self._unavailable[id(models)] = self._providers.all, models, missing
        return kept[2]

    def targets(
        self, models: Iterable[str], preferences: Preferences, *, body: Mapping[str, Any] | None = None
    ) -> list[Target]:
        """Return the candidates, best first; providers of one model are neighbours.

        Parameters
        ----------
        models : best first
        preferences : Preferences
        body : of a call that nothing was decided for: its models' cards are held against what it asks for here

        Raises
        ------
        EmptyPlanError
            If nothing is left; it names what to relax.
        """
        found: list[Target] = []
        asked = list(models)
        for model in asked:
            served = self._providers.targets(model)
            if preferences is not NONE:
                served = tuple(preferences.arranged(served, self.speeds))
            if body is not None:
                served = _capable(served, preferences, body)
            found += served
            if len(found) >= MAX_CANDIDATES:
                break
        if not found:
            raise _nobody(asked, self._providers.all, preferences)
        return found if preferences.allow_fallbacks else found[:1]

    def _any(self, model: str, preferences: Preferences) -> bool:
        return any(preferences.admits(target.provider) for target in self._providers.targets(model))


def _capable(served: Sequence[Target], preferences: Preferences, body: Mapping[str, Any]) -> tuple[Target, ...]:
    return tuple(one for one in served if preferences.affords(one.card) and preferences.fits(one.card, body))


def _nobody(models: Sequence[str], providers: Iterable[str], preferences: Preferences) -> ServiceError:
    named = ", ".join(models[:5])
    if (refusal := preferences.only_responses) is not None:
        return InvalidRequestError(f"{named}: {refusal.message}", param=refusal.param)
    if preferences is NONE:
        return EmptyPlanError(
            f"no provider serves {named}; the providers are {', '.join(providers)}; add the model to one of them",
            param="model",
        )
    return EmptyPlanError(
        f"'provider' excludes every provider of {named}; the service's providers are {', '.join(providers)}; relax it",
        param="provider",
    )
