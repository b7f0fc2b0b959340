"""The error for the caller if no candidate answered: the first failure, and the others as details."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from router_model.serving.common.retry_after import retry_after_text
from router_model.serving.common.service_errors import Cause, Tokens, UpstreamError
from router_model.serving.providers.failures import CONTENT, FailureKind, UpstreamFailure
from router_model.serving.providers.health import LONGEST_TOLD_S
from router_model.serving.providers.provider import Target

_INVALID: Final = "invalid_request_error"
_BY_KIND: Final = {
    FailureKind.BAD_REQUEST: (400, _INVALID, "invalid_request"),
    FailureKind.TOO_LONG: (400, _INVALID, "context_length_exceeded"),
    FailureKind.REFUSED: (400, _INVALID, "request_refused"),
    FailureKind.MODEL_GONE: (404, "not_found_error", "model_not_found"),
    FailureKind.RATE_LIMITED: (429, "rate_limit_error", "rate_limit_exceeded"),
    FailureKind.BUSY: (429, "rate_limit_error", "too_many_calls"),
    FailureKind.TIMEOUT: (504, "server_error", "upstream_timeout"),
}
_BY_CAUSE: Final[Mapping[Cause | None, tuple[int, str, str]]] = {
    Cause.QUOTA: (429, "insufficient_quota", "insufficient_quota"),
    Cause.OVERLOADED: (503, "server_error", "server_is_overloaded"),
}
_COUNT: Final = r"\(?(?<![\w.-])([\d,]{3,})(?![\w-])"
_MOST: Final = re.compile(
    rf"(?:context (?:length|window|size)|prompt length|allowed|limit|maximum|at most|up to)"
    rf"(?: tokens)?(?: is| of| \()*[:=]? *{_COUNT}|> {_COUNT} maximum",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(_COUNT)
_WAITING: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_SHOWN: Final = 3
_OURS: Final = (502, "server_error", "upstream_error")
_CALLERS: Final = frozenset({FailureKind.BAD_REQUEST, FailureKind.TOO_LONG, FailureKind.REFUSED})
_KEPT: Final = frozenset({400, 422})
"""Statuses of the provider's that say to the caller what ours by kind would not."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure, and whose it is."""

    target: Target
    failure: UpstreamFailure


def upstream_error(reported: Failed, others: Sequence[Failed] = ()) -> UpstreamError:
    """Return the error for a failure; `others` go into its metadata.

    A provider that refuses our key is a 502: it is not the caller's key that is wrong.
    """
    failure = reported.failure
    status, type_, code = _BY_KIND.get(failure.kind, _OURS)
    cause = failure.cause
    if cause in _BY_CAUSE:
        status, type_, code = _BY_CAUSE[cause]
    if failure.refusal is not None:
        code = "content_filter" if CONTENT in failure.refusal.names else "unsupported_parameter"
    if failure.status is not None and (
        (failure.kind in _CALLERS and failure.status in _KEPT)
        or (failure.kind is FailureKind.BAD_REQUEST and failure.details)
    ):
        status = failure.status
    metadata: dict[str, Any] = {**_described(reported), "previous_errors": [_described(one) for one in others]}
    metadata.pop("message")
    headers = {}
    if status in _WAITING and failure.retry_after_s is not None:
        headers["retry-after"] = retry_after(failure.retry_after_s)
    message = failure.words if type_ == _INVALID else _sentence(reported, len(others) + 1)
    return UpstreamError(
        message,
        status=status,
        type=type_,
        code=code,
        param=failure.param,
        headers=headers,
        metadata=metadata,
        details=failure.details,
        cause=cause,
        tokens=_tokens(reported) if cause is Cause.TOO_LONG else None,
    )


def _tokens(reported: Failed) -> Tokens | None:
    """Return the lengths that a provider names in its own words; what it does not say is in the catalog, or unknown.

    >>> from router_model.serving.providers.provider import Kind, Provider
    >>> target = Target("m", Provider("p", Kind.OPENAI, "http://x"), "m")
    >>> said = "maximum context length is 4096 tokens. However, you requested 5000 tokens (4900 in the messages)"
    >>> _tokens(Failed(target, UpstreamFailure(FailureKind.TOO_LONG, said)))
    Tokens(needed=5000, most=4096)
    """
    message = reported.failure.message
    found = _MOST.search(message)
    card = reported.target.card
    most = _number(found[1] or found[2]) if found else None if card is None else card.context_window
    if not most:
        return None
    # Whoever says too much is right: the prompt is longer than the window by at least one token.
    return Tokens(max(most + 1, *map(_number, _NUMBER.findall(message)), most + 1), most)


def _number(digits: str) -> int:
    return int(digits.replace(",", "") or 0)


def unavailable(targets: Sequence[Target]) -> UpstreamError:
    """Return the error of a call whose time was up before any candidate could be asked."""
    names = list(dict.fromkeys(target.name for target in targets))
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    message = f"{shown}: paused after failures, and the call's time was up before one of them could be "
    "called; try again"
    return UpstreamError(message, status=503, code="upstream_unavailable", headers={"retry-after": retry_after(1.0)})


def retry_after(seconds: float) -> str:
    """Return a ``Retry-After`` header, in whole seconds: 1 or more, and no more than we wait ourselves.

    >>> retry_after(0.2), retry_after(2.1), retry_after(999_999)
    ('1', '3', '300')
    """
    return retry_after_text(min(seconds, LONGEST_TOLD_S))


def _sentence(reported: Failed, n_failures: int) -> str:
    tried = "" if n_failures == 1 else f" ({n_failures} attempts failed)"
    return f"{reported.target.name} did not answer: {reported.failure.words}{tried}"


def _described(failed: Failed) -> dict[str, Any]:
    failure = failed.failure
    return {
        "provider": failed.target.provider.name,
        "model": failed.target.model,
        "error_type": failure.error_type,
        "provider_code": failure.code,
        "status": failure.status,
        "message": failure.words,
    }
