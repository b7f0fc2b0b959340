"""Read fields of a body in Google's format. An error names the field that has the wrong type.

Google's JSON takes every field in two spellings, ``systemInstruction`` and ``system_instruction``.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.spellings import snake

T = TypeVar("T")

_UNDERSCORE: Final = re.compile(r"_([a-z0-9])")
_KINDS: Final = {dict: "an object", list: "a list", str: "text", bool: "true or false"}


def camel(name: str) -> str:
    """Return the spelling that Google's documentation uses.

    >>> camel("parameters_json_schema"), camel("$ref")
    ('parametersJsonSchema', '$ref')
    """
    return _UNDERSCORE.sub(lambda match: match[1].upper(), name)


def get(fields: Mapping[str, Any], name: str) -> Any:
    """Return a field of Google's in either spelling; None if it is missing."""
    value = fields.get(name)
    return fields.get(snake(name)) if value is None else value


def an_object(value: object, where: str) -> Json:
    """Return a JSON object; an empty one of None.

    Raises
    ------
    InvalidRequestError
        If it is something else.
    """
    return {} if value is None else _of_type(value, dict, where)


def a_list(value: object, where: str) -> list[Any]:
    """Return a list; an empty one of None.

    Raises
    ------
    InvalidRequestError
        If it is something else.
    """
    return [] if value is None else _of_type(value, list, where)


def a_text(value: object, where: str) -> str:
    """Return text.

    Raises
    ------
    InvalidRequestError
        If it is something else.
    """
    return _of_type(value, str, where)


def cannot_say(where: str, whom: str, instead: str) -> InvalidRequestError:
    """Return the error for a field that the provider's format cannot express.

    >>> cannot_say("logit_bias", "Gemini", "leave it out or ask for another model").message
    "'logit_bias' cannot be translated for Gemini; leave it out or ask for another model"
    """
    return InvalidRequestError(f"'{where}' cannot be translated for {whom}; {instead}", param=where)


def _of_type(value: object, kind: type[T], where: str) -> T:
    if isinstance(value, kind):
        return value
    raise InvalidRequestError(f"'{where}' is {type(value).__name__}; expected {_KINDS[kind]}", param=where)
