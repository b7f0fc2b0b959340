"""Put the application together from its parts.

``uvicorn router_model.serving:create_app --factory`` calls `create_app` without arguments; the environment then has the
settings. Opening the parts reads the key file, but touches no network: a mistake in it ends the start with one line.
The server listens at once. The log's store is opened and the router loaded meanwhile; until then `/readyz` says so, and
other requests wait. The parts stop in the reverse order when the server drains.
"""

import asyncio
import gc
import logging
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from importlib.metadata import version
from types import FrameType
from typing import Any, Final, TypeAlias

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from router_model.serving.access.authentication import Access
from router_model.serving.access.owners import DecisionOwners
from router_model.serving.access.start import check_access
from router_model.serving.api import (
    decision_questions,
    derived_surfaces,
    listing,
    notdiamond,
    openrouter,
    operations,
    plano,
    reports,
    routing,
    stored_responses,
    surfaces,
)
from router_model.serving.api.parts import Parts
from router_model.serving.common.extra import has_console
from router_model.serving.common.settings import Settings, read_settings
from router_model.serving.decision_log.opening import open_log
from router_model.serving.engine.engines import Engines
from router_model.serving.http_edge.bodies import BodyReader
from router_model.serving.http_edge.body_limits import BodyLimits
from router_model.serving.http_edge.endpoint import DirectPaths, add_endpoint, complete_document
from router_model.serving.http_edge.error_answers import answer_http_exception, answer_unexpected
from router_model.serving.http_edge.guard import Guard
from router_model.serving.http_edge.log_redaction import redact_server_logs
from router_model.serving.monitoring.opening import open_tracing
from router_model.serving.monitoring.telemetry import Telemetry
from router_model.serving.providers.config import load_providers, with_default_plan
from router_model.serving.proxy.opening import open_proxy

ENDPOINTS: Final = (
    *routing.ENDPOINTS,
    *reports.ENDPOINTS,
    *listing.ENDPOINTS,
    *notdiamond.ENDPOINTS,
    *plano.ENDPOINTS,
    *decision_questions.ENDPOINTS,
    *operations.ENDPOINTS,
    *surfaces.ENDPOINTS,
    *stored_responses.ENDPOINTS,
    *derived_surfaces.ENDPOINTS,
    *openrouter.ENDPOINTS,
)
_LOG_OPENS_S: Final = 2.0
"""How long requests wait for the log, once there is a router."""
_GAUGES_EVERY_S: Final = 1.0
_COLLECT_EVERY: Final = 20_000  # objects that were made and not freed; Python's own figure is 700
_CORS: Final[Any] = {
    "allow_methods": ("GET", "POST", "DELETE"),
    "allow_headers": ("*",),
    "expose_headers": (
        *("x-request-id", "request-id", "retry-after", "x-router-model", "x-router-provider", "x-router-attempts"),
        *("x-router-degraded", "x-router-decision-id", "x-router-cost-usd", "x-router-usage", "x-router-dropped"),
        *("x-router-changed", "x-router-token-count"),
    ),
}
_NO_TELEMETRY: Final[Any] = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own (from 0.165 on), which would send messages of exceptions; we have `serving.monitoring` instead."""
_Handler: TypeAlias = Callable[[int, FrameType | None], Any] | int | None

_logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None, *, parts: Parts | None = None) -> FastAPI:
    """Build the service.

    Parameters
    ----------
    settings : default: of the environment (``ROUTER_ARTIFACT`` and others)
    parts : replaces what the settings would open

    Raises
    ------
    SettingsError
        If the service cannot start like this, e.g. without keys.
    ArtifactError
        If the artifact cannot be used and there is no default plan.
    """
    if parts is None:
        parts = open_parts(settings or read_settings())
    app = FastAPI(
        title="Router Model",
        summary="Which language model to call for a prompt: the cheapest one likely to be good enough.",
        version=version("router-model"),
        lifespan=_lifespan,
        redirect_slashes=False,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        telemetry=_NO_TELEMETRY,
        exception_handlers={HTTPException: answer_http_exception, Exception: answer_unexpected},
    )
    app.add_middleware(DirectPaths, routes=app.router.routes)
    app.add_middleware(operations.AfterTheStart, parts=parts)
    # In front of all but the answer to exceptions that nobody expected: a refused request costs next to nothing.
    app.add_middleware(Guard, settings=parts.settings)
    if parts.settings.cors_origins:
        # Outermost, so that a page can read refusals, too.
        app.add_middleware(CORSMiddleware, allow_origins=parts.settings.cors_origins, **_CORS)
    redact_server_logs()
    app.state.parts = parts
    for endpoint in ENDPOINTS:
        add_endpoint(app.router, endpoint)
    if has_console():
        from router_model.serving.console.pages import PAGES  # noqa: PLC0415  (needs the extra 'console')
        from router_model.serving.console.routes import add_console  # noqa: PLC0415

        add_console(app, PAGES)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's documented way to add to it
    return app


def open_parts(settings: Settings) -> Parts:
    """Open what the settings say; nothing works yet."""
    if settings.providers is not None:
        settings = with_default_plan(settings, load_providers(settings.providers))
    # Before the log and the rest are opened: without keys the service must not start.
    keyring = check_access(settings, is_worker=True)
    log, telemetry, tracing = open_log(settings), Telemetry(tuple(settings.by_router)), open_tracing()
    owners = DecisionOwners(None if keyring is None else keyring.derived_secret(b"decisions' owners"))
    engines = Engines.open(settings, log=log, observers=(telemetry.observe,), seal=owners.seal)
    access = Access.of(settings, keyring, telemetry)
    bodies = BodyReader(BodyLimits.of(settings))
    proxy = open_proxy(settings, engines, access, bodies, log=log, telemetry=telemetry, tracing=tracing)
    if proxy is not None:
        access.usual_concurrent = partial(proxy.connections, settings.workers)
    return Parts(settings, engines, log, access, bodies, telemetry, proxy, tracing, owners)


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        written = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        app.openapi_schema = complete_document(written, ENDPOINTS)
    return app.openapi_schema


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    async with AsyncExitStack() as stack:
        stack.callback(parts.telemetry.close)
        stack.callback(parts.access.close)
        stack.callback(parts.bodies.close)
        # In a thread: it may wait for the network, and the loop still has to close the rest.
        stack.push_async_callback(asyncio.to_thread, parts.tracing.close)
        # The engine and the proxy close before the log: what they write last is kept.
        stack.push_async_callback(parts.log.close, parts.settings.drain_s)
        stack.push_async_callback(parts.engines.close)
        if parts.proxy is not None:
            stack.push_async_callback(parts.proxy.close)
        stack.push_async_callback(_stop, asyncio.create_task(_update_gauges(parts), name="metrics"))
        stack.push_async_callback(_stop, asyncio.create_task(_follow_providers(parts), name="providers-watch"))
        with _draining_on_signals(parts), _seldom_collecting():
            start = asyncio.create_task(_start(parts), name="start")
            stack.push_async_callback(_stop, start)
            yield
        parts.draining = True
        if start.done() and not start.cancelled():
            start.result()  # raises what ended the service, so that its exit status says it


async def _start(parts: Parts) -> None:
    """Open the log's store and load the router, while `/healthz` is answered; a failure ends the service."""
    parts.started.clear()
    try:
        log = asyncio.create_task(parts.log.start(), name="log-start")
        try:
            await parts.engines.start()
            if parts.proxy is not None:
                parts.proxy.start()
            # Looking through what was loaded would stop requests for 0.2 s, so it is left out of collections.
            if _has_process():
                gc.freeze()
            # A store that does not answer takes ten seconds, and decisions do not need it.
            await asyncio.wait({log}, timeout=_LOG_OPENS_S)
            parts.started.set()
            await log
        finally:
            await _stop(log)
    except Exception as exc:
        _logger.critical("the start failed: %s", exc)
        if _has_process():
            signal.raise_signal(signal.SIGTERM)
        raise
    finally:
        parts.started.set()  # who waits gets an answer, whatever it is


