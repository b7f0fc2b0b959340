"""Translate the items of a conversation into chat messages: what a model said and called in one turn is one message."""

import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.formats.carried_reasoning import OPENAI, OUR_IDS, reasoning_carried
from router_model.serving.formats.json_text import dump
from router_model.serving.formats.responses.tool_names import CUSTOM_INPUT, SEARCH, flat_name, flat_tools
from router_model.serving.formats.shapes import Json, asked_objects, mappings, text
from router_model.serving.formats.translations.responses_to_openai.only_responses import item_type

_ROLES: Final = ("user", "assistant", "system", "developer")
_DETAILS: Final = ("low", "high", "auto")


def chat_messages(instructions: object, items: object) -> list[Json]:
    """Return chat messages, the instructions first.

    Raises
    ------
    InvalidRequestError
        If they are not a text or a list of items, or there is nothing in them.

    Examples
    --------
    >>> call = {"type": "function_call", "call_id": "c1", "name": "add", "arguments": "{}"}
    >>> output = {"type": "function_call_output", "call_id": "c1", "output": "4"}
    >>> for message in chat_messages(None, [{"role": "assistant", "content": "A moment."}, call, output]):
    ...     print(message["role"], message["content"], len(message.get("tool_calls", [])))
    assistant A moment. 1
    tool 4 0
    """
    first: list[Json] = []
    if instructions:
        if not isinstance(instructions, str):
            raise InvalidRequestError("'instructions' must be a string", param="instructions")
        first.append({"role": "system", "content": instructions})
    if isinstance(items, str):
        return [*first, {"role": "user", "content": items}]
    if items is None:
        raise InvalidRequestError(
            "'input' is missing; expected a text or a list of the conversation's items", param="input"
        )
    messages = _Messages(_last_said(given := asked_objects(items, "input", "input")))
    for place, item in enumerate(given):
        messages.take(item, place)
    return first + messages.done()


class _Messages:
    """Collects the items of one turn into one message.

    Parameters
    ----------
    loop : the place after the last thing that a user said
        From there on a model may want its own reasoning back.
    """

    def __init__(self, loop: int) -> None:
        self._messages: list[Json] = []
        self._turn: Json | None = None
        self._loop = loop
        self._seen: list[Json] = []
        """Parts of results that only a user message can hold; they follow behind all results."""

    def take(self, item: Mapping[str, Any], place: int) -> None:
        where, type_ = f"input[{place}]", item_type(item)
        match type_:
            case "message" if item.get("role") == "assistant":
                self._say(_parts(item.get("content"), where), where)
            case "message":
                self._add(_message(item, where))
            case "reasoning":
                self._think(item, in_loop=place >= self._loop)
            case "function_call" | "custom_tool_call" | "tool_search_call":
                self._assistant().setdefault("tool_calls", []).append(_call(item))
            case "function_call_output" | "custom_tool_call_output":
                self._result(item, where)
            case "tool_search_output":
                self._result({**item, "output": _found(item)}, where)

    def done(self) -> list[Json]:
        self._end_turn()
        self._show()
        return self._messages

    def _add(self, message: Json) -> None:
        self._end_turn()
        self._show()
        self._messages.append(message)

    def _show(self) -> None:
        if self._seen:
            self._messages.append({"role": "user", "content": self._seen})
            self._seen = []

    def _assistant(self) -> Json:
        if self._turn is None:
            self._show()
            self._turn = {"role": "assistant", "content": None}
        return self._turn

    def _end_turn(self) -> None:
        if self._turn is not None:
            if self._turn["content"] is None and not self._turn.get("tool_calls"):
                self._turn["content"] = ""
            self._messages.append(self._turn)
            self._turn = None

    def _say(self, parts: list[Json], where: str) -> None:
        if any(part["type"] not in ("text", "refusal") for part in parts):
            raise InvalidRequestError(
                f"'{where}': a message of the assistant can contain text and refusals only", param="input"
            )
        turn = self._turn
        # Two messages in a row stay two; once tools were called, their results must follow this very message.
        if turn is not None and turn["content"] is not None and not turn.get("tool_calls"):
            self._end_turn()
        turn = self._assistant()
        said = "".join(part["text"] for part in parts if part["type"] == "text")
        turn["content"] = said if turn["content"] is None else f"{turn['content']}\n\n{said}"
        refusal = "".join(part["refusal"] for part in parts if part["type"] == "refusal")
        if refusal:
            turn["refusal"] = refusal
            turn["content"] = turn["content"] or None

    def _think(self, item: Mapping[str, Any], *, in_loop: bool) -> None:
        turn = self._assistant()
        kept = reasoning_carried(item.get("encrypted_content"))
        if kept is not None:
            turn["reasoning_details"] = [*turn.get("reasoning_details", ()), *mappings(kept.get("reasoning_details"))]
        elif item.get("encrypted_content"):
            detail = {"type": "reasoning.encrypted", "data": item["encrypted_content"], "format": OPENAI}
            turn.setdefault("reasoning_details", []).append(detail | ({"id": item["id"]} if item.get("id") else {}))
        thought = text((kept or {}).get("reasoning_content")) or _thought(item)
        if thought and in_loop:
            turn["reasoning_content"] = turn.get("reasoning_content", "") + thought
        if not turn.get("reasoning_details", True):
            del turn["reasoning_details"]

    def _result(self, item: Mapping[str, Any], where: str) -> None:
        self._end_turn()
        output = item.get("output")
        if not isinstance(output, str | list):
            output = "" if output is None else dump(output).decode()
        parts = _parts(output, where)
        said = "\n".join(part["text"] for part in parts if part["type"] == "text")
        self._messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": said})
        self._seen += [part for part in parts if part["type"] != "text"]


