"""Fit a body to the model that gets it: leave out or change what the model does not accept.

What a format cannot say at all may still be kept on the answer (`FirstCall`).
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from router_model.serving.formats.fitting.chat import fit_chat, fit_responses
from router_model.serving.formats.fitting.fitting import Fitted, Fitting
from router_model.serving.formats.fitting.generate import fit_generate
from router_model.serving.formats.fitting.messages import fit_messages
from router_model.serving.formats.fitting.parameters import BY_NAME, REASONING_HISTORY, asks, has, without
from router_model.serving.formats.fitting.table import BY_KIND
from router_model.serving.formats.shapes import Json, index_of, mapping, mappings
from router_model.serving.providers.provider import Kind, Target

_FITS: Final = {
    Kind.OPENAI: fit_chat,
    Kind.ANTHROPIC: fit_messages,
    Kind.GEMINI: fit_generate,
    Kind.RESPONSES: fit_responses,
}
_NONE: Final[frozenset[str]] = frozenset()
FIRST_CALL: Final = "parallel_tool_calls=first"
"""How the caller is told of `keeps_first_call`."""


def untranslatable(body: Mapping[str, Any], surface: Kind, provider: Kind) -> tuple[Json, tuple[str, ...]]:
    """Return a caller's body without the preferences that the provider's format cannot express, and their names.

    Parameters
    ----------
    body : in the format of `surface`
    surface, provider : whose formats these are

    Examples
    --------
    >>> untranslatable({"seed": 7, "min_p": 0, "stop": "END"}, Kind.OPENAI, Kind.ANTHROPIC)
    ({'stop': 'END'}, ('seed',))
    """
    left, dropped = dict(body), []
    for name in sorted(BY_KIND.get(provider, _NONE)):
        if not has(name, body, surface):
            continue
        if asks(name, body, surface):
            dropped.append(name)
        for path in BY_NAME[name].paths(surface):
            left = without(left, path)
    return left, tuple(dropped)


def keeps_first_call(body: Mapping[str, Any], surface: Kind, provider: Kind) -> bool:
    """Tell whether a caller's body asks for one tool call at a time, and the provider's format cannot say it.

    Then the first call of an answer stays, and the others are left out. Nothing is lost by that: the next turn shows
    the model its one call with the result, and the model asks for what it still needs, as one does that calls its tools
    one by one. Only the tokens of the calls that were left out are paid for.

    >>> body = {"tools": [{}], "parallel_tool_calls": False}
    >>> keeps_first_call(body, Kind.OPENAI, Kind.GEMINI), keeps_first_call(body, Kind.OPENAI, Kind.ANTHROPIC)
    (True, False)
    """
    if provider is not Kind.GEMINI or not body.get("tools"):
        return False
    if surface is Kind.ANTHROPIC:
        return mapping(body.get("tool_choice")).get("disable_parallel_tool_use") is True
    return body.get("parallel_tool_calls") is False


def fitted(body: Json, target: Target, *, refused: Collection[str] = ()) -> Fitted:
    """Return a body as a target's model takes it, with what was left out or changed for that.

    Parameters
    ----------
    body : in the format of the target's provider
    target : Target
    refused : names of parameters that this model refused before; the harmless ones are left out

    Examples
    --------
    >>> from router_model.serving.providers.provider import Provider
    >>> openai = Provider("openai", Kind.OPENAI, "https://api.openai.com/v1")
    >>> done = fitted({"max_tokens": 9, "temperature": 0.2, "top_p": 1}, Target("openai/gpt-5", openai, "gpt-5"))
    >>> done.body, done.changes
    ({'max_completion_tokens': 9}, ('temperature',))
    """
    fit = _FITS.get(target.provider.kind)
    if fit is None:
        return Fitted(body)
    fitting = Fitting(body, target)
    if REASONING_HISTORY in refused:  # before the rest: whether a model may think depends on it
        fitting.forget_reasoning()
    fit(fitting)
    for name in sorted(refused):
        if fitting.is_harmless(name):
            fitting.drop(name)
    return fitting.result()


class FirstCall:
    """Leaves the first tool call of each candidate in an answer of Google's; one for each answer."""

    def __init__(self) -> None:
        self._called: set[int] = set()

    def of(self, said: Json) -> Json:
        """Return a whole answer, or one event of a stream, without the calls after the first.

        >>> parts = [{"functionCall": {"name": "look"}}, {"functionCall": {"name": "listen"}}]
        >>> FirstCall().of({"candidates": [{"content": {"parts": parts}}]})
        {'candidates': [{'content': {'parts': [{'functionCall': {'name': 'look'}}]}}]}
        """
        candidates = mappings(said.get("candidates"))
        return {**said, "candidates": [self._candidate(one) for one in candidates]} if candidates else said

    def _candidate(self, candidate: Json) -> Json:
        content = mapping(candidate.get("content"))
        parts = mappings(content.get("parts"))
        if not any("functionCall" in part for part in parts):
            return candidate
        kept = [part for part in parts if "functionCall" not in part or self._is_first(index_of(candidate))]
        return {**candidate, "content": {**content, "parts": kept}}

    def _is_first(self, index: int) -> bool:
        is_first = index not in self._called
        self._called.add(index)
        return is_first
