"""Convert conversations from the formats of tools and providers into chat messages in OpenAI's format.

It reads request bodies (chat, text completion, OpenAI's Responses, Anthropic's Messages, Gemini's contents) and
messages of OpenTelemetry, LangChain, ShareGPT, the Vercel AI SDK, Bedrock and others. If a message consists of a single
text, its content becomes that text, so that the same prompt is equal in all of these formats. One simplification: parts
other than texts, tool calls and tool answers stay as they are.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from router_model.features.tools import chat_tools
from router_model.training.importing.conversion import ADVICE, Row, Source, decode_list, first_present, is_missing
from router_model.training.importing.problems import RecordError, shown
from router_model.training.importing.variables import arguments_of, is_request, joined_variables

_ROLES: Final = {"human": "user", "ai": "assistant", "model": "assistant", "function": "tool", "gpt": "assistant"}
_PAIR_ROLES: Final = frozenset({*_ROLES, "user", "assistant", "system", "developer", "tool"})
_LANGCHAIN_ROLES: Final = {
    "HumanMessage": "user",
    "AIMessage": "assistant",
    "SystemMessage": "system",
    "ToolMessage": "tool",
    "FunctionMessage": "tool",
}
_PROMPT_KEYS: Final = (
    "messages", "input", "contents", "prompt", "prompts", "request", "body", "inputs", "question", "query", "text",
    "inputText",
)  # fmt: skip
"""Keys at which an object may hold its prompt, the surest first."""
_VARIABLES: Final = frozenset(("input", "prompt", "inputs", "question", "query", "text"))
"""Keys at which a template may have its main variable."""
_SYSTEMS: Final = ("system", "instructions", "system_instruction", "systemInstruction", "systemPrompt", "system_prompt")
_LIMITS: Final = ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens", "maxTokens")
_PLACEHOLDERS: Final = frozenset(
    {
        "redacted-by-litellm", "__redacted__", "[redacted]", "<redacted>", "redacted", "[masked]", "<masked>",
        "***", "[hidden]", "<hidden>", "[content hidden]", "<hidden due to privacy settings>",
    }
)  # fmt: skip
"""Texts that tools write in place of a redacted message."""
_MESSAGE_TYPES: Final = frozenset({"human", "ai", "system", "tool", "function", "chat", "constructor", "message"})
_CALL_PARTS: Final = frozenset({"tool_call", "tool-call", "tool_use", "function_call"})
_TEXT_PARTS: Final = frozenset({"", "text", "input_text", "output_text"})
_ANSWER_PARTS: Final = frozenset({"tool_call_response", "tool-result", "tool_result", "function_call_output"})


def chat_fields(value: Any) -> Row:
    r"""Convert the input of a tool's record to ``{"messages": …}`` or ``{"prompt": …}``; empty if there is none.

    JSON text is decoded, and the prompt is looked for inside request bodies.

    >>> chat_fields('[{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]')
    {'messages': [{'role': 'user', 'content': 'Hi'}]}
    >>> chat_fields({"input": "Hi", "instructions": "Be brief."})
    {'messages': [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Hi'}]}
    >>> chat_fields({"question": "Who?", "context": "Ann did."})
    {'prompt': 'question: Who?\n\ncontext: Ann did.', 'joined': 'question, context'}
    >>> chat_fields("Hi"), chat_fields("[1, 2]"), chat_fields("{}")
    ({'prompt': 'Hi'}, {'prompt': '[1, 2]'}, {})
    """
    inner = decoded(value)
    if is_missing(inner) or inner in ([], {}):
        return {}
    if isinstance(inner, Mapping):
        return _of_object(inner)
    if isinstance(inner, list):
        return _of_list(inner) or {"prompt": value}
    return {"prompt": inner}


def input_fields(value: Any) -> Row:
    r"""Convert what a tool calls the input of a call: as `chat_fields`, or the variables of a template by any names.

    >>> input_fields({"topic": "cats", "tone": "dry"})
    {'prompt': 'topic: cats\n\ntone: dry', 'joined': 'topic, tone'}
    >>> input_fields({"args": ["Hi"], "kwargs": {}}), input_fields({"args": ["Hi"], "kwargs": {"tone": "dry"}})
    ({'prompt': 'Hi'}, {'prompt': '1: Hi\n\ntone: dry', 'joined': '1, tone'})
    >>> input_fields({"k": 5}), input_fields({"model": "m", "stream": "yes"})
    ({}, {})
    """
    inner = decoded(value)
    if isinstance(inner, Mapping) and "args" in inner and inner.keys() <= {"args", "kwargs"}:
        return input_fields(arguments_of(inner))  # of a function that was traced
    fields = chat_fields(value)
    if fields or not isinstance(inner, Mapping) or is_request(inner):
        return fields
    return _of_template(inner) if any(isinstance(one, str) and one.strip() for one in inner.values()) else {}


def decoded(value: Any) -> Any:
    """Decode text that is a JSON list or object, or a list of objects as Python prints it.

    Other values stay as they are.

    >>> decoded('{"a": 1}'), decoded("[{'role': 'user', 'content': None}]"), decoded("[1] says so")
    ({'a': 1}, [{'role': 'user', 'content': None}], '[1] says so')
    """
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{", '"')):
        return value
    try:
        return decode_list(value) if value.lstrip().startswith("[{'") else json.loads(value)
    except (ValueError, RecursionError):
        return value  # a prompt may begin with a bracket


def _of_list(values: list[Any]) -> Row:
    if len(values) == 1 and isinstance(values[0], list | str) and not _is_pair(values[0]):
        return chat_fields(values[0])  # a batch with a single prompt
    messages = [message for value in values if (message := _message_or_none(value))]
    return {"messages": messages} if len(messages) == len(values) else {}


def _of_object(body: Source) -> Row:
    if _is_message(body):
        return {"messages": [chat_message(body)]}
    given = first_present(body, *_PROMPT_KEYS)
    key = next((key for key in _PROMPT_KEYS if not is_missing(body.get(key))), "")
    is_template = key in _VARIABLES and isinstance(decoded(given), str) and not is_request(body)
    fields = _of_template(body) if is_template else chat_fields(given)
    if not fields:
        return {}
    beside = request_parts(body)
    system = first_present(body, *_SYSTEMS)
    if is_missing(system):
        return fields | beside
    messages = fields.pop("messages", None) or [{"role": "user", "content": fields.pop("prompt")}]
    return {"messages": [system_message(system), *messages], **fields, **beside}


def _of_template(body: Source) -> Row:
    """Read all variables of a template: a list of messages, such as a history, stands before the others."""
    past = {key: said for key, value in body.items() if isinstance(value, list) and (said := _of_list(value))}
    rest = {key: value for key, value in body.items() if key not in past and key not in _SYSTEMS}
    prompt, names = joined_variables(rest)
    before = [message for said in past.values() for message in said["messages"]]
    fields: Row = {"messages": [*before, {"role": "user", "content": prompt}]} if before else {"prompt": prompt}
    told = [*past, *names]
    return {**fields, "joined": ", ".join(told)} if len(told) > 1 else fields


def request_parts(body: Source) -> Row:
    """Return what a request says beside its messages: `tools`, `response_format` and `max_output_tokens`.

    Only what a provider would take is kept: a log may hold something else under these names.

    >>> request_parts({"tools": [{"name": "add", "input_schema": {}}], "max_tokens": 100, "temperature": 0})
    {'tools': [{'type': 'function', 'function': {'name': 'add'}}], 'max_output_tokens': 100}
    >>> request_parts({"text": {"format": {"type": "json_schema", "schema": {}}}, "max_tokens": "many"})
    {'response_format': {'type': 'json_schema', 'schema': {}}}
    """
    settings = first_present(body, "generationConfig", "inferenceConfig")  # of Gemini, of Bedrock
    said = {**settings, **body} if isinstance(settings, Mapping) else body
    text = said.get("text")
    formats = [said.get("response_format"), text.get("format") if isinstance(text, Mapping) else None]
    limits = [said.get(name) for name in _LIMITS]
    found = {
        "tools": chat_tools(decoded(said.get("tools"))),
        "response_format": next((one for one in formats if isinstance(one, Mapping) and "type" in one), None),
        "max_output_tokens": next((n for n in limits if type(n) is int and n > 0), None),
    }
    return {name: value for name, value in found.items() if value}


def system_message(system: Any) -> Row:
    """Convert a system prompt that stands beside the messages."""
    system = decoded(system)
    if isinstance(system, Mapping):
        return chat_message({"parts": [system], **system, "role": "system"})
    return chat_message({"role": "system", "content": system})


# --- messages --------------------------------------------------------------------------------------------


def chat_messages(values: Sequence[Any]) -> list[Row]:
    """Convert a list of messages to OpenAI's format."""
    return [message for value in values if (message := _message_or_none(value)) is not None]


def _message_or_none(value: Any) -> Row | None:
    if isinstance(value, Mapping) and (
        "role" in value or _is_message(value) or _kind(value) in _CALL_PARTS | _ANSWER_PARTS
    ):
        return chat_message(value)
    if _is_pair(value):
        return {"role": _ROLES.get(value[0], value[0]), "content": value[1]}
    return None


def _is_pair(value: Any) -> bool:
    """Whether a list is a message in LangChain's short form: a role and a text."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        return False
    return len(value) == 2 and value[0] in _PAIR_ROLES  # noqa: PLR2004 role and text


def _is_message(value: Source) -> bool:
    if isinstance(value.get("from"), str) and "value" in value:
        return True  # ShareGPT
    if "role" in value:
        return "content" in value or "parts" in value or "tool_calls" in value or "contents" in value
    return _kind(value) in _MESSAGE_TYPES and bool({"content", "data", "kwargs"} & value.keys())


def chat_message(message: Source) -> Row:
    """Convert one message to OpenAI's format.

    >>> chat_message({"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"],
    ...               "kwargs": {"content": "Hi", "type": "human"}})
    {'role': 'user', 'content': 'Hi'}
    >>> chat_message({"from": "human", "value": "Hi"})
    {'role': 'user', 'content': 'Hi'}
    >>> use = {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}}
    >>> chat_message({"role": "assistant", "content": [use]})
    {'role': 'assistant', 'content': None, 'tool_calls': [{'id': 'c', 'type': 'function', \
'function': {'name': 'f', 'arguments': '{"a": 1}'}}]}
    """
    inner = message.get("kwargs", message.get("data"))
    if isinstance(inner, Mapping):
        return chat_message({"role": _langchain_role(message), **_without_type(inner)})
    if _kind(message) in _CALL_PARTS | _ANSWER_PARTS and "role" not in message:
        role = "assistant" if _kind(message) in _CALL_PARTS else "tool"
        return chat_message({"role": role, "content": [message]})
    role = str(message.get("role") or message.get("from") or message.get("type") or "user")
    parts = message.get("parts", message.get("content", message.get("value")))
    row: Row = {"role": _ROLES.get(role, role), "content": parts}
    if isinstance(parts, list):
        row |= _of_parts(parts)
    row |= {key: message[key] for key in ("name", "tool_call_id") if not is_missing(message.get(key))}
    calls = message.get("tool_calls")
    written = [_tool_call(call) for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    return row | ({"tool_calls": written} if written else {})


def _kind(value: Source) -> str:
    """Return the type that a message or a part names; empty without a name."""
    return str(value.get("type") or "")


def _langchain_role(message: Source) -> str:
    names = message.get("id")
    if _kind(message) == "constructor":
        class_name = str(names[-1]) if isinstance(names, list) and names else ""
        return _LANGCHAIN_ROLES.get(class_name.removesuffix("Chunk"), "user")
    return _ROLES.get(_kind(message), _kind(message))


def _without_type(fields: Source) -> Row:
    return {key: value for key, value in fields.items() if key != "type"}


def _of_parts(parts: list[Any]) -> Row:
    contents = [_content(part) for part in parts if not _is_call(part)]
    row: Row = {"content": _joined(contents)}
    calls = [_tool_call(part) for part in parts if _is_call(part)]
    if calls:
        row["tool_calls"] = calls
    answered = next((_call_id(part) for part in parts if _is_answer(part)), None)
    if answered is not None:
        row["tool_call_id"] = answered
    return row


def _is_call(part: object) -> bool:
    return isinstance(part, Mapping) and (_kind(part) in _CALL_PARTS or "functionCall" in part)


def _is_answer(part: object) -> bool:
    return isinstance(part, Mapping) and (_kind(part) in _ANSWER_PARTS or "functionResponse" in part)


def _call_id(part: Source) -> Any:
    return first_present(part, "tool_call_id", "tool_use_id", "toolCallId", "call_id", "id")


def _content(part: object) -> Any:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, Mapping):
        return part
    if _is_answer(part):
        answer = first_present(part, "response", "result", "output", "content", "functionResponse")
        return {"type": "text", "text": answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)}
    text = part.get("text", part.get("content"))
    if isinstance(text, str) and _kind(part) in _TEXT_PARTS:
        return {"type": "text", "text": text}
    return part


def _joined(contents: list[Any]) -> Any:
    """Return a single text part as plain text, as most clients write it."""
    if len(contents) == 1 and isinstance(contents[0], Mapping) and _kind(contents[0]) == "text":
        return contents[0].get("text")
    return contents or None


def _tool_call(call: Source) -> Row:
    function = call.get("function", call.get("functionCall"))
    named: Source = function if isinstance(function, Mapping) else call
    arguments = first_present(named, "arguments", "args", "input")
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {
        "id": _call_id(call),
        "type": "function",
        "function": {"name": first_present(named, "name", "toolName"), "arguments": written},
    }


def require_prompt(fields: Row, tool: str, advice: str, given: Any = None) -> Row:
    """Return the fields of a prompt; raise an error if there is no prompt or only a placeholder.

    Parameters
    ----------
    fields : dict
        Result of `chat_fields`.
    tool, advice : str
        Name of the tool and advice for the error message.
    given : Any, optional
        The input that `fields` were made of; shown in the message if it holds no prompt.

    >>> require_prompt({"prompt": "__REDACTED__"}, "Phoenix", "log it")
    Traceback (most recent call last):
        ...
    router_model.training.importing.problems.RecordError: got a prompt that Phoenix redacted, expected the prompt itself

    Raises
    ------
    RecordError
        If there is none.
    """
    if not fields and not is_missing(given) and decoded(given) not in ([], {}):
        got = f"an input of {tool} without a prompt in it, {shown(given)}"
        raise RecordError("messages", got, "text, chat messages, or an object with 'messages' or 'prompt'", ADVICE)
    if not fields:
        raise RecordError("messages", f"a call of {tool} without its prompt", "the prompt or chat messages", advice)
    contents = [message.get("content") for message in fields.get("messages", ())] or [fields.get("prompt")]
    if any(isinstance(one, str) and one.strip().lower() in _PLACEHOLDERS for one in contents):
        raise RecordError("messages", f"a prompt that {tool} redacted", "the prompt itself", advice)
    return fields


# --- usage -----------------------------------------------------------------------------------------------


def usage_tokens(usage: Any) -> tuple[Any, Any]:
    """Return a provider's counts of input tokens, cached ones included, and of output tokens, reasoning included.

    Anthropic's ``input_tokens`` leave cached ones out; Gemini's candidates leave thoughts out.

    >>> usage_tokens({"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}})
    (9, 5)
    >>> usage_tokens({"input_tokens": 2, "output_tokens": 5, "cache_read_input_tokens": 7})
    (9, 5)
    >>> usage_tokens({"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 3})
    (9, 5)
    """
    if not isinstance(usage, Mapping):
        return None, None
    read = first_present(usage, "prompt_tokens", "input_tokens", "promptTokenCount")
    written = first_present(usage, "completion_tokens", "output_tokens", "candidatesTokenCount")
    if "prompt_tokens" not in usage:
        read = _sum(read, usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens"))
    return read, _sum(written, usage.get("thoughtsTokenCount"))


def _sum(first: Any, *more: Any) -> Any:
    """Add counts to a count; other values stay as they are, so that the checks report them."""
    if not isinstance(first, int):
        return first
    return first + sum(one for one in more if isinstance(one, int))
