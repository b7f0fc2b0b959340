"""Remember what models refused: later requests that ask for it try other models first, or leave it out.

What is remembered is small and the provider's word alone: "this model at this provider refuses X", X one of the fixed
names of `router_model.serving.formats.fitting.parameters`, with one of a few fixed values at most. It is kept for
minutes, longer with every time it is confirmed, and after that one request that asks for X is let through. It touches
no request that does not ask for X, and if no other candidate is left, the model is asked all the same.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import orjson

from router_model.serving.formats.fitting.parameters import (
    REASONING_HISTORY,
    Weight,
    asked,
    asks,
    is_harmless,
    parameter,
    read,
    value_name,
)
from router_model.serving.formats.fitting.table import family_of, host_of
from router_model.serving.formats.format import KIND_OF_SURFACE, Call
from router_model.serving.formats.shapes import Json
from router_model.serving.forwarding.rules import RefusalRules
from router_model.serving.providers.failures import CONTENT, Refusal
from router_model.serving.providers.provider import Kind, Target

_EFFORT: Final = "reasoning_effort"
_NEVER: Final = frozenset({CONTENT, REASONING_HISTORY})
"""Refusals of one request that say nothing about the next request."""
_NONE: Final[frozenset[str]] = frozenset()
_BY_CARD: Final = (
    *(("tools", "tools"), ("images", "vision"), ("audio", "audio")),
    ("response_format", "structured_output"),
)
"""What a request may ask for, and the field of the catalog's card that says whether a model has it."""


@dataclass(slots=True)
class _Entry:
    """A refusal: when one request is let through again, and for how long it is kept after the next confirmation."""

    until: float
    pause_s: float
    is_probed: bool = False


class Refusals:
    """Remembers what is refused, by provider and model; the oldest are forgotten if there are too many.

    Examples
    --------
    >>> from router_model.serving.providers.provider import Provider
    >>> model = Target("m", Provider("p", Kind.OPENAI, "https://p.example/v1"), "m")
    >>> refusals = Refusals(RefusalRules(first_s=600.0))
    >>> refusals.note(model, ["tools"], now=0.0)
    >>> refusals.of(model, {"tools"}, now=599.0), refusals.of(model, {"n"}, now=599.0)
    (frozenset({'tools'}), frozenset())

    After ten minutes one request finds out; meanwhile the others go by what was known.

    >>> refusals.of(model, {"tools"}, now=600.0), refusals.of(model, {"tools"}, now=601.0)
    (frozenset(), frozenset({'tools'}))
    """

    def __init__(self, rules: RefusalRules) -> None:
        self._rules = rules
        self._entries: OrderedDict[tuple[str, str], dict[str, _Entry]] = OrderedDict()

    def knows(self, target: Target) -> Collection[str]:
        """Return the names of all that a model was seen to refuse."""
        return self._entries.get(_key(target), _NONE)

    def of(self, target: Target, names: Iterable[str], now: float) -> frozenset[str]:
        """Return what a model is known to refuse of these names; of one whose time is over, this is the probe."""
        known = self._entries.get(_key(target))
        if known is None:
            return _NONE
        refused = set()
        for name in known.keys() & set(names):
            entry = known[name]
            if now < entry.until:
                refused.add(name)
            else:
                entry.until, entry.is_probed = now + self._rules.probe_s, True
        return frozenset(refused)

    def note(self, target: Target, names: Collection[str], now: float) -> None:
        """Take note of a refusal; one that is confirmed is kept twice as long."""
        if not names:
            return
        known = self._entries.setdefault(_key(target), {})
        self._entries.move_to_end(_key(target))
        for name in names:
            before = known.get(name)
            again = before is not None and before.is_probed
            pause_s = min(2 * before.pause_s, self._rules.longest_s) if before and again else self._rules.first_s
            if before is None or again:
                known[name] = _Entry(now + pause_s, pause_s)
        while len(self._entries) > self._rules.most_targets:
            self._entries.popitem(last=False)

    def forget(self, target: Target, names: Iterable[str]) -> None:
        """Take note that a model has taken what it was seen to refuse."""
        known = self._entries.get(_key(target), {})
        for name in names:
            known.pop(name, None)
        if not known:
            self._entries.pop(_key(target), None)


