"""The part that both clients share: the address, the key, the limits, and turning calls into requests."""

import json
import logging
import re
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import httpx2

from router_model.serving.client.answer_values import RouteAnswer
from router_model.serving.client.calls import Call
from router_model.serving.client.client_errors import (
    BadCallError,
    RateLimitError,
    RouterClientError,
    ServerError,
    UnreachableError,
)
from router_model.serving.client.exchange import Got, Limits, Lost, Send, Wait, exchange
from router_model.serving.client.retries import Retries

Answer = TypeVar("Answer")
logger = logging.getLogger(__name__)

FAILS_OPEN: Final = (UnreachableError, RateLimitError, ServerError)
"""The errors that a caller's own fallback replaces; a refusal is not among them, because it shows a mistake."""


class Core:
    """Everything that both clients share; only the transport's call differs.

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
        Attempts after the first, if the connection fails, times out, or the status is 429, 502, 503 or 504.
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


@dataclass(frozen=True, slots=True)
class Connection:
    """The service's address, and the key that it is asked with.

    Attributes
    ----------
    address : str
        Scheme, host, port and path; nothing secret.
    api_key : str or None
    """

    address: str
    api_key: str | None = field(repr=False)

    @classmethod
    def checked(cls, base_url: str, api_key: str | None) -> "Connection":
        """Refuse what could never work, or would show the key."""
        try:
            url = httpx2.URL(base_url.rstrip("/"))
        except httpx2.InvalidURL as exc:
            raise BadCallError(f"base_url is {base_url!r}, which is not a valid URL: {exc}") from exc
        if url.scheme not in {"http", "https"} or not url.host:
            raise BadCallError(f"base_url is {base_url!r}; expected http:// or https:// and a host")
        # `__repr__` and error messages show the address, so it may hold nothing secret.
        if url.userinfo:
            raise BadCallError("base_url contains a user or a password; pass the key as api_key")
        # Refused here and not by the HTTP library, because no message may have the key in it.
        if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
            raise BadCallError("api_key is empty, or contains a character that HTTP headers cannot carry (not shown)")
        # The paths of calls begin with /v1, so an address that ends in it would have it twice.
        return cls(str(url).removesuffix("/").removesuffix("/v1"), api_key)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of an HTTP client."""
        key = {"authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {"base_url": self.address, "headers": {"user-agent": "router-model-client", **key}}

    def request(self, call: Call[Any], timeout_s: float) -> dict[str, Any]:
        """Return the request to send."""
        sent: dict[str, Any] = {"method": call.method, "url": call.path, "timeout": timeout_s, "headers": call.headers}
        if call.body is None:
            return sent
        try:
            content = json.dumps(call.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError) as exc:
            raise BadCallError(f"the body cannot be sent as JSON: {exc}") from exc
        return {**sent, "content": content, "headers": {**call.headers, "content-type": "application/json"}}

    def got(self, response: httpx2.Response, content: bytes) -> Got:
        """Return an answer with the key masked, in case something echoed it."""
        if self.api_key:
            content = content.replace(self.api_key.encode(), b"[api key]")
        return Got(response.status_code, response.headers, content)

    def lost(self, error: httpx2.RequestError | TimeoutError, timeout_s: float) -> Lost:
        """Describe in a few words why no answer came."""
        if isinstance(error, TimeoutError | httpx2.TimeoutException):
            return Lost(f"no answer within {timeout_s:.3g} s")
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Lost(reason.replace(self.api_key, "[api key]") if self.api_key else reason)
