"""JSON schemas as Anthropic holds answers to them.

Objects must be closed, and limits on numbers, lengths and patterns are not known there. As Anthropic's own clients do,
such limits are moved into the description, where the model still reads them.
"""

from collections.abc import Mapping
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Json
from router_model.serving.formats.json_text import dump

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


def closed(schema: Mapping[str, Any], param: str) -> Json:
    """Return a schema with its objects closed and its limits described.

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
