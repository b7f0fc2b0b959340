"""The page of every endpoint, as Markdown, from the OpenAPI document that the service itself answers."""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

_SCHEMA = "#/components/schemas/"
_INTRODUCTION = """# Every endpoint

The service describes itself at `/openapi.json`, and this page is made from that. [By example](api.md) explains the
endpoints that decide, and [proxy](proxy.md) those that forward calls. An error's body is an `ErrorAnswer` in the
caller's format.
"""


def endpoints_page() -> str:
    """Return the page, from the document of a service that has no router."""
    from router_model.serving.app import create_app  # noqa: PLC0415  (slow; only the build needs it)
    from router_model.serving.common.settings import Settings  # noqa: PLC0415

    logging.disable(logging.WARNING)  # that it would run without keys, which it does not
    try:
        app = create_app(Settings(default_plan=("any",), insecure=True, log="none"))
    finally:
        logging.disable(logging.NOTSET)
    return page_of(app.openapi())


def page_of(document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document: endpoints first, then the bodies that they name."""
    lines = [_INTRODUCTION]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            lines += _endpoint(f"{method.upper()} {path}", operation)
    schemas = document["components"]["schemas"]
    lines += ["## Bodies", ""]
    for name in sorted(schemas):
        lines += _body(name, schemas[name])
    return "\n".join([*lines, ""])


def _endpoint(title: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## {operation['summary']}", "", f"`{title}`", "", operation["description"], "")
    asked = operation.get("requestBody", {}).get("content", {})
    for media, content in asked.items():
        yield from (f"Body ({media}): {_kind(content['schema'])}", "")
    parameters = operation.get("parameters", [])
    if parameters:
        yield from ("| parameter | in | type | |", "|---|---|---|---|")
        for one in parameters:
            needed = ", required" if one.get("required") else ""
            kind = f"{_kind(one['schema'])}{needed}"
            yield _row(f"`{one['name']}`", one["in"], kind, one.get("description", ""))
        yield ""
    yield from ("| answer | |", "|---|---|")
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        bodies = ", ".join(f"{_kind(one.get('schema', {}))} ({media})" for media, one in content.items())
        headers = ", ".join(f"`{name}`" for name in answer.get("headers", {}))
        said = [answer["description"], bodies if int(status) < 400 else "", f"headers {headers}" if headers else ""]  # noqa: PLR2004
        yield _row(status, "; ".join(filter(None, said)))
    yield ""


def _body(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "", schema.get("description", ""), "")
    if schema.get("properties"):
        required = set(schema.get("required", ()))
        yield from ("| field | type | |", "|---|---|---|")
        for field, of in schema["properties"].items():
            needed = ", required" if field in required else ""
            yield _row(f"`{field}`", f"{_kind(of)}{needed}", of.get("description", ""))
        yield ""
    if "example" in schema:
        yield from ("```json", json.dumps(schema["example"], indent=2, ensure_ascii=False), "```", "")


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in a few words.

    >>> _kind({"anyOf": [{"type": "string"}, {"type": "null"}]}), _kind({"type": "array", "items": {"type": "number"}})
    ('string or null', 'list of number')
    """
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_SCHEMA)
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(map(_kind, schema[several])))
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in cells)} |"
