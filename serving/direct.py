"""The application's front: requests of known endpoints go to their handlers at once.

Starlette passes a request through eight layers on its way to a handler and back, which is a fifth of the event loop's
time under load (docs/decisions/0011). The layers are FastAPI's, for errors, dependencies and telemetry, which handlers
here do without; they still answer what is no endpoint's exact path: paths with parameters, documents, 404 and 405.
"""

from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from router_model.serving.access.guard import Guard
from router_model.serving.api.endpoint import DirectRoute
from router_model.serving.settings import Settings


class DirectApp(FastAPI):
    """A FastAPI application whose exact paths are looked up, behind a `Guard`.

    Parameters
    ----------
    settings : Settings
        Of the guard.
    **options : as FastAPI has them
    """

    def __init__(self, settings: Settings, **options: Any) -> None:
        super().__init__(**options)
        self._guard = Guard(self._dispatch, settings)
        self._direct: dict[tuple[str, str], DirectRoute] = {}

    def add_direct(self, route: DirectRoute) -> None:
        """Look a route up by its methods and path, which has no parameters."""
        self._direct.update({(method, route.path): route for method in route.methods or ()})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._guard(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._direct.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await super().__call__(scope, receive, send)
            return
        scope.update(app=self, route=route, endpoint=route.endpoint, path_params={})
        response = await route.handler(Request(scope, receive, send))
        await response(scope, receive, send)
