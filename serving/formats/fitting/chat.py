"""Fit bodies in OpenAI's formats: chat completions, and Responses.

A conversation of Responses may have items that a service like this one made of another model's answer. Nobody else
knows their ids, nor the reasoning that is carried in them.
"""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.formats.carried_reasoning import ENCRYPTED, OUR_IDS, is_carried
from router_model.serving.formats.fitting.effort import effort_of
from router_model.serving.formats.fitting.fitting import Fitting
from router_model.serving.formats.shapes import Json, mapping, mappings, text

_LIMITS: Final = ("max_tokens", "max_completion_tokens")
_MANY: Final = 16_000
"""The output to see a thinking budget in proportion, where a body has no limit."""
_THOUGHTS: Final = ("reasoning_content", "reasoning")
_FITTED: Final = frozenset({*_THOUGHTS, "reasoning_details", "thinking_blocks", "extra_content", "tool_calls"})
"""Fields of messages that may have to be changed."""
_OWN_FORMAT: Final[Mapping[str, str]] = {
    "anthropic": "anthropic",
    "openai": "openai",
    "google": "google",
    "xai": "xai",
}
"""How the formats of `reasoning_details` begin, by vendor."""
_EFFORT: Final = "reasoning.effort"
_OURS: Final = ("id", "extra_content")


def fit_chat(fitting: Fitting) -> None:
    """Fit a body: limits, efforts, samplers, roles, and the reasoning in its history."""
    _fit_limit(fitting)
    _fit_effort(fitting)
    fitting.drop_what_is_not_taken(fitting.body.get("reasoning_effort"))
    fitting.limit_temperature()
    if fitting.host is not None and fitting.host.seed != "seed":
        fitting.rename("seed", fitting.host.seed)
    if isinstance(fitting.body.get("messages"), list):
        fitting.body["messages"] = [_fitted(message, fitting) for message in fitting.body["messages"]]


def _fit_limit(fitting: Fitting) -> None:
    """Name the limit of the output as the host, or else the model, knows it."""
    limit = (fitting.host.limit if fitting.host is not None else None) or fitting.family.limit
    if limit is not None:
        for other in _LIMITS:
            if other != limit:
                fitting.rename(other, limit)
    fitting.cap_output(*_LIMITS)


def _fit_effort(fitting: Fitting) -> None:
    """Ask for an effort that the model knows; OpenRouter fits them itself, and so do hosts of other vendors' models."""
    family = fitting.family
    if fitting.target.provider.is_openrouter or family.efforts is None or family.vendor == "anthropic":
        return
    body = fitting.body
    reasoning = body.get("reasoning")
    # `reasoning` is OpenRouter's field, so other providers get what it asks for as an effort.
    effort = body.pop("reasoning_effort", None) or _effort_in(mapping(reasoning), body)
    if isinstance(reasoning, dict):
        del body["reasoning"]
    fit = fitting.fitted_effort(effort) if isinstance(effort, str) else effort
    if fit is not None:
        body["reasoning_effort"] = fit


def _effort_in(reasoning: Mapping[str, Any], body: Mapping[str, Any]) -> object:
    """Return the effort that OpenRouter's ``reasoning`` asks for."""
    if reasoning.get("effort") is not None:
        return reasoning["effort"]
    if reasoning.get("enabled") is False:
        return "none"
    budget = reasoning.get("max_tokens")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return effort_of(budget, limit if isinstance(limit, int) else _MANY) if isinstance(budget, int) else None


def _fitted(message: object, fitting: Fitting) -> object:
    """Return a message with a role that the model knows, and without another vendor's reasoning."""
    if not isinstance(message, dict) or (message.get("role") != "developer" and _FITTED.isdisjoint(message)):
        return message
    fit = dict(message)
    if fit.get("role") == "developer" and not fitting.family.takes_developer:
        fit["role"] = "system"
    if fit.get("role") == "assistant":
        _leave_out_reasoning(fit, fitting)
    return fit


def _leave_out_reasoning(message: Json, fitting: Fitting) -> None:
    vendor, host = fitting.family.vendor, fitting.host
    is_strict = host is not None and not host.reads_reasoning
    if is_strict or (vendor not in ("", "open") and not fitting.target.provider.is_openrouter):
        for name in _THOUGHTS:
            message.pop(name, None)
    if "reasoning_details" in message:
        kept = [] if is_strict else [one for one in mappings(message["reasoning_details"]) if _is_own(one, vendor)]
        _put(message, "reasoning_details", kept)
    if vendor != "anthropic":
        message.pop("thinking_blocks", None)
    if vendor != "google":
        _leave_out_signatures(message)


def _is_own(detail: Mapping[str, Any], vendor: str) -> bool:
    """Tell whether a detail of the reasoning was written by a vendor's model, as far as it says so."""
    written_by = str(detail.get("format") or "unknown")
    if written_by == "unknown":
        return vendor in ("", "open")
    others = (start for owner, start in _OWN_FORMAT.items() if owner != vendor)
    return not written_by.startswith(tuple(others))


def _leave_out_signatures(message: Json) -> None:
    """Leave out what Google's models sign; no other model can read it."""
    message.pop("extra_content", None)
    if any("extra_content" in call for call in mappings(message.get("tool_calls"))):
        message["tool_calls"] = [
            {name: value for name, value in call.items() if name != "extra_content"} if isinstance(call, dict) else call
            for call in message["tool_calls"]
        ]


def _put(message: Json, name: str, value: list[Json]) -> None:
    if value:
        message[name] = value
    else:
        del message[name]


def fit_responses(fitting: Fitting) -> None:
    """Fit a body: its limit, effort, samplers, and the items that were made here."""
    fitting.cap_output("max_output_tokens")
    effort = fitting.get(_EFFORT)
    if isinstance(effort, str) and not fitting.target.provider.is_openrouter:
        fit = fitting.fitted_effort(effort)
        if fit != effort:
            reasoning = {name: one for name, one in mapping(fitting.body["reasoning"]).items() if name != "effort"}
            fitting.body["reasoning"] = reasoning | ({} if fit is None else {"effort": fit})
        effort = fit
    fitting.drop_what_is_not_taken(effort)
    fitting.limit_temperature()
    _leave_out_encrypted(fitting)
    items = fitting.body.get("input")
    if isinstance(items, list):
        fitting.body["input"] = [_known(one) for one in items if not _is_carried(one)]


def _leave_out_encrypted(fitting: Fitting) -> None:
    """Ask models that do not reason for no encrypted reasoning, since OpenAI refuses that."""
    include = fitting.body.get("include")
    if fitting.family.efforts == () and isinstance(include, list) and ENCRYPTED in include:
        left = [one for one in include if one != ENCRYPTED]
        fitting.body = {name: value for name, value in fitting.body.items() if name not in ("include", "reasoning")}
        if left:
            fitting.body["include"] = left


def _is_carried(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and item.get("type") == "reasoning"
        and (is_carried(item.get("encrypted_content")) or OUR_IDS in text(item.get("id")))
    )


def _known(item: Any) -> Any:
    """Return an item without what only a service like this one knows."""
    if not isinstance(item, dict) or OUR_IDS not in text(item.get("id")):
        return item
    return {name: value for name, value in item.items() if name not in _OURS}
