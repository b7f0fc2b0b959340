"""The keys of one provider, in turn, each with what its calls have shown of it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from serving.providers.health import LIMITS, REFUSALS, CallerId, Health, HealthTable


@dataclass(slots=True, eq=False)
class Key:
    """One key of a provider, or that it needs none.

    Attributes
    ----------
    name : str
        The environment variable that holds it; empty where the provider needs none.
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
        """Return ``ok``, ``suspected`` (refused once), ``refused`` (put aside) or ``limited`` (for all models)."""
        if self.refusals.is_open:
            return "refused"
        limit = self.limits.get(None)
        if limit is not None and limit.is_open:
            return "limited"
        return "suspected" if self.refusals.is_suspected else "ok"

    def trouble(self, now: float) -> Iterator[dict[str, Any]]:
        """Yield what is put aside now, for operators: by model, None being the key as a whole."""
        yield from _described(None, "refused", self.refusals, now)
        for model, health in self.limits.items():
            yield from _described(model, "limited", health, now)


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
        """Return the next key in turn that may be used; None where none may."""
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
        """Return which keys are put aside now, for which models; never a key."""
        return [{"key": key.name or None, **one} for key in self.keys for one in key.trouble(now)]


def _described(model: str | None, why: str, health: Health, now: float) -> Iterator[dict[str, Any]]:
    if health.is_open:
        callers, until = health.put_aside_for(), health.until()
        yield {
            "model": model,
            "why": why,
            "state": health.state(now).value,
            "callers": None if callers is None else sorted(caller or "" for caller in callers),
            "retry_in_s": None if until is None else round(max(until - now, 0.0), 1),
        }