def _has_process() -> bool:
    """Tell whether this process is the service's own: a server runs in the main thread."""
    return threading.current_thread() is threading.main_thread()


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    # The cancellation that comes back is our own, and must not break off the shutdown.
    await asyncio.gather(task, return_exceptions=True)


async def _update_gauges(parts: Parts) -> None:
    """Keep this worker's share of the metrics fresh: another worker may be the one that is asked for them."""
    while True:
        parts.update_gauges()
        await asyncio.sleep(_GAUGES_EVERY_S)


async def _follow_providers(parts: Parts) -> None:
    """Read the providers' file again when it changes, in every worker; `/admin/reload` reaches one of them."""
    while parts.proxy is not None:
        await asyncio.sleep(parts.settings.reload_every_s)
        await parts.proxy.providers.follow()


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Collect the garbage of imports now, before the server listens, and let later collections be seldom.

    A decision among 400 candidates makes objects enough for several, and next to none of them is garbage that
    reference counts do not find. Where a program has the service in a thread, its objects are not ours to look through.
    """
    if not _has_process():
        yield
        return
    gc.collect()
    threshold, *others = gc.get_threshold()
    gc.set_threshold(max(threshold, _COLLECT_EVERY), *others)
    try:
        yield
    finally:
        gc.set_threshold(threshold, *others)
        gc.unfreeze()


@contextmanager
def _draining_on_signals(parts: Parts) -> Iterator[None]:
    """Note that a shutdown has begun, then let the server's own handler do its work.

    Calls that are still under way when the drain is over get a proper end, before the server ends them by force. A
    further Ctrl-C ends the drain. It does not reach the server's handler, which would leave the log unwritten.
    """
    if not _has_process():  # signals are the main thread's
        yield
        return
    loop = asyncio.get_running_loop()
    before: dict[int, _Handler] = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def drain(number: int, frame: FrameType | None) -> None:
        is_again = parts.draining and number == signal.SIGINT
        if parts.proxy is not None and (is_again or not parts.draining):
            # From a signal handler only the threadsafe call wakes a loop that waits.
            wait_s = 0.0 if is_again else parts.settings.drain_s
            loop.call_soon_threadsafe(loop.call_later, wait_s, parts.proxy.under_way.end)
        if is_again:
            _logger.info("SIGINT again: calls that are under way end now")
            return
        parts.draining = True
        _logger.info("%s: no longer ready; requests that are under way are finished", signal.Signals(number).name)
        handler = before[number]
        if callable(handler):
            handler(number, frame)

    def hang_up(_: int, frame: FrameType | None) -> None:
        drain(signal.SIGTERM, frame)

    for number in before:
        signal.signal(number, drain)
    hung_up = signal.getsignal(signal.SIGHUP)
    if hung_up is signal.SIG_DFL:  # not under nohup; it would kill the process, with what the log has not written
        signal.signal(signal.SIGHUP, hang_up)
    try:
        yield
    finally:
        for number, handler in {**before, signal.SIGHUP: hung_up}.items():
            signal.signal(number, handler)
