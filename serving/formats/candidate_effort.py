"""Write the effort of a candidate that is a model with parameters into a body of its provider's format.

It takes the place of what the caller says of effort or budget: a caller that names another effort is not given this
candidate (`router_model.screening`), or is refused. Whether the model knows the effort is the fitting's to say.
"""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.carried_reasoning import ENCRYPTED
from router_model.serving.formats.shapes import Json, mapping
from router_model.serving.providers.provider import Kind

_AMOUNTS: Final = frozenset({"effort", "max_tokens", "enabled"})
"""Fields of OpenRouter's ``reasoning`` that say how much."""
_CONFIGS: Final = ("generationConfig", "generation_config")
_THINKING: Final = ("thinkingConfig", "thinking_config")
_SHOWS: Final = ("includeThoughts", "include_thoughts")


def with_effort(body: Mapping[str, Any], effort: str, kind: Kind, *, is_translated: bool = False) -> Json:
    """Return a body that asks for an effort; nothing is changed in place.

    Parameters
    ----------
    body : in the format of `kind`
    effort : one of `router_model.model_parameters.EFFORTS`
    kind : of the provider
    is_translated : whether the caller speaks another format, so that reasoning must come back in the answer to go on

    Examples
    --------
    >>> with_effort({"n": 1, "reasoning": {"max_tokens": 9, "exclude": True}}, "high", Kind.OPENAI)
    {'n': 1, 'reasoning': {'exclude': True}, 'reasoning_effort': 'high'}
    >>> with_effort({"max_tokens": 9000}, "low", Kind.ANTHROPIC)
    {'max_tokens': 9000, 'thinking': {'type': 'adaptive'}, 'output_config': {'effort': 'low'}}
    >>> with_effort({"generation_config": {"topP": 1}}, "none", Kind.GEMINI)
    {'generation_config': {'topP': 1, 'thinkingConfig': {'thinkingBudget': 0}}}
    """
    if kind is Kind.ANTHROPIC:
        return _in_messages(body, effort)
    if kind is Kind.GEMINI:
        return _in_generate(body, effort)
    if kind is Kind.RESPONSES:
        return _in_responses(body, effort, is_translated=is_translated)
    left = {name: value for name, value in mapping(body.get("reasoning")).items() if name not in _AMOUNTS}
    kept = {name: value for name, value in body.items() if name not in ("reasoning", "reasoning_effort")}
    return kept | ({"reasoning": left} if left else {}) | {"reasoning_effort": effort}


def _in_messages(body: Mapping[str, Any], effort: str) -> Json:
    from router_model.serving.formats.translations.chat_to_anthropic.output import put_effort  # noqa: PLC0415  (only who calls this kind needs it)

    config = {name: value for name, value in mapping(body.get("output_config")).items() if name != "effort"}
    shown = mapping(body.get("thinking")).get("display")
    kept = {name: value for name, value in body.items() if name not in ("thinking", "output_config")}
    asked = kept | ({"output_config": config} if config else {})
    put_effort(asked, {"reasoning_effort": effort})
    if shown is not None and effort != "none":
        asked["thinking"]["display"] = shown
    return asked


def _in_generate(body: Mapping[str, Any], effort: str) -> Json:
    from router_model.serving.formats.translations.google_thinking import thinking_config  # noqa: PLC0415  as above

    outer = next((name for name in _CONFIGS if name in body), _CONFIGS[0])
    config = mapping(body.get(outer))
    before = next((mapping(config[name]) for name in _THINKING if name in config), {})
    shows = {name: before[name] for name in _SHOWS if name in before and effort != "none"}
    kept = {name: value for name, value in config.items() if name not in _THINKING}
    thinking = {**shows, **thinking_config({"reasoning_effort": effort})}
    return {**body, outer: kept | {"thinkingConfig": thinking}}


def _in_responses(body: Mapping[str, Any], effort: str, *, is_translated: bool) -> Json:
    asked = {**body, "reasoning": {**mapping(body.get("reasoning")), "effort": effort}}
    include = asked.get("include") or []
    if is_translated and effort != "none" and ENCRYPTED not in include:
        asked["include"] = [*include, ENCRYPTED]
    return asked
