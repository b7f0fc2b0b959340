"""Endpoints for operators and orchestrators: health, metrics, reload and status."""

from dataclasses import asdict
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from router_model.serving.api.answer_models import HealthAnswer, ReadyAnswer, ReloadAnswer, StatusAnswer
from router_model.serving.api.parts import Parts, parts_of
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import ReloadRefusedError, SettingsError
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

    A service that is not ready for want of a router still answers with its default plan. `log_writable` is said and
    does not count: decisions are made on a full disk, too.
    """
    parts = parts_of(request)
    ready, checks = is_ready(parts), readiness(parts)
    answer = {"ready": ready, "checks": checks, "reason": unready_reason(parts)}
    return json_response(answer, status=_OK if ready else _UNREADY)


def readiness(parts: Parts) -> dict[str, bool]:
    """Return the description of the service's state."""
    return {
        "artifact_loaded": parts.engine.ready,
        "log_writable": parts.log.writable,
        "not_draining": not parts.draining,
    }


def is_ready(parts: Parts) -> bool:
    """Tell whether requests should be sent here."""
    return parts.started.is_set() and parts.engine.ready and not parts.draining


def unready_reason(parts: Parts) -> str | None:
    """Say why requests should not be sent here; None if they should. Anybody may read it, so it names no path."""
    if parts.draining:
        return "shutting down: requests that are under way are finished"
    if not parts.started.is_set():
        return "starting: the router is being loaded"
    if parts.engine.ready:
        return None
    return "no router: the artifact was refused; the lines of the service, and GET /admin/status, say why"


async def metrics(request: Request) -> Response:
    """Return the metrics of all workers in Prometheus' text format."""
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.METRICS, Role.ADMIN)
    parts.update_gauges()
    return Response(parts.telemetry.exposition(), media_type=METRICS_TYPE)


async def reload(request: Request) -> Response:
    """Load the artifact while the old one serves, and swap them if it is sound; also read the providers file again.

    If there are several workers, the one that answers reloads at once; the others follow within `reload_every_s`.
    """
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.ADMIN)
    # The providers come first: if their file is refused, the router has not been replaced yet.
    if parts.proxy is not None:
        try:
            await parts.proxy.reload()
        except SettingsError as exc:
            raise ReloadRefusedError(f"{exc}; the providers read before stay in use") from exc
    reloaded = await parts.engine.reload()
    return json_response({"object": "routing.reload", "artifact": reloaded.artifact, "changed": reloaded.changed})


async def status(request: Request) -> Response:
    """Return what this worker serves, and how its log does."""
    parts = parts_of(request)
    parts.access.authenticate(request.scope, Role.ADMIN)
    router = parts.engine.router
    return json_response(
        {
            "object": "routing.status",
            "ready": is_ready(parts),
            "artifact": None if router is None else router.artifact.content_hash,
            "policy_version": parts.engine.policy_version,
            "models": parts.models,
            "log": asdict(parts.log.stats) | {"writable": parts.log.writable},
            "engine": dict(parts.engine.status),
            "proxy": None if parts.proxy is None else parts.proxy.status,
        }
    )


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
        errors=(ReloadRefusedError,),
    ),
    Endpoint("GET", "/admin/status", status, "What is served", StatusAnswer, roles=(Role.ADMIN,)),
)
