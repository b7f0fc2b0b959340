"""Translate a conversation of Google's surface into chat messages."""

from typing import Any, Final

import orjson

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.translations.google_fields import a_list, a_text, an_object, camel, cannot_say, get
from router_model.serving.formats.translations.google_media import chat_part_of_blob, chat_part_of_file

_OPENAI: Final = "an OpenAI-compatible provider"
_BESIDE: Final = frozenset(
    {"thought", "thoughtSignature", "videoMetadata", "mediaResolution", "mediaProcessing", "partMetadata"}
)
"""Fields of a part that say something of its content, and are none."""


def messages_of(contents: object, instruction: object) -> list[Json]:
    """Return chat messages of ``contents`` and ``systemInstruction``.

    Thoughts and their signatures are left out: only the model that wrote them can read them. Tool calls without an id
    get one of their place, and results without one answer the first call of that name that is not yet answered.

    Raises
    ------
    InvalidRequestError
        If a content is none, or something in it cannot be said in OpenAI's format.
    """
    conversation = _Conversation()
    if instruction is not None:
        conversation.instruct(instruction)
    if isinstance(contents, (str, dict)):  # a single one need not be in a list
        contents = [contents]
    for position, content in enumerate(a_list(contents, "contents")):
        conversation.add(content, position)
    return conversation.messages


class _Conversation:
    """Collects messages."""

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self._unanswered: list[tuple[str, str]] = []

    def instruct(self, instruction: object) -> None:
        parts = _parts(instruction, "systemInstruction")
        texts = [_content_part(part, where) for part, where in parts]
        if any(part["type"] != "text" for part in texts):
            raise cannot_say("systemInstruction", _OPENAI, "use text only")
        self.messages.append({"role": "system", "content": "\n\n".join(part["text"] for part in texts)})

    def add(self, content: object, position: int) -> None:
        where = f"contents[{position}]"
        role = str(content.get("role") or "user") if isinstance(content, dict) else "user"
        parts = [(part, place) for part, place in _parts(content, where) if not part.get("thought")]
        if role == "model":
            self._add_answer(parts, position)
        elif role in {"user", "function"}:
            self._add_question(parts)
        else:
            raise InvalidRequestError(f"'{where}.role' is {role!r:.100}; expected user or model", param=f"{where}.role")

    def _add_answer(self, parts: list[tuple[Json, str]], position: int) -> None:
        calls: list[Json] = []
        rest: list[tuple[Json, str]] = []
        for part, where in parts:
            call = get(part, "functionCall")
            if call is None:
                rest.append((part, where))
            else:
                calls.append(self._call(an_object(call, where), f"call_{position}_{len(calls)}", where))
        said = [_content_part(part, where) for part, where in rest]
        if any(part["type"] != "text" for part in said):
            raise cannot_say(f"contents[{position}].parts", f"{_OPENAI} if the model's parts are not text", "send text")
        text = "".join(part["text"] for part in said)
        message: Json = {"role": "assistant", "content": text if text or not calls else None}
        self.messages.append(message | ({"tool_calls": calls} if calls else {}))

    def _call(self, call: Json, made_up: str, where: str) -> Json:
        name = a_text(call.get("name"), f"{where}.functionCall.name")
        identifier = a_text(call.get("id") or made_up, f"{where}.functionCall.id")
        self._unanswered.append((name, identifier))
        arguments = orjson.dumps(an_object(call.get("args"), f"{where}.functionCall.args")).decode()
        return {"id": identifier, "type": "function", "function": {"name": name, "arguments": arguments}}

    def _add_question(self, parts: list[tuple[Json, str]]) -> None:
        seen: list[Json] = []  # what results show, which only a user's message can hold
        rest = []
        for part, where in parts:
            response = get(part, "functionResponse")
            if response is None:
                rest.append(_content_part(part, where))
                continue
            place, result = f"{where}.functionResponse", an_object(response, where)
            self.messages.append(self._result(result, place))
            seen += [_content_part(*one) for one in _parts(result, place)]
        if seen or rest or not parts:
            self.messages.append({"role": "user", "content": _plain(seen + rest)})

    def _result(self, response: Json, where: str) -> Json:
        name = a_text(response.get("name"), f"{where}.name")
        identifier = response.get("id") or next((one for called, one in self._unanswered if called == name), None)
        if identifier is None:
            raise InvalidRequestError(
                f"'{where}.name' is {name!r}, but no earlier content calls that function; keep the model's "
                "content that does",
                param=f"{where}.name",
            )
        self._unanswered = [pair for pair in self._unanswered if pair[1] != identifier]
        identifier = a_text(identifier, f"{where}.id")
        return {"role": "tool", "tool_call_id": identifier, "content": _result_text(response.get("response"), where)}


def _parts(content: object, where: str) -> list[tuple[Json, str]]:
    """Return the parts of a content, each with its place."""
    if isinstance(content, str):
        return [({"text": content}, where)]
    parts: Any = an_object(content, where).get("parts")
    if isinstance(parts, dict):  # a single one need not be in a list
        parts = [parts]
    return [
        (an_object(part, f"{where}.parts[{i}]"), f"{where}.parts[{i}]")
        for i, part in enumerate(a_list(parts, f"{where}.parts"))
    ]


def _content_part(part: Json, where: str) -> Json:
    blob, file = get(part, "inlineData"), get(part, "fileData")
    if blob is not None:
        return chat_part_of_blob(an_object(blob, f"{where}.inlineData"), f"{where}.inlineData")
    if file is not None:
        return chat_part_of_file(an_object(file, f"{where}.fileData"), f"{where}.fileData")
    others = [camel(name) for name in part if name != "text" and camel(name) not in _BESIDE and part[name] is not None]
    if others:
        raise cannot_say(f"{where}.{others[0]}", _OPENAI, "ask for a Gemini model")
    text = part.get("text")
    return {"type": "text", "text": "" if text is None else a_text(text, f"{where}.text")}


def _plain(parts: list[Json]) -> str | list[Json]:
    """Return the text of a single text, which every provider reads."""
    if not parts:
        return ""
    only = parts[0] if len(parts) == 1 and parts[0]["type"] == "text" else None
    return parts if only is None else str(only["text"])


def _result_text(response: object, where: str) -> str:
    fields = an_object(response, f"{where}.response")
    output = fields.get("output")
    if isinstance(output, str) and len(fields) == 1:
        return output
    return orjson.dumps(fields).decode()
