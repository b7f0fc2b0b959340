"""How the answer is to look, and how much is to be thought for it."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.fitting.json_tool import JSON_TOOL
from router_model.serving.formats.format import Json
from router_model.serving.formats.shapes import mapping
from router_model.serving.formats.translations.chat_to_anthropic.schema import closed

_EFFORTS: Final[Mapping[str, str]] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}


def put_output_format(request: Json, response_format: object) -> None:
    """Put ``output_config.format``, or the tool that stands for any JSON object.

    Raises
    ------
    InvalidRequestError
        If the format is not one that Anthropic's models can be held to.
    """
    if response_format is None:
        return
    type_ = response_format.get("type") if isinstance(response_format, Mapping) else None
    if isinstance(response_format, Mapping) and type_ == "json_schema":
        named = response_format.get("json_schema")
        schema = named.get("schema") if isinstance(named, Mapping) else None
        if not isinstance(schema, Mapping):
            raise InvalidRequestError("'response_format' has no 'json_schema.schema'", param="response_format")
        _configure(request, "format", {"type": "json_schema", "schema": closed(schema, "response_format")})
    elif type_ == "json_object":
        _force_json(request)
    elif type_ != "text":
        raise InvalidRequestError(
            f"'response_format' {str(type_)[:50]!r} cannot be asked of Anthropic's models; "
            "use 'text', 'json_schema' or 'json_object'",
            param="response_format",
        )


def put_effort(request: Json, body: Mapping[str, Any]) -> None:
    """Put ``thinking`` and its effort, of ``reasoning_effort`` or of OpenRouter's ``reasoning``.

    Raises
    ------
    InvalidRequestError
        If the effort is not one of OpenAI's.
    """
    reasoning = mapping(body.get("reasoning"))
    budget = reasoning.get("max_tokens")
    effort = body.get("reasoning_effort") or reasoning.get("effort")
    if effort is None and budget is not None:
        request["thinking"] = {"type": "enabled", "budget_tokens": budget}
    elif effort == "none" or reasoning.get("enabled") is False:
        request["thinking"] = {"type": "disabled"}
    elif isinstance(effort, str) and effort in _EFFORTS:
        request["thinking"] = {"type": "adaptive"}
        _configure(request, "effort", _EFFORTS[effort])
    elif effort is not None:
        raise InvalidRequestError(
            f"'reasoning_effort' must be 'none' or one of {', '.join(_EFFORTS)}, not {str(effort)[:50]!r}",
            param="reasoning_effort",
        )
    elif reasoning.get("enabled"):
        request["thinking"] = {"type": "adaptive"}


def _configure(request: Json, name: str, value: object) -> None:
    request["output_config"] = {**mapping(request.get("output_config")), name: value}


def _force_json(request: Json) -> None:
    if request.get("tools"):
        raise InvalidRequestError(
            "'response_format' json_object beside 'tools' cannot be asked of Anthropic's models; use 'json_schema'",
            param="response_format",
        )
    description = "Give the answer, as the fields of one JSON object."
    request["tools"] = [
        {"name": JSON_TOOL, "description": description, "input_schema": {"type": "object", "properties": {}}}
    ]
    request["tool_choice"] = {"type": "tool", "name": JSON_TOOL, "disable_parallel_tool_use": True}
