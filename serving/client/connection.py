"""The service's address and key, and how a call becomes an HTTP request. The key is in the header only."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

import httpx2

from router_model.serving.client.calls import Call
from router_model.serving.client.client_errors import BadCallError
from router_model.serving.client.exchange import Got, Lost


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the service is, and as whom it is asked.

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
            raise BadCallError(f"base_url is {base_url!r}, which is no URL: {exc}") from exc
        if url.scheme not in {"http", "https"} or not url.host:
            raise BadCallError(f"base_url is {base_url!r}; expected http:// or https:// and a host")
        if url.userinfo:
            raise BadCallError("base_url has a user or a password in it; pass the key as api_key")
        if api_key is not None and not re.fullmatch(r"[!-~]+", api_key):
            raise BadCallError("api_key has a character that no HTTP header may have (not shown), or is empty")
        return cls(str(url).removesuffix("/").removesuffix("/v1"), api_key)

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of an HTTP client."""
        key = {"authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {"base_url": self.address, "headers": {"user-agent": "router-model-client", **key}}

    def request(self, call: Call[Any], timeout_s: float) -> dict[str, Any]:
        """Return what is sent."""
        sent: dict[str, Any] = {"method": call.method, "url": call.path, "timeout": timeout_s, "headers": call.headers}
        if call.body is None:
            return sent
        try:
            content = json.dumps(call.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except (TypeError, ValueError) as exc:
            raise BadCallError(f"the body cannot be sent as JSON: {exc}") from exc
        return {**sent, "content": content, "headers": {**call.headers, "content-type": "application/json"}}

    def got(self, response: httpx2.Response) -> Got:
        """Return an answer, in which the key is no more, should something have echoed it."""
        content = response.content
        if self.api_key:
            content = content.replace(self.api_key.encode(), b"[api key]")
        return Got(response.status_code, response.headers, content)

    def lost(self, error: httpx2.RequestError | TimeoutError, timeout_s: float) -> Lost:
        """Say in a few words why there is no answer."""
        if isinstance(error, TimeoutError | httpx2.TimeoutException):
            return Lost(f"nothing within {timeout_s:.3g} s")
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Lost(reason.replace(self.api_key, "[api key]") if self.api_key else reason)
