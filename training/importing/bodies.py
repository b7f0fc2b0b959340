"""Read the bodies of requests and answers whole, if the user named a field in them.

Many people log what they sent to a provider and what came back. ``--column messages=request.messages`` names the
messages in such a body; the system prompt and the tools stand beside them. ``input_tokens=response.usage.input_tokens``
names a count; Anthropic counts cached tokens beside it, and Gemini counts thoughts beside the answer. ``--column
prompt=input`` may name an object with the variables of a template.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from router_model.training.importing.chat import chat_fields, decoded, input_fields, usage_tokens
from router_model.training.importing.columns import field_at
from router_model.training.importing.conversion import Row, Source, is_missing

_PROMPTS: Final = ("prompt", "messages")
_COUNTS: Final = ("input_tokens", "output_tokens")
_PROVIDERS_COUNTS: Final = frozenset((*_COUNTS, "promptTokenCount", "candidatesTokenCount"))
_COUNTED_BESIDE: Final = frozenset(("cache_read_input_tokens", "cache_creation_input_tokens", "thoughtsTokenCount"))
_BODY_MESSAGES: Final = ("messages", "contents")


def read_whole(own: Source, record: Source, paths: Iterable[tuple[str, str]]) -> Source:
    """Add to a record under our names what stands beside the fields that the user named.

    Parameters
    ----------
    own : mapping
        The record under our names.
    record : mapping
        The record as it is in the source.
    paths : iterable of (our column, path)
        The fields that the user named.

    Examples
    --------
    >>> record = {"request": {"system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]}}
    >>> own = {"messages": record["request"]["messages"], "model": "a"}
    >>> whole = read_whole(own, record, [("messages", "request.messages")])
    >>> whole["messages"][0], whole["model"]
    ({'role': 'system', 'content': 'Be brief.'}, 'a')
    """
    seen: set[str] = set()
    for ours, path in paths:
        value = field_at(record, path) if ours in (*_PROMPTS, *_COUNTS) and ours not in seen else None
        if is_missing(value):
            continue
        seen.add(ours)
        if ours in _COUNTS:
            own = {**own, ours: _whole_count(record, ours, path, own.get(ours))}
        elif whole := _whole_request(record, path, value) or (_template(value) if ours == "prompt" else {}):
            rest = {key: value for key, value in own.items() if key not in _PROMPTS}
            own = {**whole, **rest}  # what the user named for itself, such as the tools, wins
    return own


def _whole_count(record: Source, ours: str, path: str, value: Any) -> Any:
    around, _, name = path.rpartition(".")
    usage = decoded(field_at(record, around)) if around and name in _PROVIDERS_COUNTS else None
    if not isinstance(usage, Mapping) or usage.keys().isdisjoint(_COUNTED_BESIDE):
        return value
    return usage_tokens(usage)[_COUNTS.index(ours)]


def _whole_request(record: Source, path: str, value: Any) -> Row:
    """Return all that a request says; empty if the field is neither a request's body nor the messages in one."""
    around, _, name = path.rpartition(".")
    if name in _BODY_MESSAGES:
        body = decoded(field_at(record, around)) if around else {**record, name: decoded(value)}
    else:
        body = decoded(value)
    if isinstance(body, list) and any(isinstance(one, Mapping) and "role" not in one for one in body):
        return chat_fields(body)  # messages of LangChain, ShareGPT …
    is_body = isinstance(body, Mapping) and any(isinstance(body.get(key), list) for key in _BODY_MESSAGES)
    fields = chat_fields(body) if is_body else {}
    return fields if "messages" in fields else {}


def _template(value: Any) -> Row:
    """Return the prompt that a template's variables make; empty if the field holds something else, such as text."""
    return input_fields(value) if isinstance(value, Mapping) else {}
