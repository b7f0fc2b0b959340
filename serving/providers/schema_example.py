"""A value that a JSON schema allows, made up without chance."""

from collections.abc import Mapping
from typing import Any, Final

_DEEPEST: Final = 8  # schemas may be circular


def example_of(schema: Any, text: str) -> Any:
    """Return a value of the schema's shape: `text` for texts, zeros, the first of what is listed.

    A simple reading of the words that structured outputs and tools use; patterns and formats are not obeyed.

    Examples
    --------
    >>> properties = {"say": {"type": "string"}, "how": {"enum": ["softly", "loudly"]}, "times": {"type": "integer"}}
    >>> example_of({"type": "object", "properties": properties}, "hi")
    {'say': 'hi', 'how': 'softly', 'times': 0}
    """
    root = schema if isinstance(schema, Mapping) else {}
    return _example(root, root, text, 0)


def _example(schema: Any, root: Mapping[str, Any], text: str, depth: int) -> Any:  # noqa: C901, PLR0911  (a line a kind)
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return {} if depth == 0 else text
    match schema:
        case {"$ref": str(ref)}:
            return _example(_resolved(ref, root), root, text, depth + 1)
        case {"const": value} | {"enum": [value, *_]} | {"default": value}:
            return value
        case {"anyOf": [first, *_]} | {"oneOf": [first, *_]} | {"allOf": [first, *_]}:
            return _example(first, root, text, depth + 1)
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) and kind else kind:
        case "string":
            return text
        case "integer" | "number":
            return schema.get("minimum", 0)
        case "boolean":
            return False
        case "null":
            return None
        case "array":
            least = schema.get("minItems", 0)
            n_items = min(least, _DEEPEST) if isinstance(least, int) else 0
            return [_example(schema.get("items"), root, text, depth + 1) for _ in range(n_items)]
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {name: _example(one, root, text, depth + 1) for name, one in properties.items()}


def _resolved(ref: str, root: Mapping[str, Any]) -> Any:
    """Follow a reference within the schema, such as ``#/$defs/Step``."""
    found: Any = root
    for name in ref.removeprefix("#").split("/")[1:]:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
