"""Read Helicone's exports of requests."""

from typing import Any, Final

from router_model.training.importing.adapter import Adapter, Around
from router_model.training.importing.chat import chat_fields, decoded, require_prompt, usage_tokens
from router_model.training.importing.conversion import (
    Conversion,
    Row,
    Source,
    as_object,
    first_present,
    is_missing,
    time_s,
)
from router_model.training.importing.scores import named_scores, quality_of

_OWN: Final = frozenset(
    {"request_body", "request_created_at", "delay_ms", "costUSD", "request_path", "helicone_user", "signed_body_url"}
)
_KEPT: Final = (
    "request_id", "provider", "request_path", "time_to_first_token", "total_tokens", "prompt_cache_read_tokens",
    "prompt_cache_write_tokens", "reasoning_tokens", "prompt_id", "prompt_version",
)  # fmt: skip
_OTHER_PATHS: Final = {
    "/embeddings": "embedding calls",
    "/images": "image calls",
    "/audio": "audio calls",
    "/moderations": "moderation calls",
    "/rerank": "rerank calls",
}
_NO_CACHE: Final = "00000000-0000-0000-0000-000000000000"
_FEEDBACK: Final = "helicone-score-feedback"
_OK: Final = range(200, 300)


def _recognises(record: Source) -> bool:
    return len(_OWN & record.keys()) > 1 or ("request_body" in record and "response_body" in record)


def helicone(record: Source, around: Around) -> Conversion:
    """Read a request of Helicone.

    Fields: ``request_body``, ``response_model`` (or ``model``), the usage in ``response_body`` (else
    ``prompt_tokens`` and ``completion_tokens``), ``costUSD`` (or ``cost``), ``delay_ms``,
    ``request_created_at``, the property ``Helicone-Session-Id``, ``scores``, else ``feedback_rating``. Scores
    are taken as they are. Helicone stores whole numbers and does not say whether they go up to 1, 5 or 100.
    """
    del around
    reason = _skipped_as(record)
    return Conversion([], {reason: 1}) if reason is not None else Conversion([_row(record)])


def _skipped_as(record: Source) -> str | None:
    status = str(first_present(record, "response_status", "status") or "200")
    if not status.lstrip("-").isdecimal() or int(status) not in _OK:
        return "failed calls"
    reference = record.get("cache_reference_id")
    if str(record.get("cache_hit")).lower() == "true" or not (is_missing(reference) or reference == _NO_CACHE):
        return "calls answered by a cache"
    path = str(first_present(record, "request_path", "target_url") or "")
    return next((name for part, name in _OTHER_PATHS.items() if part in path), None)


def _row(record: Source) -> Row:
    answer = decoded(record.get("response_body"))
    body: Source = answer if isinstance(answer, dict) else {}
    tokens = usage_tokens(first_present(body, "usage", "usageMetadata"))
    prompt = chat_fields(record.get("request_body"))
    return {
        **require_prompt(prompt, "Helicone", "export the requests with their bodies (--include-body)"),
        "model": first_present(
            {**record, "body": body.get("model")}, "response_model", "body", "model", "request_model"
        ),
        "quality": _quality(record),
        "input_tokens": record.get("prompt_tokens") if tokens[0] is None else tokens[0],
        "output_tokens": record.get("completion_tokens") if tokens[1] is None else tokens[1],
        "cost_usd": first_present(record, "costUSD", "cost_usd", "cost"),
        "latency_s": _latency_s(record),
        "timestamp": time_s(record, "request_created_at"),
        "session_id": _session(record),
        "extra": {key: record[key] for key in _KEPT if not is_missing(record.get(key))},
    }


def _quality(record: Source) -> Any:
    """Return the score, else the feedback, which Helicone also lists among the scores."""
    scores = named_scores(as_object(record.get("scores"), "scores"))
    judged = quality_of([(name, value) for name, value in scores if name != _FEEDBACK])
    if judged is not None:
        return judged
    feedback = decoded(record.get("feedback"))
    rating = feedback.get("rating") if isinstance(feedback, dict) else record.get("feedback_rating")
    listed = [value for name, value in scores if name == _FEEDBACK]
    return quality_of([(_FEEDBACK, value) for value in (listed if is_missing(rating) else [rating])])


def _latency_s(record: Source) -> Any:
    delay = first_present(record, "delay_ms", "latency")
    try:
        return None if delay is None else float(delay) / 1000
    except (TypeError, ValueError):
        return delay  # the checks report it


def _session(record: Source) -> Any:
    for key in ("properties", "request_properties"):
        for name, value in as_object(record.get(key), key).items():
            if name.lower() == "helicone-session-id":
                return value
    return None


ADAPTER: Final = Adapter(
    "helicone",
    "Helicone",
    _recognises,
    helicone,
    fields=("request_body", "response_body", "request_created_at", "delay_ms", "model"),
    are_calls=True,
)
