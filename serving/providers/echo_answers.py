"""Make up the answers of the provider ``echo``: the last message, a forced tool call, or JSON that fits a schema.

A word with the space before it counts as one token.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import numpy as np

Json: TypeAlias = dict[str, Any]

CREATED: Final = 1_767_225_600
"""When every answer was made: the beginning of 2026, so that the same question has the same answer."""
N_DIMENSIONS: Final = 64
_WORD: Final = re.compile(r"\s*\S+\s*$|\s*\S+|\s+")
_MESSAGE_TOKENS: Final = 4
_IMAGE_TOKENS: Final = 85
_NOTHING: Final = "(nothing was said)"
_MOST_CHOICES: Final = 128
_DEEPEST: Final = 8  # schemas may be circular


def chat_answer(body: Mapping[str, Any]) -> Json:
    """Return a whole ``chat.completion``.

    Examples
    --------
    >>> answer = chat_answer({"model": "m", "messages": [{"role": "user", "content": "Hello there"}]})
    >>> answer["choices"][0]["message"], answer["usage"]["completion_tokens"]
    ({'role': 'assistant', 'content': 'Hello there', 'refusal': None}, 2)
    """
    message, words, finish_reason = _said(body)
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": finish_reason}
        for index in range(_n_choices(body))
    ]
    return {**_head(body, "chat.completion"), "choices": choices, "usage": _usage(body, len(words))}


def chat_events(body: Mapping[str, Any]) -> Iterator[Json]:
    """Yield the events of a stream: word by word, the end of each choice, and the usage if it is asked for."""
    message, words, finish_reason = _said(body)
    head = _head(body, "chat.completion.chunk")
    options = body.get("stream_options")
    wants_usage = isinstance(options, dict) and bool(options.get("include_usage"))

    def event(index: int, delta: Json, finish: str | None = None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**head, "choices": [choice], **({"usage": None} if wants_usage else {})}

    for index in range(_n_choices(body)):
        yield event(index, {"role": "assistant", "content": None if "tool_calls" in message else ""})
        for delta in _deltas(message, words):
            yield event(index, delta)
        yield event(index, {}, finish_reason)
    if wants_usage:
        yield {**head, "choices": [], "usage": _usage(body, len(words))}


def embeddings_answer(body: Mapping[str, Any]) -> Json:
    """Return vectors of length 1 that depend on nothing but the texts."""
    given = body.get("input")
    inputs = given if isinstance(given, list) and not all(isinstance(one, int) for one in given) else [given]
    dimensions = body.get("dimensions")
    n_dimensions = dimensions if isinstance(dimensions, int) and 0 < dimensions <= 4096 else N_DIMENSIONS  # noqa: PLR2004
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(_vector(one, n_dimensions), body)}
        for index, one in enumerate(inputs)
    ]
    n_tokens = sum(_n_tokens(one) for one in inputs)
    usage = {"prompt_tokens": n_tokens, "total_tokens": n_tokens}
    return {"object": "list", "data": data, "model": body.get("model"), "usage": usage}


def _said(body: Mapping[str, Any]) -> tuple[Json, list[str], str]:
    """Return the message, its tokens, and why it ends."""
    tool = _forced_tool(body)
    if tool is not None:
        arguments = json.dumps(example_of(tool.get("parameters"), _last_text(body)))
        call = {"name": tool.get("name"), "arguments": arguments}
        calls = [{"id": f"call_{_digest(body)[:24]}", "type": "function", "function": call}]
        return {"role": "assistant", "content": None, "tool_calls": calls}, _words(arguments), "tool_calls"
    words, finish_reason = _cut(_words(_text(body)), body)
    return {"role": "assistant", "content": "".join(words), "refusal": None}, words, finish_reason


def _text(body: Mapping[str, Any]) -> str:
    asked = body.get("response_format")
    said = _last_text(body)
    match asked:
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return json.dumps(example_of(schema, said), ensure_ascii=False)
        case {"type": "json_object" | "json_schema"}:
            return json.dumps({"echo": said}, ensure_ascii=False)
    return said


def _cut(words: list[str], body: Mapping[str, Any]) -> tuple[list[str], str]:
    """Cut a text at a stop sequence, and at the limit of tokens."""
    finish_reason = "stop"
    stop = body.get("stop")
    ends = [end for end in (stop if isinstance(stop, list) else [stop]) if isinstance(end, str) and end]
    text = "".join(words)
    where = min((text.index(end) for end in ends if end in text), default=None)
    if where is not None:
        words = _words(text[:where])
    most = body.get("max_completion_tokens") or body.get("max_tokens")
    if isinstance(most, int) and 0 < most < len(words):
        return words[:most], "length"
    return words, finish_reason


def _deltas(message: Json, words: list[str]) -> Iterator[Json]:
    if "tool_calls" not in message:
        yield from ({"content": word} for word in words)
        return
    call = message["tool_calls"][0]
    yield {"tool_calls": [{"index": 0, **call, "function": {**call["function"], "arguments": ""}}]}
    for word in words:
        yield {"tool_calls": [{"index": 0, "function": {"arguments": word}}]}


def _forced_tool(body: Mapping[str, Any]) -> Json | None:
    """Return the function that must be called, as it was declared."""
    tools = body.get("tools")
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    declared = [function for function in functions if isinstance(function, dict)]
    match body.get("tool_choice"):
        case "required":
            return declared[0] if declared else None
        case {"type": "function", "function": {"name": name}}:
            return next((function for function in declared if function.get("name") == name), {"name": name})
    return None


def _last_text(body: Mapping[str, Any]) -> str:
    messages = [message for message in body["messages"] if isinstance(message, dict)]
    users = [message for message in messages if message.get("role") == "user"]
    return next((text for message in reversed(users or messages) if (text := _content_text(message))), _NOTHING)


def _content_text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _usage(body: Mapping[str, Any], n_words: int) -> Json:
    messages = [message for message in body["messages"] if isinstance(message, dict)]
    n_input = sum(_MESSAGE_TOKENS + _n_tokens(_content_text(message)) + _image_tokens(message) for message in messages)
    n_output = n_words * _n_choices(body)
    return {
        "prompt_tokens": n_input,
        "completion_tokens": n_output,
        "total_tokens": n_input + n_output,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _image_tokens(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    images = [part for part in parts if isinstance(part, dict) and part.get("type") == "image_url"]
    return _IMAGE_TOKENS * len(images)


def _words(text: str) -> list[str]:
    return _WORD.findall(text)


def _n_tokens(given: Any) -> int:
    return len(given) if isinstance(given, list) else len(_words(given)) if isinstance(given, str) else 0


def _n_choices(body: Mapping[str, Any]) -> int:
    n = body.get("n")
    return min(max(int(n), 1), _MOST_CHOICES) if isinstance(n, int) else 1


def _head(body: Mapping[str, Any], kind: str) -> Json:
    return {"id": f"chatcmpl-{_digest(body)[:24]}", "object": kind, "created": CREATED, "model": body.get("model")}


def _digest(body: Mapping[str, Any]) -> str:
    """Return what tells questions apart; a stream's answer has the same as a whole one's."""
    asked = {name: value for name, value in body.items() if name not in {"stream", "stream_options"}}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def _vector(given: Any, n_dimensions: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return a vector of shape (n_dimensions,) and length 1."""
    drawn = hashlib.shake_256(json.dumps(given).encode()).digest(4 * n_dimensions)
    vector = np.frombuffer(drawn, dtype="<u4").astype(np.float64) / 2**31 - 1
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _encoded(vector: np.ndarray[Any, np.dtype[np.float32]], body: Mapping[str, Any]) -> list[float] | str:
    if body.get("encoding_format") == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(number) for number in vector]


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
