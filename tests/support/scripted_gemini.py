"""Google's generateContent, as the scripted upstream speaks it."""

import json
from collections.abc import Iterator
from typing import Any

from scripted_request import CACHED, Heard, first, flat, given, has_result, image


def hear(path: str, body: dict[str, Any]) -> Heard:
    said = [("system", "text", part["text"]) for part in (body.get("systemInstruction") or {}).get("parts", [])]
    said += [part for content in body["contents"] for one in content["parts"] for part in _part(content, one)]
    config = body.get("generationConfig") or {}
    declared = [one for tool in body.get("tools") or [] for one in tool.get("functionDeclarations", [])]
    tools = {
        one["name"]: first(
            one.get("parametersJsonSchema") or one.get("parameters_json_schema") or one.get("parameters")
        )
        for one in declared
    }
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    named = next(iter(calling.get("allowedFunctionNames") or []), None)
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    return Heard(
        kind="gemini",
        model=path.rpartition("/models/")[2].rpartition(":")[0],
        stream=":stream" in path,
        said=tuple(said),
        knobs=given(
            max_tokens=config.get("maxOutputTokens"),
            temperature=config.get("temperature"),
            stop=config.get("stopSequences"),
        ),
        tools=tools,
        call=(named or next(iter(tools), None)) if calling.get("mode") != "NONE" and not has_result(said) else None,
        wanted=first(schema) if schema else None,
        choices=config.get("candidateCount") or 1,
    )


def _part(content: dict[str, Any], part: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    role = "assistant" if content.get("role") == "model" else "user"
    if "text" in part:
        yield (role, "text", part["text"])
    elif "inlineData" in part:
        yield (role, "image", image(part["inlineData"]["data"]))
    elif "functionCall" in part:
        call = part["functionCall"]
        yield (role, "call", call["name"], json.dumps(call.get("args") or {}, sort_keys=True))
    elif "functionResponse" in part:
        yield ("tool", "result", flat(part["functionResponse"]["response"]))


def _document(heard: Heard, candidates: list[Any], *, last: bool = True) -> dict[str, Any]:
    document = {"candidates": candidates, "modelVersion": heard.model, "responseId": f"gem-{heard.id}"}
    usage = {
        "promptTokenCount": heard.input_tokens,
        "cachedContentTokenCount": CACHED,
        "candidatesTokenCount": heard.output_tokens(),
        "totalTokenCount": heard.input_tokens + heard.output_tokens(),
    }
    return document | ({"usageMetadata": usage} if last else {})


def _candidate(number: int, part: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": [part]}, "index": number}
    return candidate | ({"finishReason": reason} if reason else {})


def whole(heard: Heard) -> dict[str, Any]:
    if heard.call:
        part = {"functionCall": {"name": heard.call, "args": heard.arguments()}}
        return _document(heard, [_candidate(0, part, "STOP")])
    numbers = range(heard.choices)
    return _document(heard, [_candidate(n, {"text": heard.text(n)}, "STOP") for n in numbers])


def chunks(heard: Heard) -> Iterator[dict[str, Any]]:
    if heard.call:
        yield whole(heard)
        return
    for number in range(heard.choices):
        *before, end = heard.pieces(number) or [""]
        for piece in before:
            yield _document(heard, [_candidate(number, {"text": piece})], last=False)
        candidate = _candidate(number, {"text": end}, "STOP")
        yield _document(heard, [candidate], last=number == heard.choices - 1)
