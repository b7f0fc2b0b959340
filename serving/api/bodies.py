"""Reading a request's body: JSON, an object, and of the declared shape."""

from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from serving.access.json_depth import check_depth
from serving.api.requests import RouterOptions
from serving.errors import InvalidRequestError

Model = TypeVar("Model", bound=BaseModel)

_QUOTED: Final = (bool, int, float, type(None))
_OBJECT: Final = frozenset({"dict_type", "model_type"})
"""Kinds of pydantic's errors whose messages name Python's types."""


async def read_object(request: Request, *, max_depth: int) -> dict[str, Any]:
    """Return the body, a JSON object.

    Raises
    ------
    InvalidRequestError
        If the content type is not JSON's (what a form on a foreign web page can send is not read), or the body is
        no JSON object, or nests deeper than `max_depth`.
    """
    _check_content_type(request.headers.get("content-type", ""))
    raw = await request.body()
    check_depth(raw, max_depth)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequestError(f"the body is not valid JSON: {exc.msg} at byte {exc.pos}") from None
    if not isinstance(body, dict):
        raise InvalidRequestError(f"the body is a JSON {_kind(body)}; expected an object")
    return body


def _check_content_type(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        got = f"content-type is {kind[:64]!r}" if kind else "there is no content-type"
        raise InvalidRequestError(f"{got}; expected application/json (curl --json sends it)", param="content-type")


def validated(model: type[Model], value: object) -> Model:
    """Check a parsed body against its model.

    Raises
    ------
    InvalidRequestError
        With the first thing that is wrong: where, what was got, what was expected.
    """
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise _invalid(exc, model) from None


def _invalid(exc: ValidationError, model: type[BaseModel]) -> InvalidRequestError:
    """Say the first thing that is wrong; what was got is quoted where it is no text, as texts may be prompts."""
    first = exc.errors(include_url=False, include_context=False)[0]
    where = _path(first["loc"])
    if first["type"] == "extra_forbidden":
        known = ", ".join((RouterOptions if first["loc"][0] == "router" else model).model_fields)
        return InvalidRequestError(f"{where}: no such key; known are {known}", param=where)
    if first["type"] == "missing":
        return InvalidRequestError(f"{where} is missing", param=where)
    got = first["input"]
    shown = repr(got) if isinstance(got, _QUOTED) else f"a JSON {_kind(got)}"
    expected = "expected an object" if first["type"] in _OBJECT else _expected(first["msg"])
    return InvalidRequestError(f"{where}: got {shown}; {expected}", param=where)


def _path(location: tuple[int | str, ...]) -> str:
    """Write a location as in code: ``llm_providers[0].model``; at most 200 characters, as keys are the caller's."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")[:200] or "body"


def _expected(message: str) -> str:
    """Turn pydantic's 'Input should be ...' into 'expected ...'."""
    for start in ("Input should be ", "String should ", "List should "):
        if message.startswith(start):
            return f"expected {'it to ' * (not start.startswith('Input'))}{message.removeprefix(start)}"
    return message[0].lower() + message[1:]


def _kind(value: object) -> str:
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")
