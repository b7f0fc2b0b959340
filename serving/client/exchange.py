"""One call, from the first attempt to its answer or error; the clients do the input and output.

`exchange` is a generator: it yields what is to be done, `Send` or `Wait`, and is sent what came of it. The two
clients differ only in how they do these two things.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from router_model.serving.client.calls import Call
from router_model.serving.client.client_errors import AnsweredError, UnreachableError, UnreadableAnswerError, read_error
from router_model.serving.client.retries import RETRIED_STATUSES, Retries

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Send:
    """Send the call's request; answer with `Got` or `Lost`.

    Attributes
    ----------
    timeout_s : float
    """

    timeout_s: float


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Got:
    """An HTTP answer came."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came, for this `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a call may take.

    Attributes
    ----------
    timeout_s : float
        Of one attempt.
    deadline_s : float
        Of the whole call, waiting between attempts included.
    retries : Retries
    """

    timeout_s: float
    deadline_s: float
    retries: Retries


def exchange(
    call: Call[Answer], limits: Limits, *, address: str, clock: Callable[[], float]
) -> Generator[Send | Wait, Got | Lost | None, Answer]:
    """Try a call until it is answered, refused, or out of attempts or time.

    Parameters
    ----------
    call : Call
    limits : Limits
    address : str
        Of the service, for messages.
    clock : callable
        Monotonic seconds.

    Raises
    ------
    UnreachableError
        If no attempt was answered.
    AnsweredError
        If the service said no.
    UnreadableAnswerError
        If the answer is not one of a decision service.
    """
    ends_at = clock() + limits.deadline_s
    n_retries = 0
    while True:
        # The time may have run out during the wait, and a timeout has to be positive.
        came = yield Send(min(limits.timeout_s, max(ends_at - clock(), 0.001)))
        if isinstance(came, Got) and came.status not in RETRIED_STATUSES:
            return read(call, came)
        failure = _failure(came, address, n_retries + 1)
        wait_s = limits.retries.wait_s(n_retries, getattr(failure, "retry_after_s", None))
        # A wait that ends after the deadline is not begun: nothing could be sent after it.
        if n_retries >= limits.retries.limit or wait_s >= ends_at - clock():
            raise failure
        n_retries += 1
        yield Wait(wait_s)


def read(call: Call[Answer], got: Got) -> Answer:
    """Return what an answer says, or raise what it complains of."""
    if got.status >= 400:  # noqa: PLR2004
        raise read_error(got.status, _json(got), got.headers)
    # The service never redirects, so something else has answered.
    if got.status >= 300:  # noqa: PLR2004
        raise UnreadableAnswerError(f"{call.path} answered with a redirect ({got.status}); check the base URL")
    body = _json(got)
    if not isinstance(body, Mapping):
        raise UnreadableAnswerError(f"{call.path} answered with {_shown(got)}; expected a JSON object")
    return call.read(body)


def _failure(came: Got | Lost | None, address: str, n_attempts: int) -> AnsweredError | UnreachableError:
    if isinstance(came, Got):
        return read_error(came.status, _json(came), came.headers)
    reason = came.reason if came is not None else "nothing was sent"
    attempts = "1 attempt" if n_attempts == 1 else f"{n_attempts} attempts"
    return UnreachableError(f"{address} did not answer ({attempts}): {reason}", n_attempts=n_attempts)


def _json(got: Got) -> Any:
    try:
        return json.loads(got.content)
    except ValueError:
        return None  # what it means depends on the status: the callers say it


def _shown(got: Got) -> str:
    return repr(got.content[:80].decode("utf-8", "replace"))
