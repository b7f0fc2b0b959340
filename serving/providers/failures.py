"""The ways in which a call of a provider can fail; `router_model.serving.forwarding` decides what to do then."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from router_model.errors import RouterModelError
from router_model.serving.common.service_errors import Cause


class FailureKind(StrEnum):
    """The kind of a failure, as far as the next step depends on it."""

    CONNECTION = "connection"
    """No connection, or it broke before an answer began."""
    TIMEOUT = "timeout"
    """A deadline passed: to connect, to the first token, or between two pieces."""
    SERVER = "server"
    """5xx, 408, 409, 425, 499, a 4xx about the HTTP of the call (405, 415 …), or an error inside a 200."""
    RATE_LIMITED = "rate_limited"
    """429, or Anthropic's 529."""
    KEY = "key"
    """401, 402, or words that say so: the provider does not take this key, or its account has no money."""
    MODEL_GONE = "model_gone"
    """404, 410, or a 400 that says that the model does not exist."""
    TOO_LONG = "too_long"
    """The prompt is longer than the model's context; 413."""
    REFUSED = "refused"
    """This model does not take the request at this provider: its content, a parameter, tools, a region.

    Another model may, and the key is in order."""
    BAD_REQUEST = "bad_request"
    """400, 422 and other 4xx: the caller's to mend."""
    MALFORMED = "malformed"
    """A 2xx without a usable answer: HTML, a wrong content type, invalid JSON, or an empty body."""
    SHUTDOWN = "shutdown"
    """The service had to end before the answer did; neither the provider nor the caller failed."""
    TRUNCATED = "truncated"
    """A stream that ended without saying that it had ended."""
    BUSY = "busy"
    """Nothing was sent: too many calls of this caller's, or of all, are under way at the provider already."""


_BY_STATUS: Final = {
    **dict.fromkeys((401, 402), FailureKind.KEY),
    403: FailureKind.REFUSED,  # a prompt, a model, a region; if it is the key, the words say so
    **dict.fromkeys((404, 410), FailureKind.MODEL_GONE),
    413: FailureKind.TOO_LONG,
    **dict.fromkeys((408, 409, 425, 499), FailureKind.SERVER),
    # About how the service calls (a wrong base_url, a proxy in front), not about what the caller asks.
    **dict.fromkeys((405, 406, 411, 415, 417, 421, 426, 431), FailureKind.SERVER),
    451: FailureKind.REFUSED,
    429: FailureKind.RATE_LIMITED,
}


def kind_of_status(status: int) -> FailureKind:
    """Return the meaning of an HTTP error status, if a provider says no more.

    Examples
    --------
    >>> [str(kind_of_status(status)) for status in (302, 400, 403, 429, 500)]
    ['malformed', 'bad_request', 'refused', 'rate_limited', 'server']
    """
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status < HTTPStatus.BAD_REQUEST:
        return FailureKind.MALFORMED  # a redirect: nothing is followed
    return FailureKind.SERVER if status >= HTTPStatus.INTERNAL_SERVER_ERROR else FailureKind.BAD_REQUEST


CONTENT: Final = "content"
"""The name of a refusal by a content filter."""
_CAUSES: Final = {FailureKind.TOO_LONG: Cause.TOO_LONG, FailureKind.MODEL_GONE: Cause.UNKNOWN_MODEL}
_OVERLOADED: Final = frozenset({498, 503, 529})
"""HTTP statuses of providers without capacity; 498 is Groq's."""
_CAPACITY: Final = frozenset({"overloaded_error", "server_is_overloaded", "engine_overloaded_error", "unavailable"})
_QUOTA: Final = re.compile(r"quota|credit|billing|balance|payment|budget|arrear|overdue", re.IGNORECASE)
"""Codes of a key that is right, and whose account is used up."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The parts of a request that a model does not accept, as far as its provider says it.

    Attributes
    ----------
    names : of `router_model.serving.formats.fitting.parameters`, or `CONTENT`; empty if nothing that is known is
    named
    evidence : the words that say so; empty if a code does
    of_value : whether only the value is refused
    """

    names: tuple[str, ...]
    evidence: str = ""
    of_value: bool = False


class UpstreamFailure(RouterModelError):  # noqa: N818  (an outcome of an attempt; whether it is an error is decided later)
    """Raise when a provider does not answer as asked.

    Attributes
    ----------
    kind : FailureKind
    message : what the provider said, or what was wrong with it; never a key
    status : HTTP status, None if none came
    code, type, param : as the provider named them
    retry_after_s : seconds the provider asked to wait, as it said it: it may be a year
    of_key : of a rate limit: whether the provider says that it holds for all models of the key
    refusal : Refusal or None
        Of `FailureKind.REFUSED`, where the provider says what it refuses.
    details : Anthropic's ``error.details``; empty if there are none
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        type: str | None = None,  # noqa: A002  (the field's name in OpenAI's errors)
        param: str | None = None,
        retry_after_s: float | None = None,
        of_key: bool = False,
        refusal: Refusal | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.code = code
        self.type = type
        self.param = param
        self.retry_after_s = retry_after_s
        self.of_key = of_key
        self.refusal = refusal
        self.details = dict(details or {})

    @property
    def error_type(self) -> str:
        """The text for the log: the kind, and for a refusal the refused part, too (``refused:tools``)."""
        names = self.refusal.names if self.refusal is not None else ()
        return f"{self.kind.value}:{names[0].partition('=')[0]}" if names else self.kind.value

    @property
    def cause(self) -> Cause | None:
        """Why, if clients act upon it.

        >>> UpstreamFailure(FailureKind.KEY, "no money", status=402).cause.value
        'quota'
        """
        names = {name.lower() for name in (self.code, self.type) if name}
        if self.kind in {FailureKind.RATE_LIMITED, FailureKind.SERVER}:
            return Cause.OVERLOADED if self.status in _OVERLOADED or names & _CAPACITY else None
        if self.kind is FailureKind.KEY:
            is_quota = self.status == HTTPStatus.PAYMENT_REQUIRED or any(_QUOTA.search(name) for name in names)
            return Cause.QUOTA if is_quota else None
        if self.refusal is not None and CONTENT in self.refusal.names:
            return Cause.CONTENT
        return _CAUSES.get(self.kind)

    @property
    def words(self) -> str:
        """The provider's words for the caller, save those about our key."""
        if self.kind is not FailureKind.KEY:
            return self.message
        is_quota = self.cause is Cause.QUOTA
        return "the router's quota at the provider is used up" if is_quota else "the provider refused the router's key"
