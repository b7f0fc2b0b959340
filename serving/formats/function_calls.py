"""OpenAI's older ``function_call``, for callers who declare ``functions``; everybody else gets tool calls."""

from router_model.serving.formats.shapes import Json, mappings, text


def with_function_calls(body: Json) -> Json:
    """Return an answer, or a chunk, whose first tool call is a ``function_call``; these callers know no others.

    Examples
    --------
    >>> call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    >>> choice = {"message": {"content": None, "tool_calls": [call]}, "finish_reason": "tool_calls"}
    >>> with_function_calls({"choices": [choice]})["choices"][0]["message"]["function_call"]
    {'name': 'f', 'arguments': '{}'}
    """
    return {**body, "choices": [_with_function_call(choice) for choice in mappings(body.get("choices"))]}


def _with_function_call(choice: Json) -> Json:
    choice = dict(choice)
    if text(choice.get("finish_reason")) == "tool_calls":
        choice["finish_reason"] = "function_call"
    for name in ("message", "delta"):
        said = choice.get(name)
        if isinstance(said, dict) and "tool_calls" in said:
            rest = {field: value for field, value in said.items() if field != "tool_calls"}
            # A function_call has no index, so pieces of a second call would be read as more of the first.
            first = [call for call in mappings(said["tool_calls"]) if not call.get("index")][:1]
            choice[name] = rest | ({"function_call": first[0].get("function")} if first else {})
    return choice
