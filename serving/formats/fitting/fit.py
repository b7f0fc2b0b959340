"""Fit a body to the model that gets it: leave out or change what the model does not accept."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from router_model.serving.formats.fitting.chat import fit_chat, fit_responses
from router_model.serving.formats.fitting.fitting import Fitted, Fitting
from router_model.serving.formats.fitting.generate import fit_generate
from router_model.serving.formats.fitting.messages import fit_messages
from router_model.serving.formats.fitting.parameters import BY_NAME, REASONING_HISTORY, asks, has, without
from router_model.serving.formats.fitting.table import BY_KIND
from router_model.serving.formats.shapes import Json
from router_model.serving.providers.provider import Kind, Target

_FITS: Final = {
    Kind.OPENAI: fit_chat,
    Kind.ANTHROPIC: fit_messages,
    Kind.GEMINI: fit_generate,
    Kind.RESPONSES: fit_responses,
}
_NONE: Final[frozenset[str]] = frozenset()


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
