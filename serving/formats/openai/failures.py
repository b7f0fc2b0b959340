"""Classify a provider's error: its `FailureKind` decides what is done next.

What an error says goes before its HTTP status: a 400 may be a prompt that is too long or a model that is gone (both
are for the next candidate), a 429 a bill that is not paid (for the next key,
`router_model.serving.formats.about_keys`), a 400 or a 403 a refusal of this model alone
(`router_model.serving.formats.refusals`).
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from router_model.serving.common.retry_after import limit_ends_s, retry_after_s
from router_model.serving.formats.about_keys import is_limit_of_key, kind_by_key
from router_model.serving.formats.openai.error_body import ErrorBody, error_in, read_error
from router_model.serving.formats.refusals import as_refusal
from router_model.serving.providers.failures import FailureKind, UpstreamFailure, kind_of_status

_BY_NAME: Final = {
    "context_length_exceeded": FailureKind.TOO_LONG,
    "exceed_context_size_error": FailureKind.TOO_LONG,  # llama.cpp
    "string_above_max_length": FailureKind.TOO_LONG,
    "request_too_large": FailureKind.TOO_LONG,
    "model_not_found": FailureKind.MODEL_GONE,
    "model_not_available": FailureKind.MODEL_GONE,
    "model_decommissioned": FailureKind.MODEL_GONE,  # Groq
    "invalid_model": FailureKind.MODEL_GONE,  # Mistral
    "deploymentnotfound": FailureKind.MODEL_GONE,  # Azure
    "content_policy_violation": FailureKind.REFUSED,
    "content_filter": FailureKind.REFUSED,  # Azure
}
"""By ``code`` or ``type``, whatever the status."""

_BY_TYPE: Final = {
    "authentication_error": FailureKind.KEY,
    "permission_error": FailureKind.REFUSED,
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "rate_limit_exceeded": FailureKind.RATE_LIMITED,
    "rate_limited": FailureKind.RATE_LIMITED,
    "overloaded_error": FailureKind.RATE_LIMITED,
    "invalid_request_error": FailureKind.BAD_REQUEST,
    "badrequesterror": FailureKind.BAD_REQUEST,  # vLLM
    "not_found_error": FailureKind.MODEL_GONE,
}
"""Kinds by ``code`` or ``type``, for errors without a useful status: those inside a 200."""

_WORDS: Final = {
    FailureKind.TOO_LONG: re.compile(
        r"context[ _-]?(length|window|size)|maximum prompt length|prompt is too long|too many (input )?tokens"
        r"|too large for model|`inputs` (tokens \+ `max_new_tokens` )?must (be <=|have less than)",
        re.IGNORECASE,
    ),
    FailureKind.MODEL_GONE: re.compile(
        r"\bmodel\b.{0,120}?(not exist|not found|decommissioned|no longer available)"
        r"|not a valid model|no endpoints found|unknown model",
        re.IGNORECASE | re.DOTALL,
    ),
}
"""Kinds by the message of a 4xx, because most servers have no codes for these."""

_OVERLOADED: Final = frozenset({498, 529})  # 498: Groq's capacity is used up
_CALLERS: Final = frozenset({400, 422})
_LIMITED: Final = 429
_SINGLE_TOO_LARGE: Final = re.compile(r"\brequest too large for\b", re.IGNORECASE)
"""OpenAI's and Groq's words for one request above a minute's tokens: smaller requests still pass."""
_STATUS_OF: Final = {
    FailureKind.KEY: 401,
    FailureKind.MODEL_GONE: 404,
    FailureKind.TOO_LONG: 413,
    FailureKind.RATE_LIMITED: 429,
    FailureKind.BAD_REQUEST: 400,
    FailureKind.REFUSED: 400,
}


def failure_of(status: int, headers: Mapping[str, str], content: bytes) -> UpstreamFailure:
    """Read an answer with an error status.

    Parameters
    ----------
    status : int
        HTTP status.
    headers : by names in lower case
    content : bytes
    """
    error = read_error(status, content)
    kind = _kind(status, error)
    if kind is FailureKind.KEY and status == 402 and retry_after_s(headers) is not None:  # noqa: PLR2004  (OpenRouter)
        kind = FailureKind.RATE_LIMITED  # calls under way hold the credits
    if kind is not FailureKind.RATE_LIMITED:
        return _failure(kind, error, status, retry_after_s(headers))
    of_key = is_limit_of_key(headers, (error.code, error.type), error.message)
    return _failure(kind, error, status, limit_ends_s(headers, error.message), of_key=of_key)


def failure_in(body: Mapping[str, Any]) -> UpstreamFailure | None:
    """Return the error inside a 200, or in an event of a stream; None if there is none.

    Its status is the one that the error stands for, because the HTTP status was 200.
    """
    error = error_in(body)
    if error is None:
        return None
    status = error.http_status
    kind = _kind(status, error) if status else _kind_by_type(error)
    return _failure(kind, error, status or _STATUS_OF.get(kind, 502), None)


def _kind(status: int, error: ErrorBody) -> FailureKind:
    named = _named(error, _BY_NAME) or _by_key(status, error)
    if named is not None:
        return named
    if status == _LIMITED and _SINGLE_TOO_LARGE.search(error.message):
        return FailureKind.REFUSED
    if status in _OVERLOADED:
        return FailureKind.RATE_LIMITED
    if status in _CALLERS:
        return _by_words(error) or FailureKind.BAD_REQUEST
    return kind_of_status(status)


def _kind_by_type(error: ErrorBody) -> FailureKind:
    known = _named(error, _BY_NAME) or _by_key(None, error) or _by_words(error)
    return known or _named(error, _BY_TYPE) or FailureKind.SERVER


def _by_key(status: int | None, error: ErrorBody) -> FailureKind | None:
    """Return what an error says about the key; a provider's own fault says nothing about it, whatever its words."""
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return None
    return kind_by_key(status, (error.code, error.type), error.message)


def _named(error: ErrorBody, kinds: Mapping[str, FailureKind]) -> FailureKind | None:
    for name in (error.code, error.type):
        kind = kinds.get((name or "").lower())
        if kind is not None:
            return kind
    return None


def _by_words(error: ErrorBody) -> FailureKind | None:
    return next((kind for kind, pattern in _WORDS.items() if pattern.search(error.message)), None)


def _failure(
    kind: FailureKind, error: ErrorBody, status: int, wait_s: float | None, *, of_key: bool = False
) -> UpstreamFailure:
    failure = UpstreamFailure(
        kind,
        error.message,
        status=status,
        code=error.code,
        type=error.type,
        param=error.param,
        retry_after_s=wait_s,
        of_key=of_key,
    )
    return as_refusal(failure, error.metadata)
