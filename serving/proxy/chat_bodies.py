"""Give the router a chat body in OpenAI's format, whatever format the surface speaks.

The translation is the one that forwarding uses. Where it refuses a body that OpenAI's format cannot say, a provider
that speaks the caller's own format may still take it: then the texts alone are read, which is enough to decide by.
"""

from collections.abc import Mapping
from typing import Any

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.format import Surface


def chat_body(surface: Surface, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a body with ``messages``, and what else a decision reads (``tools``, ``max_tokens``...).

    Raises
    ------
    InvalidRequestError
        If the body is none of its surface's.
    """
    if surface is Surface.CHAT:
        return body
    if surface is Surface.MESSAGES:
        return _of_messages(body)
    if surface is Surface.RESPONSES:
        return _of_responses(body)
    return _of_generate(body)


def _of_messages(body: Mapping[str, Any]) -> Mapping[str, Any]:
    from router_model.serving.formats.translations.messages_to_openai import MESSAGES_TO_OPENAI  # noqa: PLC0415  (only who calls this surface needs it)

    messages = body.get("messages")
    if not isinstance(messages, list):
        raise InvalidRequestError(
            "messages is missing or not a list; expected the list of the conversation's messages", param="messages"
        )
    try:
        return MESSAGES_TO_OPENAI.request(body)
    except InvalidRequestError:
        system = body.get("system")
        first = [] if system is None else [{"role": "system", "content": system}]
        return {**body, "messages": [*first, *messages]}


def _of_responses(body: Mapping[str, Any]) -> Mapping[str, Any]:
    from router_model.serving.formats.translations.responses_to_openai import RESPONSES_TO_OPENAI  # noqa: PLC0415  (only who calls this surface needs it)
    from router_model.serving.formats.translations.responses_to_openai.request import readable  # noqa: PLC0415

    try:
        return RESPONSES_TO_OPENAI.request(body)
    except InvalidRequestError:
        return RESPONSES_TO_OPENAI.request({"input": [], **readable(body)})


def _of_generate(body: Mapping[str, Any]) -> Mapping[str, Any]:
    from router_model.serving.formats.translations.generate_to_openai import GENERATE_TO_OPENAI  # noqa: PLC0415  (only who calls this surface needs it)

    contents = body.get("contents")
    if not isinstance(contents, list | str | dict):
        raise InvalidRequestError(
            "contents is missing; expected the list of the conversation's contents", param="contents"
        )
    try:
        return GENERATE_TO_OPENAI.request(body)
    except InvalidRequestError:
        turns = contents if isinstance(contents, list) else [contents]
        return {"messages": [_turn(turn) for turn in turns], "tools": body.get("tools")}


def _turn(turn: Any) -> dict[str, Any]:
    if not isinstance(turn, Mapping):
        return {"role": "user", "content": str(turn)}
    role = "assistant" if turn.get("role") == "model" else "user"
    parts = turn.get("parts")
    return {"role": role, "content": parts if isinstance(parts, list) else [parts or {}]}
