"""What both clients are made of, the transport call excepted."""

import logging
import time
from collections.abc import Generator, Sequence
from typing import Final, TypeVar

from router_model.serving.client.answer_values import RouteAnswer
from router_model.serving.client.calls import Call
from router_model.serving.client.client_errors import RateLimitError, RouterClientError, ServerError, UnreachableError
from router_model.serving.client.connection import Connection
from router_model.serving.client.exchange import Got, Limits, Lost, Send, Wait, exchange
from router_model.serving.client.retries import Retries

Answer = TypeVar("Answer")
logger = logging.getLogger(__name__)

FAILS_OPEN: Final = (UnreachableError, RateLimitError, ServerError)
"""What a caller's own fallback stands in for; what the service refuses is a mistake to be seen."""


class Core:
    """What both clients are made of, the transport call excepted.

    Parameters
    ----------
    base_url : str
        The service's address, without ``/v1``.
    api_key : str or None
        None: of a service that runs without keys.
    timeout : float
        Seconds that one attempt may take.
    deadline : float
        Seconds that a whole call may take, retries and their waits included.
    retries : int or Retries
        Attempts after the first, where the connection fails, times out, or the status is 429, 502, 503 or 504.
    """

    def __init__(
        self, base_url: str, api_key: str | None, *, timeout: float, deadline: float, retries: int | Retries
    ) -> None:
        self._connection = Connection.checked(base_url, api_key)
        self._limits = Limits(timeout, deadline, retries if isinstance(retries, Retries) else Retries(limit=retries))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._connection.address!r})"

    def _exchange(
        self, call: Call[Answer], limits: Limits | None = None
    ) -> Generator[Send | Wait, Got | Lost | None, Answer]:
        address = self._connection.address
        return exchange(call, limits or self._limits, address=address, clock=time.monotonic)

    def _once(self) -> Limits:
        return Limits(self._limits.timeout_s, self._limits.deadline_s, Retries(limit=0))


def local_answer(fallback: str | Sequence[str] | None, why: RouterClientError) -> RouteAnswer:
    """Answer with the caller's own models, or raise what there is to answer for."""
    if not fallback:
        raise why
    models = [fallback] if isinstance(fallback, str) else list(fallback)
    logger.warning("routing to the fallback %s: %s", models[0], why)
    return RouteAnswer.local(models, str(why))
