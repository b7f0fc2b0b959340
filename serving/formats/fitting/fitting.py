"""The state of one fitting, and the rules that hold for every format."""

from dataclasses import dataclass
from typing import Any

from router_model.serving.formats.fitting.parameters import BY_NAME, LIMITS, asks, has, is_harmless, read, without
from router_model.serving.formats.fitting.table import SAMPLERS, Samples, family_of, host_of, nearest_effort
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.provider import Target


@dataclass(frozen=True, slots=True)
class Fitted:
    """A body as a model takes it.

    Attributes
    ----------
    body : Json
    changes : what the caller asked for and does not get
        A name if it was left out, ``name=value`` if it was changed.
    """

    body: Json
    changes: tuple[str, ...] = ()


class Fitting:
    """Changes a body, and keeps account of what the caller asked for and does not get.

    Parameters
    ----------
    body : in the format of the target's provider; is not changed itself
    target : Target

    Attributes
    ----------
    body : as it is so far
    family, host : the rows of the table for the target
    kind : of the provider
    """

    def __init__(self, body: Json, target: Target) -> None:
        self.body = dict(body)
        self.target = target
        self.kind = target.provider.kind
        self.family = family_of(target)
        self.host = host_of(target)
        self._changes: dict[str, str | None] = {}

    def result(self) -> Fitted:
        """Return what has become of the body."""
        changes = (name if value is None else f"{name}={value}" for name, value in self._changes.items())
        return Fitted(self.body, tuple(changes))

    def get(self, path: str) -> Any:
        """Return the value at a path; None if there is none."""
        return read(self.body, path)

    def has(self, name: str) -> bool:
        """Tell whether the body has a parameter."""
        return has(name, self.body, self.kind)

    def asks(self, name: str) -> bool:
        """Tell whether the body asks for something by a parameter."""
        return asks(name, self.body, self.kind)

    def is_harmless(self, name: str) -> bool:
        """Tell whether leaving a parameter out changes nothing that the caller would notice."""
        return is_harmless(name, self.body, self.kind)

    def drop(self, name: str) -> None:
        """Leave a parameter out; what asked for nothing is not told."""
        if name in LIMITS:
            self.rename(*LIMITS[name])
            return
        if not self.has(name):
            return
        if self.asks(name):
            self.note(name)
        for path in BY_NAME[name].paths(self.kind):
            self.body = without(self.body, path)

    def note(self, name: str, value: str | None = None) -> None:
        """Take note that the caller does not get what it asked for: nothing of it, or another value."""
        self._changes[name] = value

    def rename(self, old: str, new: str) -> None:
        """Rename a parameter, if the body has it and does not have the new name."""
        value = self.body.pop(old, None)
        if value is not None:
            self.body.setdefault(new, value)

    def forget_reasoning(self) -> None:
        """Leave out what models thought in earlier turns."""
        messages = self.body.get("messages")
        if isinstance(messages, list):
            left = [_without_reasoning(one) if isinstance(one, dict) else one for one in messages]
            self.body["messages"] = [one for one in left if not isinstance(one, dict) or one.get("content") != []]
        items = self.body.get("input")
        if isinstance(items, list):
            # Without ids, too: OpenAI knows by them which reasoning a call came with, and wants it.
            self.body["input"] = [
                {name: value for name, value in one.items() if name != "id"} if _type(one) in _SAID else one
                for one in items
                if _type(one) != "reasoning"
            ]

    def drop_what_is_not_taken(self, effort: object) -> None:
        """Leave out the preferences that the model, or its host, does not take.

        Parameters
        ----------
        effort : how much the model should reason, if the body says so
        """
        drops = self.family.drops | (self.host.drops if self.host is not None else frozenset())
        samples = self.family.samples
        reasons = effort != "none" if samples is Samples.WITHOUT_REASONING else effort not in (None, "none")
        if samples is Samples.NEVER or (samples is not Samples.ALWAYS and reasons):
            drops |= SAMPLERS
        for name in sorted(drops):
            self.drop(name)
        if self.family.one_sampler and self.has("temperature") and self.has("top_p"):
            # A temperature of 1 asks for nothing, so then the caller loses less without it than without top_p.
            self.drop("top_p" if self.asks("temperature") else "temperature")

    def limit_temperature(self, path: str = "temperature") -> None:
        """Lower a temperature to the highest that is taken."""
        temperature = self.get(path)
        limits = [self.family.max_temperature, self.host.max_temperature if self.host is not None else None]
        most = min((limit for limit in limits if limit is not None), default=None)
        if most is not None and isinstance(temperature, int | float) and temperature > most:
            self.body = _with(self.body, path, most)
            self.note("temperature", f"{most:g}")

    def cap_output(self, *paths: str) -> None:
        """Lower a limit of the output to what the model can write at most, as far as the catalog says it."""
        card = self.target.card
        most = None if card is None else card.max_output_tokens
        for path in paths:
            limit = self.get(path)
            if most is not None and isinstance(limit, int) and limit > most:
                self.body = _with(self.body, path, most)
                self.note("max_tokens", str(most))

    def fitted_effort(self, effort: str) -> str | None:
        """Return the nearest effort that the model knows; None: it takes none at all."""
        known = self.family.efforts
        if known is None:
            return effort
        if not known:
            if effort != "none":
                self.note("reasoning_effort")
            return None
        nearest = nearest_effort(effort, known)
        if nearest != effort:
            self.note("reasoning_effort", nearest)
        return nearest


def _with(body: Json, path: str, value: object) -> Json:
    """Return a body with another value at a path that it has."""
    outer, _, inner = path.partition(".")
    name = outer if outer in body else next(name for name in body if name.replace("_", "").lower() == outer.lower())
    return {**body, name: _with(body[name], inner, value) if inner else value}


_REASONING_FIELDS = frozenset({"reasoning_content", "reasoning", "reasoning_details", "thinking_blocks"})
_SAID = ("message", "function_call", "custom_tool_call")
_REASONING_BLOCKS = ("thinking", "redacted_thinking")


def _without_reasoning(message: Json) -> Json:
    left = {name: value for name, value in message.items() if name not in _REASONING_FIELDS}
    content = left.get("content")
    if isinstance(content, list):
        left["content"] = [part for part in content if _type(part) not in _REASONING_BLOCKS]
    return left


def _type(part: object) -> object:
    return part.get("type") if isinstance(part, dict) else None