class Wishes:
    """The wishes of one order, compared with what its candidates accept.

    Parameters
    ----------
    call : Call
    refusals : Refusals
        Of all orders.
    """

    def __init__(self, call: Call, refusals: Refusals) -> None:
        self._call = call
        self._refusals = refusals
        self._kind = KIND_OF_SURFACE.get(call.surface, Kind.ECHO)
        self._refused: dict[tuple[str, str], frozenset[str]] = {}
        self._probed: dict[tuple[str, str], frozenset[str]] = {}
        self._asked_for: dict[str, bool] = {}

    @cached_property
    def _names(self) -> frozenset[str]:
        return asked(self._call.body, self._kind, stream=self._call.stream)

    def arranged(self, targets: Sequence[Target], now: float) -> Sequence[Target]:
        """Return candidates, those first that take all that is asked for; each part keeps its order."""
        if len(targets) == 1 or self._kind is Kind.ECHO:
            return targets
        return sorted(targets, key=lambda target: self._is_unmet(target, now))

    def refused(self, target: Target, now: float) -> frozenset[str]:
        """Return what a model is known to refuse, of what this order asks for, and of hints."""
        key = _key(target)
        if key not in self._refused:
            known = self._refusals.knows(target)
            names = frozenset(name for name in known if self._concerns(name, target)) if known else _NONE
            self._refused[key] = self._refusals.of(target, names, now)
            self._probed[key] = names - self._refused[key]
        return self._refused[key]

    def note(self, target: Target, refusal: Refusal, sent: bytes, now: float) -> bool:
        """Take note of a refusal; return whether the same model can be asked once more, without what it refused.

        Parameters
        ----------
        sent : the body that was refused
            What is not in it cannot have been refused, and words of it that come back in the error prove nothing.
        """
        body: Json = orjson.loads(sent)
        kind = target.provider.kind
        in_body = asked(body, kind, stream=self._call.stream)
        names = [name for name in refusal.names if name in in_body or _is_harmless(name, body, kind)]
        if not (refusal.evidence and orjson.dumps(refusal.evidence)[1:-1] in sent):
            known = (_with_value(name, body, kind) if refusal.of_value else name for name in names)
            self._refusals.note(target, [name for name in known if name is not None and name not in _NEVER], now)
        before = self.refused(target, now)
        self._refused[_key(target)] = before.union(names)
        self._probed[_key(target)] = _NONE
        is_new = bool(names) and before.isdisjoint(names)
        return is_new and len(names) == len(refusal.names) and all(_is_harmless(name, body, kind) for name in names)

    def took(self, target: Target) -> None:
        """Take note that a model has taken what it was asked, and so what it was seen to refuse before."""
        if probed := self._probed.get(_key(target)):
            self._refusals.forget(target, probed)

    def _is_unmet(self, target: Target, now: float) -> bool:
        """Tell whether a model lacks something, as far as the table, the catalog and its own refusals say."""
        lacks: set[str] = set()
        if target.provider.kind is not Kind.ECHO:
            family, host = family_of(target), host_of(target)
            if family.max_stops is not None and self._most_stops > family.max_stops:
                return True
            lacks |= family.lacks if host is None else family.lacks | host.lacks
        if (card := target.card) is not None:
            lacks.update(name for name, has in _BY_CARD if getattr(card, has) is False)
        lacks |= self.refused(target, now)
        return any(self._asks(name) or _is_of(target, name) for name in lacks)

    @cached_property
    def _most_stops(self) -> int:
        stops = (read(self._call.body, path) for path in parameter("stop").paths(self._kind))
        return max((len(one) for one in stops if isinstance(one, list)), default=0)

    def _asks(self, name: str) -> bool:
        asked_for = self._asked_for.get(name)  # looked up once, however many candidates lack it
        if asked_for is None:
            has_paths = parameter(name).paths(self._kind)
            asked_for = asks(name, self._call.body, self._kind) if has_paths else name in self._names
            self._asked_for[name] = asked_for
        return asked_for

    def _concerns(self, name: str, target: Target) -> bool:
        """Tell whether a refusal matters here: translations and candidates put what the caller's body does not show."""
        return parameter(name).weight is Weight.HINT or self._asks(name) or _is_of(target, name)


def _is_of(target: Target, name: str) -> bool:
    """Tell whether a name is that of the effort which a candidate is called with."""
    return target.effort is not None and name in (_EFFORT, f"{_EFFORT}={target.effort}")


def _is_harmless(name: str, body: Json, kind: Kind) -> bool:
    return name != CONTENT and is_harmless(name, body, kind)


def _with_value(name: str, body: Json, kind: Kind) -> str | None:
    """Return a name with the value that was refused; None if the value is not remembered."""
    values = (value_name(read(body, path)) for path in parameter(name).paths(kind))
    value = next((one for one in values if one is not None), None)
    return None if value is None else f"{name}={value}"


def _key(target: Target) -> tuple[str, str]:
    return target.provider.name, target.model
