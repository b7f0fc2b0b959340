"""Tell whose fault a failed decision is: the caller's, who gets an error, or ours, which gets a default plan."""

import re
from collections.abc import Container

from router_model.errors import RequestError
from router_model.features import PromptError
from router_model.goal import KNOBS
from router_model.screening.screening import NoCandidateError
from router_model.serving.common.service_errors import (
    EmptyPlanError,
    InvalidRequestError,
    ServiceError,
    Tokens,
    TooLongError,
)

_LIMITS = ("max_completion_tokens", "max_tokens")


def callers_error(exc: Exception) -> ServiceError | None:
    """Return the error for the caller, or None if the caller is not at fault.

    >>> callers_error(RequestError("target_success=7; expected a probability between 0 and 1")).param
    'target_success'
    >>> callers_error(PromptError("max_tokens=0; expected a whole number, 1 or more, or leave it out")).param
    'max_tokens'
    >>> callers_error(ValueError("array must not contain infs or NaNs")) is None
    True
    """
    if isinstance(exc, InvalidRequestError | EmptyPlanError | TooLongError):
        return exc
    if isinstance(exc, NoCandidateError):
        excluded = [{"model": one.model, "reason": one.reason, "detail": one.detail} for one in exc.excluded]
        metadata = {"excluded": excluded, "relax": exc.relax}
        if exc.room is not None:
            return TooLongError(str(exc), param="messages", metadata=metadata, tokens=Tokens(*exc.room))
        return EmptyPlanError(str(exc), param=exc.relax, metadata=metadata)
    # A `PromptError` names its field only in its text; any other text is about the messages.
    if isinstance(exc, PromptError):
        return InvalidRequestError(str(exc), param=_named(str(exc), _LIMITS) or "messages")
    if isinstance(exc, RequestError):
        return InvalidRequestError(str(exc), param=_named(str(exc), KNOBS) or "router")
    return None


def raise_callers_error(exc: Exception) -> None:
    """Raise the error for the caller, if the caller is at fault."""
    error = callers_error(exc)
    if error is not None:
        raise error from exc


def _named(message: str, fields: Container[str]) -> str | None:
    """Return the field that a message begins with, if it is one of `fields`."""
    found = re.match(r"\w+", message)
    return found[0] if found and found[0] in fields else None
