"""Endpoints for operators and orchestrators: health, metrics, reload and status."""

from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from router_model.serving.api.answer_models import HealthAnswer, ReadyAnswer, ReloadAnswer, StatusAnswer
from router_model.serving.api.parts import Parts, parts_of
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import NotFoundError, ReloadRefusedError, SettingsError
from router_model.serving.engine.engine import Engine
from router_model.serving.http_edge.endpoint import Endpoint
from router_model.serving.http_edge.json_response import json_response
from router_model.serving.monitoring.telemetry import METRICS_TYPE

AT_ONCE: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_OK: Final = 200
_UNREADY: Final = 503


class AfterTheStart:
    """Middleware that lets requests wait until the router is loaded; those of `AT_ONCE` are answered at once.

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


async def healthz(request: Request) -> Response:
    """Answer that the process is alive; nothing else is checked."""
    del request
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Answer whether requests should be sent here: a router is loaded, and no shutdown has begun.

    Of several routers one is enough, as the others must not be without it; `routers` says which ones are loaded.

    A service that is not ready for want of a router still answers with its default plan. `log_writable` is said and
    does not count: decisions are made on a full disk, too.
    """
    parts = parts_of(request)
    ready, checks = is_ready(parts), readiness(parts)
    answer = {"ready": ready, "checks": checks, "reason": unready_reason(parts)}
    if len(parts.engines) > 1:
        answer["routers"] = {name: engine.ready for name, engine in parts.engines.items()}
    return json_response(answer, status=_OK if ready else _UNREADY)


def readiness(parts: Parts) -> dict[str, bool]:
    """Return the description of the service's state."""
    return {
        "artifact_loaded": not parts.engines.unready,
        "log_writable": parts.log.writable,
        "not_draining": not parts.draining,
    }


def is_ready(parts: Parts) -> bool:
    """Tell whether requests should be sent here."""
    return parts.started.is_set() and parts.engines.ready and not parts.draining


def unready_reason(parts: Parts) -> str | None:
    """Say why requests should not be sent here, or what some of them do without; None if all is well.

    Anybody may read it, so it names no path.
    """
    if parts.draining:
        return "shutting down: requests that are under way are finished"
    if not parts.started.is_set():
        return "starting: the router is being loaded"
    unready = parts.engines.unready
    if not unready:
        return None
    what = "no router: the artifact" if len(unready) == len(parts.engines) else f"the artifact of {', '.join(unready)}"
    return f"{what} was refused; the lines of the service, and GET /admin/status, say why"


async def metrics(request: Request) -> Response:
    """Return the metrics of all workers in Prometheus' text format."""
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.METRICS, Role.ADMIN)
    parts.update_gauges()
    return Response(parts.telemetry.exposition(), media_type=METRICS_TYPE)


async def reload(request: Request) -> Response:
    """Load the artifact while the old one serves, and swap them if it is sound; also read the providers file again.

    Of several routers all are loaded anew, or the one that `?router=NAME` names; one that is refused keeps none back.

    If there are several workers, the one that answers reloads at once; the others follow within `reload_every_s`, as
    all do without being asked.
    """
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.ADMIN)
    only = request.query_params.get("router")
    if only is not None and only not in parts.engines:
        raise NotFoundError(
            f"the service has no router {only[:80]!r}; it has {', '.join(parts.engines)}", param="router"
        )
    # The providers come first: if their file is refused, the router has not been replaced yet.
    if parts.proxy is not None:
        try:
            await parts.proxy.reload()
        except SettingsError as exc:
            raise ReloadRefusedError(f"{exc}; the providers read before stay in use") from exc
    reloaded = await parts.engines.reload(only)
    shown = reloaded.get(parts.engines.default_name) or next(iter(reloaded.values()))
    changed = any(one.changed for one in reloaded.values())
    answer = {"object": "routing.reload", "artifact": shown.artifact, "changed": changed}
    if len(parts.engines) > 1:
        routers = {name: {"artifact": one.artifact, "changed": one.changed} for name, one in reloaded.items()}
        answer["routers"] = routers
    return json_response(answer)


async def status(request: Request) -> Response:
    """Return what this worker serves, and how its log does."""
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.ADMIN)
    engines = parts.engines
    answer = {
        "object": "routing.status",
        "ready": is_ready(parts),
        **_status_of(engines.default),
        "log": asdict(parts.log.stats) | {"writable": parts.log.writable},
        "proxy": None if parts.proxy is None else parts.proxy.status,
    }
    if len(engines) > 1:
        answer["routers"] = {name: _status_of(engine) for name, engine in engines.items()}
    return json_response(answer)


def _status_of(engine: Engine) -> dict[str, Any]:
    router = engine.router
    return {
        "artifact": None if router is None else router.artifact.content_hash,
        "policy_version": engine.policy_version,
        "models": () if router is None else router.models,
        "engine": dict(engine.status),
    }


_ROUTER: Final = {
    "name": "router",
    "in": "query",
    "required": False,
    "description": "The router to load anew; all of them without it.",
    "schema": {"type": "string"},
}
ENDPOINTS: Final = (
    Endpoint("GET", "/healthz", healthz, "Alive", HealthAnswer),
    Endpoint("GET", "/readyz", readyz, "Ready", ReadyAnswer, also=(_UNREADY,)),
    Endpoint("GET", "/metrics", metrics, "Metrics", None, roles=(Role.METRICS, Role.ADMIN)),
    Endpoint(
        "POST",
        "/admin/reload",
        reload,
        "Load the artifact anew",
        ReloadAnswer,
        roles=(Role.ADMIN,),
        errors=(NotFoundError, ReloadRefusedError),
        parameters=(_ROUTER,),
    ),
    Endpoint("GET", "/admin/status", status, "What is served", StatusAnswer, roles=(Role.ADMIN,)),
)
