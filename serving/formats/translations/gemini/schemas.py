"""Google's schemas, a subset of OpenAPI's, said as JSON schemas.

Types are lower case there, ``nullable`` is a type of its own, and numbers may be written as text (``"minItems": "1"``).
"""

from typing import Any, Final

from router_model.serving.formats.format import Json
from router_model.serving.formats.translations.gemini.fields import camel

_RENAMED: Final = {"defs": "$defs", "ref": "$ref"}
_COUNTS: Final = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_DROPPED: Final = frozenset({"nullable", "propertyOrdering", "example"})


def json_schema(schema: Json) -> Json:
    """Return the JSON schema of a schema of Google's; what is one already stays.

    Examples
    --------
    >>> json_schema({"type": "OBJECT", "properties": {"n": {"type": "INTEGER", "nullable": True}}, "required": ["n"]})
    {'type': 'object', 'properties': {'n': {'type': ['integer', 'null']}}, 'required': ['n']}
    """
    result: Json = {}
    for name, value in schema.items():
        field = camel(name)
        if field not in _DROPPED and value is not None and not (field == "format" and value == "enum"):
            result[_RENAMED.get(field, field)] = _value(field, value)
    return _or_null(result) if schema.get("nullable") else result


def _value(field: str, value: Any) -> Any:
    if field == "type" and isinstance(value, str):
        return value.lower()
    if field in _COUNTS and isinstance(value, str) and value.isdecimal():
        return int(value)
    if field in {"properties", "defs", "$defs"} and isinstance(value, dict):
        return {name: _nested(one) for name, one in value.items()}
    if field in {"items", "additionalProperties"}:
        return _nested(value)
    if field in {"anyOf", "oneOf", "allOf", "prefixItems"} and isinstance(value, list):
        return [_nested(one) for one in value]
    return value


def _nested(value: Any) -> Any:
    return json_schema(value) if isinstance(value, dict) else value


def _or_null(schema: Json) -> Json:
    if isinstance(schema.get("anyOf"), list):
        return schema | {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    if isinstance(schema.get("type"), str):
        schema = schema | {"type": [schema["type"], "null"]}
    if isinstance(schema.get("enum"), list):
        schema = schema | {"enum": [*schema["enum"], None]}
    return schema
