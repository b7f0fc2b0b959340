"""What Anthropic asks of a request that a caller of another format need not say; it depends on the model.

Bodies of Anthropic's own callers pass as they are, but for thinking that no Claude model can have signed: it is ours,
from another provider's reasoning, and would be refused.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from serving.formats.anthropic.effort import budget_of, effort_of
from serving.formats.format import Json
from serving.formats.shapes import mapping, text
from serving.providers.provider import Target

DEFAULT_MAX_TOKENS: Final = 4096
"""Where the catalog does not say how much a model can write."""
_VERSION: Final = re.compile(r"claude-(?:[a-z]+-)?(\d)(?:[-.](\d{1,2})(?!\d))?(?!\d)")
_LAST_WITH_BUDGETS: Final = (4, 5)
_FORCING: Final = ("any", "tool")


def fitted(body: Json, target: Target) -> Json:
    """Return a translated body as the target's model takes it.

    ``max_tokens`` is required. Thinking is adaptive, with an effort; up to Claude 4.5 it needs a budget instead, and
    turns that used tools must have been signed. With thinking a temperature is 1 and no tool can be forced.
    """
    fit = dict(body)
    if fit.get("max_tokens") is None:
        fit["max_tokens"] = _most(target)
    thinking = fit.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") not in ("adaptive", "enabled"):
        return fit
    choice = fit.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") in _FORCING:
        del fit["thinking"]
    elif takes_budgets(target.upstream_model):
        _budgeted(fit, thinking)
    else:
        _adaptive(fit, thinking)
    if "thinking" in fit:
        fit.pop("temperature", None)
        fit.pop("top_k", None)
    elif takes_budgets(target.upstream_model):
        _without_effort(fit)
    return fit


def takes_budgets(upstream_model: str) -> bool:
    """Tell whether a model thinks by a budget of tokens: Claude up to 4.5, and others that speak Anthropic's format.

    Examples
    --------
    >>> [takes_budgets(name) for name in ("claude-haiku-4-5-20251001", "claude-opus-4-20250514", "deepseek-chat")]
    [True, True, True]
    >>> [takes_budgets(name) for name in ("claude-opus-4-7", "claude-sonnet-5-5", "claude-mythos-preview")]
    [False, False, False]
    """
    if "claude" not in upstream_model:
        return True
    version = _VERSION.search(upstream_model)
    return version is not None and (int(version[1]), int(version[2] or 0)) <= _LAST_WITH_BUDGETS


def without_unsigned_thinking(body: Json) -> Json:
    """Return a body of Anthropic's own format without the thinking in it that no Claude model signed."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not any(map(_has_unsigned, messages)):
        return body
    kept = (_without_unsigned(message) if _has_unsigned(message) else message for message in messages)
    return {**body, "messages": [message for message in kept if message is not None]}


def _most(target: Target) -> int:
    card = target.card
    return DEFAULT_MAX_TOKENS if card is None or card.max_output_tokens is None else card.max_output_tokens


def _adaptive(fit: Json, thinking: Mapping[str, Any]) -> None:
    """Turn a budget into an effort."""
    budget = thinking.get("budget_tokens")
    if isinstance(budget, int) and isinstance(fit["max_tokens"], int):
        fit["thinking"] = {"type": "adaptive"}
        fit["output_config"] = {"effort": effort_of(budget, fit["max_tokens"]), **mapping(fit.get("output_config"))}


def _budgeted(fit: Json, thinking: Mapping[str, Any]) -> None:
    """Turn an effort into a budget, where there is room for one and the conversation allows it."""
    if thinking["type"] == "enabled":
        return
    effort = text(mapping(fit.get("output_config")).get("effort")) or "medium"
    budget = budget_of(effort, fit["max_tokens"]) if isinstance(fit["max_tokens"], int) else None
    _without_effort(fit)
    if budget is None or _is_in_unsigned_tool_loop(fit["messages"]):
        del fit["thinking"]
    else:
        fit["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _without_effort(fit: Json) -> None:
    config = {name: value for name, value in mapping(fit.pop("output_config", None)).items() if name != "effort"}
    if config:
        fit["output_config"] = config


def _is_in_unsigned_tool_loop(messages: list[Any]) -> bool:
    last = next((message for message in reversed(messages) if message.get("role") == "assistant"), None)
    blocks = last.get("content") if last is not None else None
    if not isinstance(blocks, list):
        return False
    types = [block.get("type") for block in blocks]
    return "tool_use" in types and types[0] not in ("thinking", "redacted_thinking")


def _is_unsigned(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == "thinking" and not block.get("signature")


def _has_unsigned(message: object) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    return isinstance(content, list) and any(map(_is_unsigned, content))


def _without_unsigned(message: Json) -> Json | None:
    """Return what is left of a message; None where nothing is."""
    content = [block for block in message["content"] if not _is_unsigned(block)]
    return {**message, "content": content} if content else None
