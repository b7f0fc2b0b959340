"""Fit bodies in Google's format.

- Up to Gemini 2.5, thinking is a budget of tokens; from 3 on it is a level, and a request must not name both.
- From 3 on, the tool calls of the history must carry the signature of the thought they came from. Those of other models
  have none, which is what happens when a router changes models within a conversation; for these Google documents a
  value that is not checked (https://ai.google.dev/gemini-api/docs/thought-signatures).
"""

import re
from typing import Any, Final

from router_model.serving.formats.fitting.fitting import Fitting
from router_model.serving.formats.shapes import Json, mapping, mappings

UNCHECKED_SIGNATURE: Final = "skip_thought_signature_validator"

_BUDGETS: Final = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
"""Thinking tokens by level, as Google's own OpenAI-compatible endpoint maps them; 24,576 is the most of 2.5 Flash."""
_GENERATION: Final = re.compile(r"gemini-(\d+)")
_THINKING: Final = "generationConfig.thinkingConfig"
_FIRST_WITH_LEVELS: Final = 3


def generation_of(model: str) -> int | None:
    """Return the generation of a model id; None if it names none.

    >>> generation_of("gemini-2.5-flash"), generation_of("models/gemini-3-pro-preview"), generation_of("gemma-3-27b-it")
    (2, 3, None)
    """
    match = _GENERATION.search(model)
    return None if match is None else int(match[1])


def fit_generate(fitting: Fitting) -> None:
    """Fit a body: its limit, thinking, samplers and signatures."""
    fitting.cap_output("generationConfig.maxOutputTokens")
    thinking = fitting.get(_THINKING)
    generation = generation_of(fitting.target.upstream_model)
    if isinstance(thinking, dict):
        _put_thinking(fitting, _fitted_thinking(thinking, fitting, generation))
    fitting.drop_what_is_not_taken(None)
    fitting.limit_temperature("generationConfig.temperature")
    if generation is not None and generation >= _FIRST_WITH_LEVELS and isinstance(fitting.get("contents"), list):
        fitting.body["contents"] = [_signed(content) for content in fitting.body["contents"]]


def _fitted_thinking(thinking: Json, fitting: Fitting, generation: int | None) -> Json:
    """Return the configuration of thinking: a level that the model knows, or a budget if it knows no levels."""
    level, budget = str(_either(thinking, "thinkingLevel") or "").lower(), _either(thinking, "thinkingBudget")
    rest = {key: value for key, value in thinking.items() if key.replace("_", "").lower() not in _AMOUNTS}
    if budget == 0 and not level:
        level, budget = "none", None
    if not level:
        return thinking
    effort = fitting.fitted_effort(level)
    if effort is None:
        return {}
    if effort == "none" or (generation is not None and generation < _FIRST_WITH_LEVELS and effort in _BUDGETS):
        return rest | {"thinkingBudget": _BUDGETS[effort]}
    return rest | {"thinkingLevel": effort.upper()}


_AMOUNTS: Final = ("thinkinglevel", "thinkingbudget")


def _either(fields: Json, name: str) -> Any:
    """Return a field in either spelling."""
    return next((value for key, value in fields.items() if key.replace("_", "").lower() == name.lower()), None)


def _put_thinking(fitting: Fitting, thinking: Json) -> None:
    outer = "generationConfig" if "generationConfig" in fitting.body else "generation_config"
    config = {
        key: value
        for key, value in mapping(fitting.body[outer]).items()
        if key not in ("thinkingConfig", "thinking_config")
    }
    if thinking:
        config["thinkingConfig"] = thinking
    fitting.body[outer] = config


def _signed(content: Any) -> Any:
    """Sign the first tool call of a turn, as Gemini does, unless one of the turn's has a signature."""
    parts = mappings(mapping(content).get("parts"))
    calls = [part for part in parts if "functionCall" in part or "function_call" in part]
    if not calls or any("thoughtSignature" in part or "thought_signature" in part for part in calls):
        return content
    first = calls[0]
    return content | {
        "parts": [
            part | {"thoughtSignature": UNCHECKED_SIGNATURE} if part is first else part for part in content["parts"]
        ]
    }
