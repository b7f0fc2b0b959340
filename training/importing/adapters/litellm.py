"""LiteLLM's logs of calls become outcomes.

A converter as in `training.importing.adapters`. Answers are dropped, and so is whatever the metadata tells of
API keys.
"""

from typing import Final

from training.importing.adapters.adapter import Adapter, Around
from training.importing.conversion import (
    Conversion,
    Row,
    Source,
    as_object,
    first_present,
    latency_s,
    present,
    prompt_fields,
)

_PLACED: Final = frozenset(
    {
        "model", "messages", "response", "response_cost", "prompt_tokens", "completion_tokens",
        "startTime", "endTime", "metadata",
    }
)  # fmt: skip
_METADATA_PLACED: Final = frozenset({"quality", "score", "session_id", "propensity"})


def _recognises(record: Source) -> bool:
    """Whether a record looks like a LiteLLM payload."""
    return "response_cost" in record or ("startTime" in record and "model" in record)


def litellm(record: Source, around: Around) -> Conversion:
    """Read a ``StandardLoggingPayload`` of LiteLLM.

    Fields: ``id``, ``model``, ``messages``, ``response`` (dropped), ``response_cost``, ``prompt_tokens``,
    ``completion_tokens``, ``startTime`` and ``endTime`` (seconds since 1970 or ISO 8601; their difference is
    the latency), and in ``metadata``: ``quality`` (or ``score``), ``session_id`` (or ``trace_id``, also of
    the record) and ``propensity``. Metadata about API keys is dropped.
    """
    del around
    metadata = as_object(record.get("metadata"), "metadata")
    kept = {key: value for key, value in present(metadata, _METADATA_PLACED).items() if "api_key" not in key}
    session = first_present(metadata, "session_id", "trace_id") or first_present(record, "trace_id")
    row: Row = {
        **prompt_fields(record.get("messages")),
        "model": record.get("model"),
        "quality": first_present(metadata, "quality", "score"),
        "input_tokens": record.get("prompt_tokens"),
        "output_tokens": record.get("completion_tokens"),
        "cost_usd": record.get("response_cost"),
        "latency_s": latency_s(record, "startTime", "endTime"),
        "propensity": metadata.get("propensity"),
        "timestamp": record.get("startTime"),
        "session_id": session,
        "extra": present(record, _PLACED) | ({"metadata": kept} if kept else {}),
    }
    return Conversion([row])


ADAPTER: Final = Adapter("litellm", "LiteLLM", _recognises, litellm)
