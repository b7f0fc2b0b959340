"""A service of three routes behind the real access checks."""

from fastapi import FastAPI, Request, Response

from router_model.serving.access.authentication import Access
from router_model.serving.common.callers import Role
from router_model.serving.common.service_errors import ServiceError, error_body
from router_model.serving.common.settings import Settings
from router_model.serving.http_edge.guard import Guard
from router_model.serving.http_edge.log_redaction import redact_server_logs


def settings_of(**given):
    """Settings for tests, with nothing from the environment needed."""
    return Settings(**{"artifact": "none", "trusted_hosts": ("testserver", "127.0.0.1")} | given)


def guarded_app(access, settings=None):
    """Return an app with POST /v1/route, /v1/feedback, /admin/reload, which say who called, and GET /healthz."""
    app = FastAPI(redirect_slashes=False)
    app.add_middleware(Guard, settings=settings or settings_of())
    redact_server_logs()

    @app.exception_handler(ServiceError)
    async def render(request: Request, error: ServiceError) -> Response:
        del request
        return Response(error_body(error), error.status, error.headers, "application/json")

    async def answer(request: Request, role: Role) -> Response:
        caller = access.authenticate(request.scope, role)
        return Response(f"{caller.key_id} sent {len(await request.body())} bytes", headers={"x-caller": caller.key_id})

    @app.post("/v1/route")
    async def route(request: Request) -> Response:
        return await answer(request, Role.DECIDE)

    @app.post("/v1/feedback")
    async def feedback(request: Request) -> Response:
        return await answer(request, Role.FEEDBACK)

    @app.post("/admin/reload")
    async def reload(request: Request) -> Response:
        return await answer(request, Role.ADMIN)

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response("ok")

    return app


def insecure_app(settings=None):
    return guarded_app(Access(None), settings)
