"""The errors that a client raises.

RouterClientError(RouterModelError)
├── BadCallError(ValueError)      the call makes no sense; nothing was sent
├── UnreachableError              no answer: refused, dropped, overdue
├── UnreadableAnswerError         an answer, but not one of this service's
└── AnsweredError                 the service said no; `message` is its own text
    ├── BadRequestError           400, 413, 422 and other 4xx
    ├── AuthenticationError       401
    ├── PermissionDeniedError     403
    ├── NotFoundError             404, also: constraints left no model
    ├── RateLimitError            429
    └── ServerError               5xx

No message, and no ``repr``, has the API key in it.
"""

from collections.abc import Mapping
from typing import Any

from router_model.errors import RouterModelError
from router_model.serving.common.retry_after import retry_after_s as read_retry_after


class RouterClientError(RouterModelError):
    """Base of the tree."""


class BadCallError(RouterClientError, ValueError):
    """Raise when a call makes no sense; nothing was sent."""


class UnreachableError(RouterClientError):
    """Raise when no answer came in time.

    Attributes
    ----------
    n_attempts : int
    """

    def __init__(self, message: str, *, n_attempts: int) -> None:
        super().__init__(message)
        self.n_attempts = n_attempts


class UnreadableAnswerError(RouterClientError):
    """Raised if the answer did not come from a decision service, or lacks a part."""


class AnsweredError(RouterClientError):
    """Raise when the service said no.

    Attributes
    ----------
    status : int
        HTTP status.
    message : str
        As the service said it.
    type, code, param : str or None
        Of the OpenAI-shaped error.
    metadata : mapping
        What stood under ``error.metadata``.
    retry_after_s : float or None
        When the service wants to be asked again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str | None = None,  # noqa: A002 - the name in the wire format
        code: str | None = None,
        param: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{status}: {message}" + (f" ({code})" if code else ""))
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s


class BadRequestError(AnsweredError):
    """Raise when the service refused the body, a header or a knob."""


class AuthenticationError(AnsweredError):
    """Raise when the key is missing or unknown to the service."""


class PermissionDeniedError(AnsweredError):
    """Raise when the key lacks the role."""


class NotFoundError(AnsweredError):
    """Raised if the decision or path does not exist, or constraints left no model."""


class RateLimitError(AnsweredError):
    """Raise when the key has used up its share."""


class ServerError(AnsweredError):
    """Raise when the service failed, is starting or draining."""


_BY_STATUS: Mapping[int, type[AnsweredError]] = {
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: RateLimitError,
}


def error_class(status: int) -> type[AnsweredError]:
    """Return the error that a status is raised as.

    Examples
    --------
    >>> error_class(404).__name__, error_class(413).__name__, error_class(503).__name__
    ('NotFoundError', 'BadRequestError', 'ServerError')
    """
    return _BY_STATUS.get(status, ServerError if status >= 500 else BadRequestError)  # noqa: PLR2004


def read_error(status: int, body: Any, headers: Mapping[str, str] | None = None) -> AnsweredError:
    """Map an OpenAI-shaped error; of any other answer, the status alone tells.

    Examples
    --------
    >>> read_error(404, {"error": {"message": "no model left", "code": "no_candidate", "param": "router.allow"}})
    NotFoundError('404: no model left (no_candidate)')
    """
    error = body.get("error") if isinstance(body, Mapping) else None
    said: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
    message = str(said.get("message") or "the service answered without saying why")
    known = {name: _optional_text(said.get(name)) for name in ("type", "code", "param")}
    metadata = said.get("metadata")
    return error_class(status)(
        status,
        message,
        **known,
        metadata=metadata if isinstance(metadata, Mapping) else None,
        retry_after_s=read_retry_after(headers or {}) or None,  # 0 says nothing: the client backs off as without it
    )


def _optional_text(value: Any) -> str | None:
    return None if value is None else str(value)
