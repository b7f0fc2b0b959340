"""Translate how much a model should think: ``reasoning_effort``, ``reasoning`` and Google's ``thinkingConfig``.

A budget stands for the effort that Google's own OpenAI-compatible endpoint maps to it: 1,024 tokens are ``low``, 8,192
``medium``, more ``high``; -1 leaves it to the model.
"""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.translations.google_fields import an_object, get

EFFORTS: Final = ("minimal", "low", "medium", "high", "xhigh", "max")
"""Levels that may be asked for; which of them a model knows is the fitting's to say."""
_LOW_BUDGET: Final = 1024
_MEDIUM_BUDGET: Final = 8192


def thinking_config(body: Mapping[str, Any]) -> Json:
    """Return ``thinkingConfig`` of a chat body; empty if it says nothing of thinking.

    Raises
    ------
    InvalidRequestError
        If the effort is not one Gemini knows.

    Examples
    --------
    >>> thinking_config({"reasoning_effort": "low"}), thinking_config({"reasoning": {"max_tokens": 500}})
    ({'thinkingLevel': 'LOW'}, {'thinkingBudget': 500, 'includeThoughts': True})
    """
    reasoning = an_object(body.get("reasoning"), "reasoning")
    effort = body.get("reasoning_effort") or reasoning.get("effort")
    budget = reasoning.get("max_tokens")
    config: Json = {}
    if effort == "none" or reasoning.get("enabled") is False:
        config["thinkingBudget"] = 0
    elif budget is not None:
        config["thinkingBudget"] = budget
    elif effort is not None:
        config["thinkingLevel"] = _level(effort)
    shows = (bool(reasoning) or body.get("include_reasoning") is True) and not reasoning.get("exclude")
    if shows and config.get("thinkingBudget") != 0:
        config["includeThoughts"] = True
    return config


def reasoning_effort(config: Json, where: str) -> str | None:
    """Return the effort that a ``thinkingConfig`` asks for; None if it leaves it to the model.

    Examples
    --------
    >>> [reasoning_effort({"thinkingBudget": budget}, "") for budget in (-1, 0, 1024, 5000, 20000)]
    [None, 'none', 'low', 'medium', 'high']
    """
    level = str(get(config, "thinkingLevel") or "").lower()
    if level in EFFORTS:
        return level
    budget = get(config, "thinkingBudget")
    if budget is None or budget == -1:
        return None
    if not isinstance(budget, int):
        raise InvalidRequestError(
            f"'{where}.thinkingBudget' is {type(budget).__name__}; expected a number of tokens", param=where
        )
    if budget <= 0:
        return "none"
    return "low" if budget <= _LOW_BUDGET else "medium" if budget <= _MEDIUM_BUDGET else "high"


def _level(effort: object) -> str:
    if effort not in EFFORTS:
        raise InvalidRequestError(
            f"'reasoning_effort' is {effort!r}; expected none, {', '.join(EFFORTS)}", param="reasoning_effort"
        )
    return str(effort).upper()