def _message(item: Mapping[str, Any], where: str) -> Json:
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        raise InvalidRequestError(
            f"'{where}': 'role' must be one of {', '.join(_ROLES)}, not {str(role)[:50]!r}", param="input"
        )
    if isinstance(content, str):
        return {"role": role, "content": content}
    parts = _parts(content, where)
    if role != "user":
        if any(part["type"] != "text" for part in parts):
            raise InvalidRequestError(f"'{where}': instructions can contain text only", param="input")
        return {"role": role, "content": "\n\n".join(part["text"] for part in parts)}
    if len(parts) == 1 and parts[0]["type"] == "text":
        return {"role": role, "content": parts[0]["text"]}
    return {"role": role, "content": parts}


def _call(item: Mapping[str, Any]) -> Json:
    arguments = item.get("arguments")
    if item.get("type") == "custom_tool_call":
        arguments = dump({CUSTOM_INPUT: item.get("input") or ""}).decode()
    function = {
        "name": flat_name(text(item.get("name")), text(item.get("namespace"))) or SEARCH,
        "arguments": arguments if isinstance(arguments, str) else dump(arguments or {}).decode(),
    }
    call: Json = {"id": item.get("call_id"), "type": "function", "function": function}
    # Google signs calls; clients that keep unknown fields bring the signature back.
    return call | ({"extra_content": item["extra_content"]} if item.get("extra_content") else {})


def _found(item: Mapping[str, Any]) -> str:
    names = [flat_name(name.name, name.namespace) for name, _ in flat_tools({"tools": item.get("tools")})]
    return f"These tools can be called now: {', '.join(names)}" if names else "No tool was found."


def _thought(item: Mapping[str, Any]) -> str:
    """Return what a model thought, as far as it can be read; a summary is that only if it was made here."""
    parts = mappings(item.get("content"))
    if not parts and OUR_IDS in text(item.get("id")):
        parts = mappings(item.get("summary"))
    return "".join(text(part.get("text")) for part in parts)


def _last_said(items: Sequence[Mapping[str, Any]]) -> int:
    said = [place for place, item in enumerate(items) if item.get("role") == "user"]
    return said[-1] if said else 0


def _parts(content: object, where: str) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_part(part, where) for part in asked_objects(content, f"{where}.content", "input")]


def _part(part: Mapping[str, Any], where: str) -> Json:
    match part.get("type"):
        case "input_text" | "output_text" | "text":
            return {"type": "text", "text": text(part.get("text"))}
        case "refusal":
            return {"type": "refusal", "refusal": text(part.get("refusal"))}
        case "input_image":
            url = part.get("image_url")
            image = {"url": url} | ({"detail": part["detail"]} if part.get("detail") in _DETAILS else {})
            if isinstance(url, str):
                return {"type": "image_url", "image_url": image}
        case "input_file":
            data, filename = part.get("file_data"), text(part.get("filename"))
            if isinstance(data, str):
                return {
                    "type": "file",
                    "file": {"filename": filename or "document.pdf", "file_data": _url(data, filename)},
                }
        case "input_audio":
            return {"type": "input_audio", "input_audio": part.get("input_audio")}
    raise InvalidRequestError(
        f"'{where}': a part of type {str(part.get('type'))[:50]!r} is not known or has no content; "
        "expected input_text, input_image with 'image_url', input_file with 'file_data', output_text or refusal",
        param="input",
    )


def _url(data: str, filename: str) -> str:
    """Return a file as a ``data:`` URL; some callers send the base64 alone.

    >>> _url("JVBERi0=", "a.pdf")
    'data:application/pdf;base64,JVBERi0='
    """
    if data.startswith("data:"):
        return data
    return f"data:{mimetypes.guess_type(filename)[0] or 'application/pdf'};base64,{data}"
