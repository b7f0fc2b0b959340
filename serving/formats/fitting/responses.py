"""Fit bodies of OpenAI's Responses.

A conversation may have items that a service like this one made of another model's answer. Their ids are known to nobody
else, and so is the reasoning that is carried in them.
"""

from typing import Any, Final

from router_model.serving.formats.carried_reasoning import ENCRYPTED, OUR_IDS, is_carried
from router_model.serving.formats.fitting.fitting import Fitting
from router_model.serving.formats.shapes import mapping, text

_EFFORT: Final = "reasoning.effort"
_OURS: Final = ("id", "extra_content")


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
