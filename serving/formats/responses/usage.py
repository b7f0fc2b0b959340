"""Write ``usage`` in the words of Responses."""

from collections.abc import Mapping
from typing import Any

from router_model.serving.formats.format import Facts
from router_model.serving.formats.openai.usage import written_usage
from router_model.serving.formats.shapes import Json, mapping


def write_usage(said: Mapping[str, Any], facts: Facts) -> Json | None:
    """Return the ``usage`` for the caller: the provider's, with our counts and cost; None if nothing is known.

    Examples
    --------
    >>> from router_model.serving.providers.usage import Usage
    >>> usage = write_usage({}, Facts(usage=Usage(10, 5, cached_input_tokens=4), cost_usd=0.5)) or {}
    >>> usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"], usage["total_tokens"], usage["cost"]
    (10, 4, 15, 0.5)
    """
    chat = written_usage({"cost_details": said.get("cost_details")}, facts)
    if chat is None:
        return None
    return {
        **said,
        "input_tokens": chat["prompt_tokens"],
        "input_tokens_details": {**mapping(said.get("input_tokens_details")), **chat["prompt_tokens_details"]},
        "output_tokens": chat["completion_tokens"],
        "output_tokens_details": {**mapping(said.get("output_tokens_details")), **chat["completion_tokens_details"]},
        **{name: chat[name] for name in ("total_tokens", "cost", "cost_details", "estimated") if name in chat},
    }
