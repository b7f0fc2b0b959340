"""Read LiteLLM's logs of calls: the records of its callbacks, and the spend logs of its database.

Only named fields are kept. So keys and their hashes, users, teams, addresses and headers never reach the table, even if
a later version renames them. Answers are dropped too.
"""

import json
from collections.abc import Mapping
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
    latency_s,
    time_s,
)
from router_model.training.importing.problems import RecordError

_KEPT: Final = (
    "id", "request_id", "call_type", "custom_llm_provider", "model_group", "stream", "total_tokens", "status",
)  # fmt: skip
_KEPT_METADATA: Final = ("usage_object", "additional_usage_values", "cost_breakdown", "litellm_overhead_time_ms")
_CHAT_CALLS: Final = frozenset(
    {
        "completion", "text_completion", "responses", "anthropic_messages", "generate_content",
        "generate_content_stream",
    }
)  # fmt: skip
_OTHER_CALLS: Final = {
    "embedding": "embedding calls",
    "image": "image calls",
    "video": "video calls",
    "speech": "audio calls",
    "transcription": "audio calls",
    "moderation": "moderation calls",
    "rerank": "rerank calls",
    "batch": "batch jobs",
    "file": "file uploads",
}
_TRUNCATED: Final = "(litellm_truncated"
_STORE_SPEND_LOGS: Final = (
    "set store_prompts_in_spend_logs: true in LiteLLM's general_settings (and turn_off_message_logging: false); "
    "calls logged from then on can be imported"
)
_STORE_PAYLOAD: Final = (
    "set turn_off_message_logging: false in LiteLLM's litellm_settings; calls logged from then on can be imported"
)


def _recognises(record: Source) -> bool:
    """Whether a record has the form of LiteLLM's records."""
    if "standard_logging_object" in record or "request_kwargs" in record:
        return True
    if "spend" in record:
        return bool({"startTime", "request_id", "api_key"} & record.keys())
    return "response_cost" in record or ({"startTime", "model"} <= record.keys() and "traceId" not in record)


def litellm(record: Source, around: Around) -> Conversion:
    """Read a ``StandardLoggingPayload``, a row of ``LiteLLM_SpendLogs`` or the older shape of Google's buckets.

    Fields: ``model``, ``messages`` (else the body in ``proxy_server_request``), ``response_cost`` or ``spend``,
    ``prompt_tokens``, ``completion_tokens``, ``startTime`` and ``endTime`` (their difference is the latency),
    ``session_id`` or ``trace_id``, and in ``metadata`` (also in its ``requester_metadata`` and
    ``spend_logs_metadata``): ``quality`` (or ``score``), ``session_id``, ``propensity``, ``task``. Calls that
    failed, that a cache answered or that are no chats are skipped.

    Raises
    ------
    RecordError
        If the prompt was not stored, was redacted or was cut.
    """
    del around
    record = _flat(record)
    metadata = as_object(record.get("metadata"), "metadata")
    reason = _skipped_as(record, metadata)
    if reason is not None:
        return Conversion([], {reason: 1})
    return Conversion([_row(record, metadata)])


def _flat(record: Source) -> Source:
    """Return the fields under today's names, from a wrapped payload or the older format."""
    record = as_object(record.get("standard_logging_object"), "standard_logging_object") or record
    if "request_kwargs" not in record:
        return record
    request, response = as_object(record["request_kwargs"], "request_kwargs"), record.get("response_obj")
    usage = response.get("usage") if isinstance(response, Mapping) else None
    renamed = {"startTime": record.get("start_time"), "endTime": record.get("end_time"), "usage": usage}
    litellm_params = as_object(request.get("litellm_params"), "litellm_params")
    return {**request, "metadata": litellm_params.get("metadata"), **record, **renamed}


def _skipped_as(record: Source, metadata: Source) -> str | None:
    """Return the kind of a record that is not a chat answered by a model; None if it is one."""
    failed = "failure" in (record.get("status"), metadata.get("status"))
    if failed or not is_missing(record.get("error_str")):
        return "failed calls"
    if str(record.get("cache_hit")).lower() == "true":
        return "calls answered by a cache"
    call = str(record.get("call_type") or "")
    if not call or call.removeprefix("a") in _CHAT_CALLS or call in _CHAT_CALLS:
        return None
    return next((name for part, name in _OTHER_CALLS.items() if part in call), f"calls of the type {call!r}")


def _row(record: Source, metadata: Source) -> Row:
    given = [metadata, *(as_object(metadata.get(key), key) for key in ("requester_metadata", "spend_logs_metadata"))]
    tokens = usage_tokens(record.get("usage"))
    session = [one.get(key) for one in given for key in ("session_id", "trace_id")]
    return {
        **request_parts(as_object(record.get("model_parameters"), "model_parameters")),
        **_prompt(record),
        "model": record.get("model"),
        "quality": _first(one.get(key) for one in given for key in ("quality", "score")),
        "input_tokens": _first([record.get("prompt_tokens"), tokens[0]]),
        "output_tokens": _first([record.get("completion_tokens"), tokens[1]]),
        "cost_usd": first_present(record, "response_cost", "spend"),
        "latency_s": latency_s(record, "startTime", "endTime"),
        "propensity": _first(one.get("propensity") for one in given),
        "task": _first(one.get("task") for one in given),
        "timestamp": time_s(record, "startTime"),
        "session_id": _first([*session, record.get("session_id"), record.get("trace_id")]),
        "extra": _kept(record, _KEPT) | _kept(metadata, _KEPT_METADATA),
    }


def _first(values: Any) -> Any:
    return next((value for value in values if not is_missing(value)), None)


def _kept(record: Source, keys: tuple[str, ...]) -> Row:
    return {key: record[key] for key in keys if not is_missing(record.get(key)) and record[key] != {}}


def _prompt(record: Source) -> Row:
    fields = chat_fields(record.get("messages")) or chat_fields(record.get("proxy_server_request"))
    if "spend" in record and is_missing(record.get("model")):
        raise RecordError("", "a sum of LiteLLM's spend", "rows of the table LiteLLM_SpendLogs", "export that table")
    if _TRUNCATED in json.dumps(fields, default=str):
        raise RecordError(
            "messages",
            "a prompt that LiteLLM cut to store it",
            "the whole prompt",
            "raise MAX_STRING_LENGTH_PROMPT_IN_DB at the proxy, or use --on-error skip to set such rows aside",
        )
    return require_prompt(fields, "LiteLLM", _STORE_SPEND_LOGS if "spend" in record else _STORE_PAYLOAD)


ADAPTER: Final = Adapter(
    "litellm",
    "LiteLLM",
    _recognises,
    litellm,
    fields=("startTime", "endTime", "model", "messages", "prompt_tokens", "completion_tokens", "response_cost"),
    are_calls=True,
)
