"""Translate the wishes about the output: its JSON schema, and how much the model should think."""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.fitting.json_tool import JSON_TOOL
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.shapes import Json, mapping

_EFFORTS: Final[Mapping[str, str]] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_LIMITS: Final = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
)
_OF_SCHEMAS: Final = ("properties", "$defs", "definitions")
_LISTS: Final = ("anyOf", "allOf", "oneOf", "prefixItems")


def put_output_format(request: Json, response_format: object) -> None:
    """Put ``output_config.format``, or the tool for "any JSON object".

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
            f"'response_format' {str(type_)[:50]!r} does not exist for Anthropic's models; "
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
            "Anthropic's models cannot combine 'response_format' json_object with 'tools'; use 'json_schema'",
            param="response_format",
        )
    description = "Give the answer, as the fields of one JSON object."
    request["tools"] = [
        {"name": JSON_TOOL, "description": description, "input_schema": {"type": "object", "properties": {}}}
    ]
    # One call only: the inputs of two would be joined in the content, which is no JSON.
    request["tool_choice"] = {"type": "tool", "name": JSON_TOOL, "disable_parallel_tool_use": True}


def closed(schema: Mapping[str, Any], param: str) -> Json:
    """Return a schema with its objects closed and its limits described.

    Anthropic takes closed objects only, and no limits on numbers, lengths and patterns. As Anthropic's own clients do,
    such limits go into the description, where the model still reads them.

    Raises
    ------
    InvalidRequestError
        If an object may have fields of any name: Anthropic cannot hold a model to that.

    Examples
    --------
    >>> closed({"type": "object", "properties": {"age": {"type": "integer", "minimum": 0}}}, "response_format")
    {'type': 'object', 'properties': {'age': {'type': 'integer', 'description': '{"minimum":0}'}}, \
'additionalProperties': False}
    """
    kept: Json = {name: _inner(name, value, param) for name, value in schema.items() if name not in _LIMITS}
    limits = {name: schema[name] for name in _LIMITS if name in schema}
    if limits:
        words = dump(limits).decode()
        kept["description"] = f"{kept['description']} {words}" if kept.get("description") else words
    if kept.get("type") == "object" or "properties" in kept:
        if schema.get("additionalProperties"):
            raise InvalidRequestError(
                f"'{param}': 'additionalProperties' must be false in every object for Anthropic's models",
                param=param,
            )
        kept["additionalProperties"] = False
    if "oneOf" in kept:
        kept["anyOf"] = kept.pop("oneOf")
    return kept


def _inner(name: str, value: Any, param: str) -> Any:
    if name in _OF_SCHEMAS and isinstance(value, Mapping):
        return {key: _schema(inner, param) for key, inner in value.items()}
    if name in _LISTS and isinstance(value, list):
        return [_schema(inner, param) for inner in value]
    return _schema(value, param) if name == "items" else value


def _schema(value: Any, param: str) -> Any:
    return closed(value, param) if isinstance(value, Mapping) else value
