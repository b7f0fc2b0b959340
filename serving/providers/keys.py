"""The keys of one provider, used in turn, each with what its calls have shown about it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from router_model.serving.providers.health import LIMITS, REFUSALS, CallerId, Health, HealthState, HealthTable


@dataclass(slots=True, eq=False)
class Key:
    """One key of a provider, or that it needs none.

    Attributes
    ----------
    name : str
        The environment variable that holds it; empty if the provider needs none.
    value : str or None
        What is sent.
    refusals : Health
        Of the key as a whole: whether the provider takes it.
    limits : HealthTable
        Rate limits, by our id of the model; None: of the key as a whole.
    """

    name: str
    value: str | None = field(repr=False)
    refusals: Health = field(default_factory=lambda: Health(REFUSALS), repr=False)
    limits: HealthTable[str | None] = field(default_factory=lambda: HealthTable(LIMITS), repr=False)

    def healths(self, model: str) -> list[Health]:
        """Return what a call of this model with this key depends on."""
        limits = (self.limits.get(None), self.limits.get(model))
        return [self.refusals, *(one for one in limits if one is not None)]

    def is_ready(self, model: str, caller: CallerId, now: float) -> bool:
        """Tell whether a caller may use the key for a model now."""
        return all(health.is_ready(caller, now) for health in self.healths(model))

    def state(self) -> str:
        """Return ``ok``, ``suspected`` (refused once), ``refused`` (paused) or ``limited`` (for all models)."""
        if self.refusals.is_open:
            return "refused"
        limit = self.limits.get(None)
        if limit is not None and limit.is_open:
            return "limited"
        return "suspected" if self.refusals.is_suspected else "ok"

    def all_healths(self) -> Iterator[tuple[str, str | None, Health]]:
        """Yield what is known of it: ``refused`` or ``limited``, by model; None is the key as a whole."""
        yield "refused", None, self.refusals
        for model, health in self.limits.items():
            yield "limited", model, health


class KeyRing:
    """Keys in turn.

    Parameters
    ----------
    keys : environment variable -> key
        The same key under two names counts once; none: the provider is called without one.

    Examples
    --------
    >>> ring = KeyRing({"KEY": "a", "KEY_2": "b"})
    >>> [ring.take(lambda key: True).value for _ in range(3)]
    ['a', 'b', 'a']
    >>> ring.take(lambda key: key.name == "KEY").value, ring.states()
    ('a', {'KEY': 'ok', 'KEY_2': 'ok'})
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        names = {key: name for name, key in reversed(list(keys.items()))}
        self.keys = tuple(Key(names[key], key) for key in dict.fromkeys(keys.values())) or (Key("", None),)
        self._next = 0

    def take(self, may_be_used: Callable[[Key], bool]) -> Key | None:
        """Return the next key in turn that may be used; None if none may."""
        for _ in self.keys:
            key = self.keys[self._next]
            self._next = (self._next + 1) % len(self.keys)
            if may_be_used(key):
                return key
        return None

    def states(self) -> dict[str, str]:
        """Return the state of each key by its environment variable; never a key."""
        return {key.name: key.state() for key in self.keys if key.name}

    def trouble(self, now: float) -> list[dict[str, Any]]:
        """Return which keys are paused, for which models (None: for all) and callers; never a key."""
        return [
            {"key": key.name or None, "model": model, "why": why, **health.described(now)}
            for key in self.keys
            for why, model, health in key.all_healths()
            if health.is_open
        ]

    def states_by_model(self, now: float) -> dict[tuple[str, str | None], HealthState]:
        """Return the worst state by environment variable and model; None is the key as a whole."""
        states: dict[tuple[str, str | None], HealthState] = {}
        for key in self.keys:
            for _, model, health in key.all_healths():
                before = states.get((key.name, model), HealthState.CLOSED)
                states[key.name, model] = max(before, health.state(now), key=list(HealthState).index)
        return states
