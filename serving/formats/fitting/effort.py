"""How much a model is to think: an effort in each format's words, and the budget of tokens that stands for it.

An effort is what OpenAI's formats name; older Claude models take a budget. The shares of ``max_tokens`` that stand for
an effort are those OpenRouter documents for its ``reasoning.effort``.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from router_model.serving.formats.carried_reasoning import ENCRYPTED
from router_model.serving.formats.shapes import Json, mapping
from router_model.serving.providers.provider import Kind, Provider

MIN_BUDGET: Final = 1024
"""The least Anthropic takes, in tokens; a budget must also be less than ``max_tokens``."""
MAX_BUDGET: Final = 32_000
"""Beyond it Anthropic advises batches, since connections time out."""
_SHARES: Final[Mapping[str, float]] = {
    "minimal": 0.1,
    "low": 0.2,
    "medium": 0.5,
    "high": 0.8,
    "xhigh": 0.95,
    "max": 0.95,
}


def budget_of(effort: str, max_tokens: int) -> int | None:
    """Return the tokens to think with; None if ``max_tokens`` leaves no room for them, or the effort is unknown.

    Examples
    --------
    >>> budget_of("medium", 8000), budget_of("low", 2000), budget_of("high", 1024)
    (4000, 1024, None)
    """
    if effort not in _SHARES or max_tokens <= MIN_BUDGET:
        return None
    return min(max(int(_SHARES[effort] * max_tokens), MIN_BUDGET), MAX_BUDGET, max_tokens - 1)


def effort_of(budget: int, max_tokens: int) -> str:
    """Return the effort whose share of ``max_tokens`` is nearest to a budget, of those that every provider knows.

    Examples
    --------
    >>> [effort_of(budget, 10_000) for budget in (1024, 3400, 3600, 9000)]
    ['low', 'low', 'medium', 'high']
    """
    share = budget / max(max_tokens, 1)
    return min(("low", "medium", "high"), key=lambda effort: abs(_SHARES[effort] - share))


_AMOUNTS: Final = frozenset({"effort", "max_tokens", "enabled"})
"""Fields of OpenRouter's ``reasoning`` that say how much."""
_CONFIGS: Final = ("generationConfig", "generation_config")
_THINKING: Final = ("thinkingConfig", "thinking_config")
_AMOUNTS_OF_GOOGLE: Final = frozenset({"thinkingLevel", "thinking_level", "thinkingBudget", "thinking_budget"})


def with_effort(body: Mapping[str, Any], effort: str, provider: Provider, *, is_translated: bool = False) -> Json:
    """Return a body that asks for an effort, in place of what it says of effort or budget.

    A candidate that is a model with an effort is called so. Whether the model knows the effort is the fitting's to say.

    Parameters
    ----------
    body : in the provider's format; is not changed itself
    effort : one of `router_model.model_parameters.EFFORTS`
    provider : Provider
    is_translated : whether the caller speaks another format, so that reasoning must come back in the answer to go on

    Examples
    --------
    >>> openai, claude = (Provider("p", kind, "https://p.example") for kind in (Kind.OPENAI, Kind.ANTHROPIC))
    >>> with_effort({"n": 1, "reasoning": {"max_tokens": 9, "exclude": True}}, "high", openai)
    {'n': 1, 'reasoning': {'exclude': True}, 'reasoning_effort': 'high'}
    >>> with_effort({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "minimal", claude)
    {'output_config': {'effort': 'low'}, 'thinking': {'type': 'adaptive'}}
    >>> google = Provider("p", Kind.GEMINI, "https://p.example")
    >>> with_effort({"generation_config": {"topP": 1}}, "none", google)
    {'generation_config': {'topP': 1, 'thinkingConfig': {'thinkingBudget': 0}}}

    OpenRouter fits ``reasoning`` to every model, and ``reasoning_effort`` to few.

    >>> with_effort({"reasoning_effort": "low"}, "high", Provider("p", Kind.OPENAI, "https://openrouter.ai/api/v1"))
    {'reasoning': {'effort': 'high'}}
    """
    if provider.kind is Kind.ANTHROPIC:
        return _in_messages(body, effort)
    if provider.kind is Kind.GEMINI:
        return _in_generate(body, effort)
    if provider.kind is Kind.RESPONSES:
        asked = {**body, "reasoning": {**mapping(body.get("reasoning")), "effort": effort}}
        include = body.get("include") or []
        if is_translated and effort != "none" and ENCRYPTED not in include:
            asked["include"] = [*include, ENCRYPTED]
        return asked
    left = _without(mapping(body.get("reasoning")), _AMOUNTS)
    rest = _without(body, {"reasoning", "reasoning_effort"})
    if provider.is_openrouter:
        return rest | {"reasoning": {**left, "effort": effort}}
    return rest | ({"reasoning": left} if left else {}) | {"reasoning_effort": effort}


def _in_messages(body: Mapping[str, Any], effort: str) -> Json:
    config = _without(mapping(body.get("output_config")), {"effort"})
    rest = _without(body, {"thinking", "output_config"})
    if effort == "none":
        return rest | ({"output_config": config} if config else {}) | {"thinking": {"type": "disabled"}}
    shown = mapping(body.get("thinking")).get("display")
    thinking = {"type": "adaptive"} | ({} if shown is None else {"display": shown})
    # Anthropic has no word for less than "low".
    return rest | {
        "output_config": {**config, "effort": "low" if effort == "minimal" else effort},
        "thinking": thinking,
    }


def _in_generate(body: Mapping[str, Any], effort: str) -> Json:
    outer = next((name for name in _CONFIGS if name in body), _CONFIGS[0])
    config = mapping(body.get(outer))
    before = next((mapping(config[name]) for name in _THINKING if name in config), {})
    amount = {"thinkingBudget": 0} if effort == "none" else {"thinkingLevel": effort.upper()}
    thinking = amount if effort == "none" else _without(before, _AMOUNTS_OF_GOOGLE) | amount
    return {**body, outer: _without(config, set(_THINKING)) | {"thinkingConfig": thinking}}


def _without(fields: Mapping[str, Any], names: Collection[str]) -> Json:
    return {name: value for name, value in fields.items() if name not in names}
