"""Fit bodies in Anthropic's format.

``max_tokens`` is required. How a model is told to think depends on its version: up to Claude 4.5 by a budget of tokens,
from 4.7 on by an effort alone. Servers of other models that speak this format take budgets.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.fitting.effort import budget_of, effort_of
from router_model.serving.formats.fitting.fitting import Fitting
from router_model.serving.formats.fitting.json_tool import JSON_TOOL
from router_model.serving.formats.fitting.table import Samples, Thinking
from router_model.serving.formats.references import thread_refused
from router_model.serving.formats.shapes import Json, mapping, mappings, text

DEFAULT_MAX_TOKENS: Final = 4096
"""The output limit that is assumed if the catalog has none for a model."""
_FORCING: Final = ("any", "tool")
_ON: Final = ("adaptive", "enabled")
_LEAST_TOP_P: Final = 0.95
"""The smallest ``top_p`` that is accepted together with thinking."""
_SIGNATURE: Final = re.compile(r"[A-Za-z0-9+/=]+")
"""Anthropic's are base64; other vendors put JSON or a field's name there."""


def fit_messages(fitting: Fitting) -> None:
    """Fit a body: its limit, thinking and effort, samplers, and the thinking in its history.

    Raises
    ------
    InvalidRequestError
        If it continues a thread at a model that keeps none.
    """
    if fitting.body.get("thread") and fitting.family.vendor not in ("", "anthropic"):
        raise thread_refused("only Anthropic's models are known to keep one, and others ignore the field")
    # First: whether a model may think in a tool loop depends on the thinking that is left in the history.
    _leave_out_unsigned(fitting)
    # Before thinking is fitted, because a thinking budget must be less than max_tokens.
    if fitting.body.get("max_tokens") is None:
        card = fitting.target.card
        most = None if card is None else card.max_output_tokens
        fitting.body["max_tokens"] = DEFAULT_MAX_TOKENS if most is None else most
    fitting.cap_output("max_tokens")
    _fit_thinking(fitting)
    _fit_effort(fitting)
    _free_json_tool(fitting)
    thinks = mapping(fitting.body.get("thinking")).get("type") in _ON
    if thinks and fitting.family.samples is Samples.ALWAYS:
        _leave_samplers_to_thinking(fitting)
    # 'high' stands for any effort: only whether the model reasons decides what is dropped.
    fitting.drop_what_is_not_taken("high" if thinks else None)
    fitting.limit_temperature()


def _fit_thinking(fitting: Fitting) -> None:
    """Write thinking in the model's form; leave it out if the conversation or a forced tool does not allow it."""
    family, body = fitting.family, fitting.body
    thinking = mapping(body.get("thinking"))
    kind = thinking.get("type")
    if kind == "disabled" and not family.thinking_can_be_off:
        fitting.note("thinking")
        del body["thinking"]
        _configure(body, "effort", "low")
    if kind not in _ON:
        return
    if family.thinking is Thinking.ADAPTIVE:
        _adaptive(body, thinking)
    elif mapping(body.get("tool_choice")).get("type") in _FORCING or (
        kind == "enabled" and _is_in_unsigned_tool_loop(body.get("messages"))
    ):
        fitting.note("thinking")
        del body["thinking"]
    elif family.thinking is Thinking.BUDGET and kind == "adaptive":
        _budgeted(fitting)


def _adaptive(body: Json, thinking: Mapping[str, Any]) -> None:
    """Turn a budget into an effort."""
    budget = thinking.get("budget_tokens")
    if thinking["type"] == "adaptive" and budget is None:
        return
    body["thinking"] = {name: value for name, value in thinking.items() if name not in ("type", "budget_tokens")}
    body["thinking"]["type"] = "adaptive"
    if isinstance(budget, int) and isinstance(body["max_tokens"], int):
        _configure(body, "effort", effort_of(budget, body["max_tokens"]))


def _budgeted(fitting: Fitting) -> None:
    """Turn an effort into a budget, if there is room for one and the conversation allows it."""
    body = fitting.body
    effort = text(mapping(body.get("output_config")).get("effort")) or "medium"
    budget = budget_of(effort, body["max_tokens"]) if isinstance(body["max_tokens"], int) else None
    _take_effort_out(body)
    if budget is None or _is_in_unsigned_tool_loop(body.get("messages")):
        fitting.note("thinking")
        del body["thinking"]
    else:
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _fit_effort(fitting: Fitting) -> None:
    effort = mapping(fitting.body.get("output_config")).get("effort")
    if not isinstance(effort, str):
        return
    fit = fitting.fitted_effort(effort)
    if fit is None:
        _take_effort_out(fitting.body)
    elif fit != effort:
        fitting.body["output_config"] = {**fitting.body["output_config"], "effort": fit}


def _free_json_tool(fitting: Fitting) -> None:
    """Offer the tool for "any JSON object" without forcing it, if the model refuses to be forced."""
    choice = mapping(fitting.body.get("tool_choice"))
    if choice.get("name") == JSON_TOOL and "tool_choice" in fitting.family.lacks:
        fitting.body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
        fitting.note("response_format")


def _leave_samplers_to_thinking(fitting: Fitting) -> None:
    """Leave out what is refused together with thinking: another temperature than 1, ``top_k``, and a low ``top_p``."""
    top_p = fitting.body.get("top_p")
    names = ["temperature", "top_k"]
    if isinstance(top_p, int | float) and top_p < _LEAST_TOP_P:
        names.append("top_p")
    for name in names:
        fitting.drop(name)


def _configure(body: Json, name: str, value: object) -> None:
    """Put a field of ``output_config``, unless the body has it."""
    body["output_config"] = {name: value, **mapping(body.get("output_config"))}


def _take_effort_out(body: Json) -> None:
    left = {key: value for key, value in mapping(body.pop("output_config", None)).items() if key != "effort"}
    if left:
        body["output_config"] = left


def _is_in_unsigned_tool_loop(messages: object) -> bool:
    last = next((one for one in reversed(mappings(messages)) if one.get("role") == "assistant"), {})
    types = [block.get("type") for block in mappings(last.get("content"))]
    return "tool_use" in types and types[0] not in ("thinking", "redacted_thinking")


def _leave_out_unsigned(fitting: Fitting) -> None:
    """Leave out thinking that the model's vendor cannot have signed; it would be refused."""
    messages = fitting.body.get("messages")
    if not isinstance(messages, list):
        return
    is_claude = fitting.family.vendor == "anthropic"
    if any(_has_unsigned(message, is_claude=is_claude) for message in messages):
        kept = (_without_unsigned(message, is_claude=is_claude) for message in messages)
        fitting.body["messages"] = [message for message in kept if message is not None]


def _is_unsigned(block: object, *, is_claude: bool) -> bool:
    if not isinstance(block, dict) or block.get("type") != "thinking":
        return False
    signature = block.get("signature")
    return not signature or (is_claude and _SIGNATURE.fullmatch(str(signature)) is None)


def _has_unsigned(message: object, *, is_claude: bool) -> bool:
    content = message.get("content") if isinstance(message, dict) else None
    return isinstance(content, list) and any(_is_unsigned(block, is_claude=is_claude) for block in content)


def _without_unsigned(message: Any, *, is_claude: bool) -> Any:
    """Return what is left of a message; None if nothing is."""
    if not _has_unsigned(message, is_claude=is_claude):
        return message
    content = [block for block in message["content"] if not _is_unsigned(block, is_claude=is_claude)]
    return {**message, "content": content} if content else None
