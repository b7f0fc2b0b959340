"""Let requests wait until the router is loaded; health, readiness and metrics are answered at once."""

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from router_model.serving.api.parts import Parts

AT_ONCE: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class AfterTheStart:
    """Middleware.

    Parameters
    ----------
    app : ASGI application
    parts : Parts
        Their start may still be under way, which takes a fraction of a second.
    """

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self.app = app
        self._started = parts.started

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, at the latest when the start has ended."""
        if not self._started.is_set() and scope["type"] == "http" and scope["path"] not in AT_ONCE:
            await self._started.wait()
        await self.app(scope, receive, send)
