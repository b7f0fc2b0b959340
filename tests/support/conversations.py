"""Conversations in a spelling of their own, written and read in the four formats.

A turn is ``("system", text)``, ``("user", [parts])``, ``("assistant", text, [calls])`` or ``("results", [results])``. A
part is ``("text", text)``, ``("image", url)`` or ``("file", base64)``, a call ``(id, name, arguments)``, a result
``(id, text, image or None)``.

What is read is flat: who said what, in order. Neighbours of one role are not told apart, as Anthropic's format merges
them, and the images of results come behind all results, as some formats can only show them in a user's message.
"""

import json
from collections.abc import Iterator
from typing import Any

from router_model.serving.formats.format import Surface

PDF = "application/pdf"
NAME = "document.pdf"


def written(surface: Surface, turns: list[Any]) -> dict[str, Any]:
    """Return a body of a surface."""
    return _WRITERS[surface](turns)


def said(surface: Surface, body: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return who says what in a body."""
    return [*_READERS[surface](body)]


def flat(turns: list[Any]) -> list[tuple[Any, ...]]:
    """Return who says what in turns."""
    parts: list[tuple[Any, ...]] = []
    for turn in turns:
        match turn:
            case "system", text:
                parts.append(("system", "text", text))
            case "user", of_user:
                parts += [("user", *part) for part in of_user]
            case "assistant", text, calls:
                parts += [("assistant", "text", text)] if text else []
                parts += [("call", *call) for call in calls]
            case "results", results:
                parts += [_result(identifier, text) for identifier, text, _ in results]
                parts += [("user", "image", image) for _, _, image in results if image]
    return parts


def _result(identifier: str, text: str) -> tuple[Any, ...]:
    """Return a result; JSON as what it says, since Google's format has objects there."""
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    return ("result", identifier, value if isinstance(value, dict) else text)


def _url(mime: str, data: str) -> str:
    return f"data:{mime};base64,{data}"


def _short(parts: list[Any]) -> Any:
    only = parts[0] if len(parts) == 1 else {}
    return only.get("text", parts)


def _write_chat(turns: list[Any]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for turn in turns:
        match turn:
            case "system", text:
                messages.append({"role": "system", "content": text})
            case "user", parts:
                messages.append({"role": "user", "content": _short([*map(_chat_part, parts)])})
            case "assistant", text, calls:
                message: dict[str, Any] = {"role": "assistant", "content": text or None}
                made = [
                    {"id": id_, "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
                    for id_, name, args in calls
                ]
                messages.append(message | ({"tool_calls": made} if made else {}))
            case "results", results:
                messages += [{"role": "tool", "tool_call_id": id_, "content": text} for id_, text, _ in results]
                seen = [_chat_part(("image", image)) for _, _, image in results if image]
                messages += [{"role": "user", "content": seen}] if seen else []
    return {"messages": messages}


def _chat_part(part: tuple[str, str]) -> dict[str, Any]:
    match part:
        case "image", url:
            return {"type": "image_url", "image_url": {"url": url}}
        case "file", data:
            return {"type": "file", "file": {"filename": NAME, "file_data": _url(PDF, data)}}
    return {"type": "text", "text": part[1]}


def _read_chat(body: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    for message in body["messages"]:
        content = message.get("content") or []
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "tool":
            yield _result(message["tool_call_id"], "".join(part["text"] for part in parts))
            continue
        for part in parts:
            if part["type"] == "text":
                yield message["role"], "text", part["text"]
            elif part["type"] == "image_url":
                yield message["role"], "image", part["image_url"]["url"]
            else:
                yield message["role"], "file", part["file"]["file_data"].rpartition(",")[2]
        for call in message.get("tool_calls", ()):
            yield "call", call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])


def _write_messages(turns: list[Any]) -> dict[str, Any]:
    body: dict[str, Any] = {"max_tokens": 9}
    messages: list[dict[str, Any]] = []
    for turn in turns:
        match turn:
            case "system", text:
                body["system"] = text
            case "user", parts:
                messages.append({"role": "user", "content": [*map(_block, parts)]})
            case "assistant", text, calls:
                blocks = [{"type": "text", "text": text}] if text else []
                blocks += [{"type": "tool_use", "id": id_, "name": name, "input": args} for id_, name, args in calls]
                messages.append({"role": "assistant", "content": blocks})
            case "results", results:
                blocks = []
                for id_, text, image in results:
                    inside = [_block(("text", text)), _block(("image", image))] if image else text
                    blocks.append({"type": "tool_result", "tool_use_id": id_, "content": inside})
                messages.append({"role": "user", "content": blocks})
    return body | {"messages": messages}


def _block(part: tuple[str, str]) -> dict[str, Any]:
    match part:
        case "image", url if url.startswith("data:"):
            mime, data = url.removeprefix("data:").split(";base64,")
            return {"type": "image", "source": {"type": "base64", "media_type": mime, "data": data}}
        case "image", url:
            return {"type": "image", "source": {"type": "url", "url": url}}
        case "file", data:
            source = {"type": "base64", "media_type": PDF, "data": data}
            return {"type": "document", "title": NAME, "source": source}
    return {"type": "text", "text": part[1]}


def _read_messages(body: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    yield from (("system", "text", block["text"]) for block in _blocks(body.get("system") or []))
    for message in body["messages"]:
        seen = []
        blocks = _blocks(message["content"])
        for block in blocks:
            if block["type"] == "tool_result":
                inside = _blocks(block.get("content") or [])
                yield _result(block["tool_use_id"], "".join(one["text"] for one in inside if one["type"] == "text"))
                seen += [_of_block("user", one) for one in inside if one["type"] != "text"]
        yield from seen
        for block in (one for one in blocks if one["type"] != "tool_result"):
            yield _of_block(message["role"], block)


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _of_block(role: str, block: dict[str, Any]) -> tuple[Any, ...]:
    source = block.get("source", {})
    match block["type"]:
        case "text":
            return role, "text", block["text"]
        case "tool_use":
            return "call", block["id"], block["name"], block["input"]
        case "document":
            return role, "file", source["data"]
    return role, "image", source.get("url") or _url(source["media_type"], source["data"])


def _write_google(turns: list[Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    contents: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for turn in turns:
        match turn:
            case "system", text:
                body["systemInstruction"] = {"parts": [{"text": text}]}
            case "user", parts:
                contents.append({"role": "user", "parts": [*map(_google_part, parts)]})
            case "assistant", text, calls:
                names |= {id_: name for id_, name, _ in calls}
                called = [{"functionCall": {"id": id_, "name": name, "args": args}} for id_, name, args in calls]
                contents.append({"role": "model", "parts": [*([{"text": text}] if text else []), *called]})
            case "results", results:
                parts = []
                for id_, text, image in results:
                    shown = {"parts": [_google_part(("image", image))]} if image else {}
                    response = {"id": id_, "name": names[id_], "response": {"output": text}, **shown}
                    parts.append({"functionResponse": response})
                contents.append({"role": "user", "parts": parts})
    return body | {"contents": contents}


def _google_part(part: tuple[str, str]) -> dict[str, Any]:
    match part:
        case "image", url if url.startswith("data:"):
            mime, data = url.removeprefix("data:").split(";base64,")
            return {"inlineData": {"mimeType": mime, "data": data}}
        case "image", url:
            return {"fileData": {"mimeType": "image/png", "fileUri": url}}
        case "file", data:
            return {"inlineData": {"mimeType": PDF, "data": data}}
    return {"text": part[1]}


def _read_google(body: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    yield from (("system", "text", part["text"]) for part in body.get("systemInstruction", {}).get("parts", ()))
    for content in body["contents"]:
        seen = []
        role = {"user": "user", "model": "assistant"}[content["role"]]
        for part in content["parts"]:
            if result := part.get("functionResponse"):
                given = result["response"]
                output = given.get("output") if given.keys() == {"output"} else None
                yield _result(result["id"], output if isinstance(output, str) else json.dumps(given))
                seen += [_of_part("user", one) for one in result.get("parts", ())]
        yield from seen
        for part in (one for one in content["parts"] if "functionResponse" not in one):
            yield _of_part(role, part)


def _of_part(role: str, part: dict[str, Any]) -> tuple[Any, ...]:
    if call := part.get("functionCall"):
        return "call", call["id"], call["name"], call["args"]
    if file := part.get("fileData"):
        return role, "image", file["fileUri"]
    if blob := part.get("inlineData"):
        is_file = blob["mimeType"] == PDF
        return role, *(("file", blob["data"]) if is_file else ("image", _url(blob["mimeType"], blob["data"])))
    return role, "text", part["text"]


def _write_responses(turns: list[Any]) -> dict[str, Any]:
    items: list[dict[str, Any]] = []
    for turn in turns:
        match turn:
            case "system", text:
                items.append({"type": "message", "role": "system", "content": text})
            case "user", parts:
                items.append({"type": "message", "role": "user", "content": [*map(_input, parts)]})
            case "assistant", text, calls:
                items += [{"type": "message", "role": "assistant", "content": text}] if text else []
                items += [
                    {"type": "function_call", "call_id": id_, "name": name, "arguments": json.dumps(args)}
                    for id_, name, args in calls
                ]
            case "results", results:
                for id_, text, image in results:
                    output = [_input(("text", text)), _input(("image", image))] if image else text
                    items.append({"type": "function_call_output", "call_id": id_, "output": output})
    return {"input": items}


def _input(part: tuple[str, str]) -> dict[str, Any]:
    match part:
        case "image", url:
            return {"type": "input_image", "image_url": url, "detail": "auto"}
        case "file", data:
            return {"type": "input_file", "filename": NAME, "file_data": _url(PDF, data)}
    return {"type": "input_text", "text": part[1]}


def _read_responses(body: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    if body.get("instructions"):
        yield "system", "text", body["instructions"]
    seen: list[tuple[Any, ...]] = []
    for item in body["input"]:
        if item["type"] == "function_call_output":
            inside = [*_of_inputs("user", item["output"])]
            yield _result(item["call_id"], "".join(one[2] for one in inside if one[1] == "text"))
            seen += [one for one in inside if one[1] != "text"]
            continue
        yield from seen
        seen = []
        if item["type"] == "function_call":
            yield "call", item["call_id"], item["name"], json.loads(item["arguments"])
        else:
            yield from _of_inputs(item["role"], item["content"])
    yield from seen


def _of_inputs(role: str, content: Any) -> Iterator[tuple[Any, ...]]:
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
        match part["type"]:
            case "input_image":
                yield role, "image", part["image_url"]
            case "input_file":
                yield role, "file", part["file_data"].rpartition(",")[2]
            case _:
                yield role, "text", part["text"]


_WRITERS = {
    Surface.CHAT: _write_chat,
    Surface.MESSAGES: _write_messages,
    Surface.GENERATE: _write_google,
    Surface.RESPONSES: _write_responses,
}
_READERS = {
    Surface.CHAT: _read_chat,
    Surface.MESSAGES: _read_messages,
    Surface.GENERATE: _read_google,
    Surface.RESPONSES: _read_responses,
}
