"""A typed client of the decision service, synchronous and asynchronous.

It needs ``httpx2`` (extra ``serve``) and nothing else of the service: neither FastAPI nor numpy is imported.

>>> import router_model.serving.client
>>> router_model.serving.client.RouterClient("http://127.0.0.1:8484", "rk-…".replace("…", "1"))
RouterClient('http://127.0.0.1:8484')
"""

from router_model.install_line import install_line

try:
    from router_model.serving.client.async_client import AsyncRouterClient
    from router_model.serving.client.sync_client import RouterClient
except ModuleNotFoundError as exc:
    if exc.name != "httpx2":
        raise
    raise ImportError(f"router_model.serving.client needs httpx2: {install_line('serve')} (or httpx2 alone)") from exc

from router_model.serving.client.answer_values import ListedModel, Receipt, RouteAnswer, RouteStep
from router_model.serving.client.client_errors import (
    AnsweredError,
    AuthenticationError,
    BadCallError,
    BadRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RouterClientError,
    ServerError,
    UnreachableError,
    UnreadableAnswerError,
)
from router_model.serving.client.retries import Retries

__all__ = [
    "AnsweredError",
    "AsyncRouterClient",
    "AuthenticationError",
    "BadCallError",
    "BadRequestError",
    "ListedModel",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "Receipt",
    "Retries",
    "RouteAnswer",
    "RouteStep",
    "RouterClient",
    "RouterClientError",
    "ServerError",
    "UnreachableError",
    "UnreadableAnswerError",
]
