"""Translate a chat conversation into Gemini's contents."""

from typing import Any

import orjson

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.shapes import Json
from router_model.serving.formats.translations.google_fields import a_list, a_text, an_object, cannot_say
from router_model.serving.formats.translations.google_media import images_of, part_of_file, part_of_sound, part_of_url
from router_model.serving.formats.translations.google_signatures import part_signature, signature_in


def contents_of(messages: list[Any]) -> tuple[list[Json], Json | None]:
    """Return Gemini's ``contents`` and ``systemInstruction``.

    Gemini has one instruction, so those of the whole conversation are put together; a conversation of nothing else is
    asked as the user's. Results of tools that follow each other are one content, as Gemini wants them.

    Raises
    ------
    InvalidRequestError
        If a message is none, or something in it cannot be said to Gemini.
    """
    conversation = _Conversation()
    for position, message in enumerate(messages):
        conversation.add(an_object(message, f"messages[{position}]"), f"messages[{position}]")
    if not conversation.contents and conversation.system:
        return [{"role": "user", "parts": conversation.system}], None
    return conversation.contents, {"parts": conversation.system} if conversation.system else None


class _Conversation:
    """Collects messages.

    Attributes
    ----------
    contents, system : lists of Gemini's contents, and of parts
    """

    def __init__(self) -> None:
        self.contents: list[Json] = []
        self.system: list[Json] = []
        self._names: dict[str, str] = {}
        self._in_results = False

    def add(self, message: Json, where: str) -> None:
        role = str(message.get("role"))
        is_result = role == "tool"
        if role in {"system", "developer"}:
            self.system += content_parts(message.get("content"), f"{where}.content")
        elif role == "user":
            self._append("user", content_parts(message.get("content"), f"{where}.content"))
        elif role == "assistant":
            self._append("model", self._said(message, where))
        elif is_result:
            self._add_result(message, where)
        else:
            raise InvalidRequestError(
                f"'{where}.role' is {role!r}; expected system, developer, user, assistant or tool",
                param=f"{where}.role",
            )
        self._in_results = is_result

    def _append(self, role: str, parts: list[Json]) -> None:
        self.contents.append({"role": role, "parts": parts or [{"text": ""}]})

    def _said(self, message: Json, where: str) -> list[Json]:
        """Return the parts of an answer; its reasoning is left out, as models do not read it again."""
        for field in ("function_call", "audio"):
            if message.get(field):
                raise cannot_say(f"{where}.{field}", "Gemini", "send 'tool_calls' or the text instead")
        parts = content_parts(message.get("content"), f"{where}.content")
        if message.get("refusal"):
            parts.append({"text": a_text(message["refusal"], f"{where}.refusal")})
        parts = [part for part in parts if part != {"text": ""}] + images_of(message, f"{where}.images")
        signature = signature_in(message)
        if signature:
            parts = _sign_last(parts, signature)
        calls = a_list(message.get("tool_calls"), f"{where}.tool_calls")
        return parts + [self._call(call, f"{where}.tool_calls[{i}]") for i, call in enumerate(calls)]

    def _call(self, value: object, where: str) -> Json:
        call = an_object(value, where)
        function = an_object(call.get("function"), f"{where}.function")
        name = a_text(function.get("name"), f"{where}.function.name")
        part: Json = {"functionCall": {"name": name, "args": _arguments(function.get("arguments"), where)}}
        if call.get("id") is not None:
            identifier = a_text(call["id"], f"{where}.id")
            part["functionCall"]["id"] = identifier
            # Gemini wants the function's name with its result; OpenAI's result has only the id.
            self._names[identifier] = name
        return part | part_signature(signature_in(call))

    def _add_result(self, message: Json, where: str) -> None:
        identifier = a_text(message.get("tool_call_id"), f"{where}.tool_call_id")
        name = self._names.get(identifier) or message.get("name")
        if not isinstance(name, str):
            raise InvalidRequestError(
                f"'{where}.tool_call_id' is {identifier!r}, but no earlier message has a tool call with that id; "
                "keep the assistant's message that made it",
                param=f"{where}.tool_call_id",
            )
        part = {"functionResponse": {"id": identifier, "name": name, **_result(message.get("content"), where)}}
        if self._in_results:
            self.contents[-1]["parts"].append(part)
        else:
            self._append("user", [part])


def content_parts(content: object, where: str) -> list[Json]:
    """Return Gemini's parts of a message's content.

    Examples
    --------
    >>> content_parts("hi", ""), content_parts([{"type": "text", "text": "hi"}], "")
    ([{'text': 'hi'}], [{'text': 'hi'}])
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [{"text": content}]
    parts = a_list(content, where)
    return [_part(an_object(part, f"{where}[{i}]"), f"{where}[{i}]") for i, part in enumerate(parts)]


def _part(part: Json, where: str) -> Json:
    kind = str(part.get("type"))
    if kind in {"text", "refusal"}:
        return {"text": a_text(part.get(kind), f"{where}.{kind}")}
    if kind in {"image_url", "video_url"}:
        media = part.get(kind)  # some clients put the URL here itself
        url = media if isinstance(media, str) else an_object(media, f"{where}.{kind}").get("url")
        return part_of_url(a_text(url, f"{where}.{kind}.url"), f"{where}.{kind}.url")
    if kind == "input_audio":
        return part_of_sound(an_object(part.get(kind), f"{where}.{kind}"), f"{where}.{kind}")
    if kind == "file":
        return part_of_file(an_object(part.get(kind), f"{where}.{kind}"), f"{where}.{kind}")
    raise cannot_say(f"{where}.type", f"Gemini if it is {kind!r}", "use text, image_url, input_audio or file")


def _arguments(value: object, where: str) -> Json:
    """Return the arguments as an object, from the JSON that models write."""
    text = "" if value is None else a_text(value, f"{where}.function.arguments")
    if not text.strip():
        return {}
    try:
        arguments = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequestError(
            f"'{where}.function.arguments' is not valid JSON: {exc}", param=f"{where}.function.arguments"
        ) from exc
    return an_object(arguments, f"{where}.function.arguments")


def _result(content: object, where: str) -> Json:
    """Return ``response``, and ``parts`` of a result with images: an object as it is, other text as its ``output``."""
    parts = content_parts(content, f"{where}.content")
    text = "".join(part["text"] for part in parts if "text" in part)
    media = [part for part in parts if "text" not in part]
    return {"response": _as_object(text)} | ({"parts": media} if media else {})


def _as_object(text: str) -> Json:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:  # most results are plain text
        return {"output": text}
    # An object that looks like a text's place stays text, as on the way back it would be taken for that.
    is_object = isinstance(value, dict) and not (value.keys() == {"output"} and isinstance(value["output"], str))
    return value if is_object else {"output": text}


def _sign_last(parts: list[Json], signature: str) -> list[Json]:
    last = parts[-1] if parts else {"text": ""}
    return [*parts[:-1], last | part_signature(signature)]
