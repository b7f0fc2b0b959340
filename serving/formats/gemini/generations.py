"""What Gemini's generations want said differently; the rest of a translation need not know the model.

- Up to 2.5, thinking is a budget of tokens; from 3 on it is a level, and a request must not name both.
- From 3 on, the tool calls of the history must carry the signature of the thought they came from. Those of other models
  have none, which is what happens when a router changes models within a conversation; for these Google documents a
  value that is not checked (https://ai.google.dev/gemini-api/docs/thought-signatures).
"""

import re
from typing import Any, Final

from serving.formats.format import Json

UNCHECKED_SIGNATURE: Final = "skip_thought_signature_validator"

_BUDGETS: Final = {"MINIMAL": 1024, "LOW": 1024, "MEDIUM": 8192, "HIGH": 24_576, "XHIGH": 24_576}
"""Thinking tokens by level, as Google's own OpenAI-compatible endpoint maps them; 24,576 is the most of 2.5 Flash."""
_GENERATION: Final = re.compile(r"gemini-(\d+)")


def generation_of(model: str) -> int | None:
    """Return the generation of a model id; None where it names none.

    >>> generation_of("gemini-2.5-flash"), generation_of("models/gemini-3-pro-preview"), generation_of("gemma-3-27b-it")
    (2, 3, None)
    """
    match = _GENERATION.search(model)
    return None if match is None else int(match[1])


def adapted(body: Json, model: str) -> Json:
    """Return a translated body as `model` wants it."""
    generation = generation_of(model)
    if generation is None:
        return body
    return _with_budget(body) if generation <= 2 else _with_signatures(body)  # noqa: PLR2004  (Gemini 2)


def _with_budget(body: Json) -> Json:
    config = body.get("generationConfig") or {}
    thinking = config.get("thinkingConfig") or {}
    budget = _BUDGETS.get(str(thinking.get("thinkingLevel")))
    if budget is None:
        return body
    rest = {name: value for name, value in thinking.items() if name != "thinkingLevel"}
    return body | {"generationConfig": config | {"thinkingConfig": rest | {"thinkingBudget": budget}}}


def _with_signatures(body: Json) -> Json:
    return body | {"contents": [_signed(content) for content in body.get("contents", [])]}


def _signed(content: dict[str, Any]) -> dict[str, Any]:
    """Sign the first tool call of a turn, as Gemini does, unless one of the turn's has a signature."""
    parts = content.get("parts", [])
    calls = [part for part in parts if "functionCall" in part]
    if not calls or any("thoughtSignature" in part for part in calls):
        return content
    return content | {
        "parts": [part | {"thoughtSignature": UNCHECKED_SIGNATURE} if part is calls[0] else part for part in parts]
    }
