"""Read completions and responses that OpenAI stored.

The API returns the messages of a stored completion in a separate object. If both are imported, they are joined by id.
"""

from collections.abc import Iterable
from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.chat import chat_fields, request_parts, require_prompt, usage_tokens
from router_model.training.importing.conversion import (
    Conversion,
    Row,
    Source,
    as_object,
    first_present,
    is_missing,
    time_s,
)
from router_model.training.importing.notes import Note

_OBJECTS: Final = frozenset({"chat.completion", "text_completion", "response"})
_OF_REQUEST: Final = (
    "messages", "input", "prompt", "instructions", "tools", "response_format", "text", "max_completion_tokens",
    "max_tokens", "max_output_tokens",
)  # fmt: skip
_KEPT: Final = ("id", "object", "service_tier", "system_fingerprint", "usage")
_MESSAGES: Final = (
    "add the messages in 'input' (GET /v1/chat/completions/{id}/messages, or /v1/responses/{id}/input_items), or give "
    "the files with those messages, too"
)


def _is_message(record: Source) -> bool:
    return str(record.get("id", "")).startswith("chatcmpl-") and {"role", "content"} <= record.keys()


def _recognises(record: Source) -> bool:
    return str(record.get("object")) in _OBJECTS or ("choices" in record and "usage" in record) or _is_message(record)


def openai_stored(record: Source, around: Around) -> Conversion:
    """Read a stored completion or response.

    Fields: ``input`` (or ``messages``), ``model``, ``usage``, ``created`` (or ``created_at``), and in the
    ``metadata``: ``quality`` (or ``score``), ``session_id``, ``task``.
    """
    if _is_message(record):
        return Conversion([], {"messages of stored completions": 1})
    if str(record.get("status")) in ("failed", "cancelled", "in_progress") or not is_missing(record.get("error")):
        return Conversion([], {"failed calls": 1})
    metadata = as_object(record.get("metadata"), "metadata")
    read, written = usage_tokens(record.get("usage"))
    created = "created" if "created" in record else "created_at"
    row: Row = {
        **require_prompt(_prompt(record, around), "OpenAI's stored completions", _MESSAGES),
        "model": record.get("model"),
        "quality": first_present(metadata, "quality", "score"),
        "input_tokens": read,
        "output_tokens": written,
        "task": metadata.get("task"),
        "timestamp": time_s(record, created),
        "session_id": first_present(metadata, "session_id", "conversation_id"),
        "extra": {key: record[key] for key in _KEPT if not is_missing(record.get(key))},
    }
    return Conversion([row])


def _prompt(record: Source, around: Around) -> Row:
    body: dict[str, Any] = {key: record.get(key) for key in _OF_REQUEST}
    told = around.notes_of(f"openai:messages-of:{record.get('id')}")
    fetched = chat_fields([message for _, message in sorted(told, key=lambda one: int(one[0]))])
    return chat_fields(body) or (fetched | request_parts(body) if fetched else {})


def _notes(record: Source, around: Around) -> Iterable[Note]:
    del around
    if _is_message(record):
        completion, _, number = str(record["id"]).rpartition("-")
        if number.isdecimal():
            message = {key: record[key] for key in ("role", "content", "tool_calls") if record.get(key) is not None}
            yield Note(f"openai:messages-of:{completion}", [number, message])


ADAPTER: Final = Adapter(
    "openai_stored",
    "OpenAI's stored completions",
    _recognises,
    openai_stored,
    notes=_notes,
    fields=("object", "choices", "usage", "created", "model"),
    are_calls=True,
)
