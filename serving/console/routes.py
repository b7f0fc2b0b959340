"""Serve the pages: sessions, tokens and roles are checked here, and errors become pages."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from router_model.serving.api.parts import Parts
from router_model.serving.common.callers import INSECURE, Caller
from router_model.serving.common.service_errors import (
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    NotReadyError,
    ServiceError,
    TooLargeError,
    UnauthenticatedError,
)
from router_model.serving.console.cookies import ANONYMOUS, Session, Sessions
from router_model.serving.console.rendering import CHARTS, HEADERS, assets, charts_script, templates
from router_model.serving.console.visit import HOME, READERS, Page, Visit
from router_model.serving.http_edge.bodies import LONG_BYTES
from router_model.serving.http_edge.error_answers import as_service_error, failed

logger = logging.getLogger(__name__)

_MAX_FORM_BYTES: Final = 4_000_000
"""A prompt of a megabyte: a form may write each of its bytes as three."""
_MAX_STRANGERS_BYTES: Final = 65_536
"""Of whoever has not signed in: a key, and the address of a page to go on with."""
_MAX_FIELDS: Final = 100
_FORM: Final = "application/x-www-form-urlencoded"
_NOBODY: Final = Caller(ANONYMOUS, frozenset())
_CLIENT_GONE: Final = 499
_SIGN_IN: Final = "/sign-in"
_SIGN_OUT: Final = "/sign-out"
_SIGNED_IN: Final = "console_signed_in"
"""In the state of a request: the id of the key whose session begins with its answer; empty: the session ends."""
_UNAUTHENTICATED: Final = 401
_FORBIDDEN: Final = 403
_LONGEST_KEY: Final = 256


def add_console(app: FastAPI, pages: Sequence[Page]) -> None:
    """Serve the console; its routes come last, so that no request for another path meets them."""
    parts: Parts = app.state.parts
    sessions = Sessions(parts.access.derived_secret(b"console sessions"))
    all_pages = (*pages, *_SIGNING_IN)
    for page in all_pages:
        app.router.routes.append(Route(page.url, _Endpoint(page, sessions, all_pages).answer, methods=[page.method]))
    app.router.routes.append(Route(f"{HOME}/static/{{name}}", _static, methods=["GET"]))
    missing = Page("/{rest:path}", _missing, roles=None)
    app.router.routes.append(Route(missing.url, _Endpoint(missing, sessions, all_pages).answer, methods=["GET"]))


async def _missing(visit: Visit) -> Response:
    raise NotFoundError(f"there is no page {visit.request.url.path}")


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    asset = await asyncio.to_thread(charts_script.get) if name == CHARTS else assets().get(name)
    if asset is None and name == CHARTS:
        return Response("the log says why", 503, dict(HEADERS), "text/plain")
    if asset is None:
        return Response("there is no such file", 404, dict(HEADERS), "text/plain")
    # The address has the content's hash in it, so what a browser has kept is never out of date.
    headers = {**HEADERS, "cache-control": "public, max-age=31536000, immutable", "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.zipped, 200, {**headers, "content-encoding": "gzip"}, asset.media_type)
    return Response(asset.content, 200, headers, asset.media_type)


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """Answers the requests for one page."""

    page: Page
    sessions: Sessions
    pages: tuple[Page, ...]

    async def answer(self, request: Request) -> Response:
        """Answer with the page, or with one that says what is wrong; no exception passes."""
        parts: Parts = request.app.state.parts
        unread: NotReadyError | None = None
        try:
            found = self.sessions.read(request.cookies)
        except NotReadyError as exc:
            found, unread = None, exc
        caller = _caller(parts, found)
        # Of a session whose key is gone nothing is kept.
        session = found if found is not None and caller.key_id == found.key_id else self.sessions.begin(caller.key_id)
        visit = Visit(request, parts, caller, self.sessions.token(session), templates(), self.pages)
        given = session
        try:
            response = await self._checked(visit, session, unread)
            given = self._next_session(request, session)
        except ClientDisconnect:
            return Response(status_code=_CLIENT_GONE)
        except Exception as exc:  # noqa: BLE001  (the last line of defence: logged with an id)
            error = as_service_error(exc) or failed(exc, f"{request.method} {self.page.url}")
            parts.telemetry.count_error(error.code)
            response = _error_page(visit, error)
        response.headers.update(HEADERS)
        response.headers.setdefault("cache-control", "no-store")
        if given is not found:
            response.headers.append("set-cookie", self.sessions.cookie(given, is_secure=_is_secure(request)))
        return response

    async def _checked(self, visit: Visit, session: Session, unread: NotReadyError | None) -> Response:
        if unread is not None:
            raise unread
        is_post = visit.request.method == "POST"
        if is_post:
            _check_site(visit.request)
        if not self.page.is_for(visit.caller):  # before the form is read: it may be long
            if not visit.caller.roles:
                return visit.redirect(HOME + _SIGN_IN, next=_asked(visit.request))
            needed = " or ".join(sorted(self.page.roles or ()))
            raise ForbiddenError(f"the key '{visit.key_name}' may not use this page; it needs the role: {needed}")
        if self.page.roles is not None and visit.parts.access.has_keys:
            visit.parts.access.count_more(visit.caller, 1)  # as any request with this key
        if is_post:
            form = await _form(visit.request, _MAX_FORM_BYTES if visit.caller.roles else _MAX_STRANGERS_BYTES)
            given = form.get("csrf") or visit.request.headers.get("x-csrf-token", "")
            if not self.sessions.has_token(session, given):
                raise ForbiddenError(
                    "the form does not carry this session's token; load the page again, and send it then"
                )
            visit = replace(visit, form=form)
        return await self.page.handler(visit)

    def _next_session(self, request: Request, session: Session) -> Session:
        """Return the session that the browser goes on with: another one if somebody signed in or out."""
        signed_in: str | None = getattr(request.state, _SIGNED_IN, None)
        if signed_in is None:
            return session
        if session.key_id != ANONYMOUS:
            self.sessions.end(session)
        return self.sessions.begin(signed_in or ANONYMOUS)


def _caller(parts: Parts, session: Session | None) -> Caller:
    if not parts.access.has_keys:
        return INSECURE
    return _NOBODY if session is None else parts.access.caller(session.key_id) or _NOBODY


def _asked(request: Request) -> str:
    """Return the page to go on with after signing in."""
    if request.method != "GET":
        return HOME
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def _check_site(request: Request) -> None:
    """Refuse a form that a page of another site has sent."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    is_ours = site in (None, "same-origin", "none")
    if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
        is_ours = False
    if not is_ours:
        raise ForbiddenError("the form was sent by a page of another site; open the console itself")


async def _form(request: Request, most_bytes: int) -> Mapping[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise InvalidRequestError(f"content-type is {kind[:64]!r}; expected a form ({_FORM})")
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > most_bytes:
            raise TooLargeError(f"the form has more than {most_bytes:,} bytes; send less")
    # A long one in a thread: it takes tens of milliseconds.
    return await asyncio.to_thread(_fields, raw) if len(raw) > LONG_BYTES else _fields(raw)


def _fields(raw: bytearray) -> Mapping[str, str]:
    try:
        fields = parse_qsl(
            raw.decode(), keep_blank_values=True, strict_parsing=bool(raw), max_num_fields=_MAX_FIELDS, errors="strict"
        )
    except ValueError as exc:  # undecodable, too
        raise InvalidRequestError("the form cannot be read; expected fields in UTF-8") from exc
    return dict(fields)


def _is_secure(request: Request) -> bool:
    """Tell whether the browser came over TLS: what ends it before us says so, or the browser does by its origin.

    Anybody can send these headers, but only about their own cookie.
    """
    origin, forwarded = request.headers.get("origin", ""), request.headers.get("x-forwarded-proto", "")
    return request.url.scheme == "https" or forwarded.lower() == "https" or origin.lower().startswith("https://")


def _error_page(visit: Visit, error: ServiceError) -> Response:
    template = "error_part.html" if visit.is_partial else "error.html"
    response = visit.render(template, status=error.status, error=error)
    response.headers.update(error.headers)
    return response


# --- signing in and out -----------------------------------------------------------------------------------


async def _show_form(visit: Visit) -> Response:
    """Ask for a key."""
    if visit.caller.roles:
        return visit.redirect(HOME)
    return visit.render("sign_in.html", next=visit.query("next"), error="")


async def _sign_in(visit: Visit) -> Response:
    """Begin the session of a key."""
    given, target = visit.form.get("key", "").strip()[:_LONGEST_KEY], visit.form.get("next", "")
    try:
        caller = visit.parts.access.identify(given.encode("utf-8", "replace"))
    except UnauthenticatedError as exc:
        return visit.render("sign_in.html", status=_UNAUTHENTICATED, next=target, error=exc.message)
    if READERS.isdisjoint(caller.roles):
        own, needed = ", ".join(sorted(caller.roles)), ", ".join(sorted(READERS))
        name = visit.parts.access.key_name(caller.key_id)
        error = f"the key '{name}' has the roles: {own}; the console needs one of: {needed}"
        return visit.render("sign_in.html", status=_FORBIDDEN, next=target, error=error)
    setattr(visit.request.state, _SIGNED_IN, caller.key_id)
    return visit.redirect(_own_page(target))


async def _sign_out(visit: Visit) -> Response:
    """End the session."""
    if not visit.parts.access.has_keys:
        raise ForbiddenError("the service runs without keys, so there is nobody to sign out")
    setattr(visit.request.state, _SIGNED_IN, "")
    return visit.redirect(HOME + _SIGN_IN)


def _own_page(path: str) -> str:
    """Return a page to go on with: of this console only, or the form could lead anywhere.

    >>> _own_page("/console/spend?days=7"), _own_page("//evil.example/console"), _own_page("/console/../v1/models")
    ('/console/spend?days=7', '/console', '/console')
    """
    is_ours = path == HOME or path.startswith((f"{HOME}/", f"{HOME}?"))
    return path if is_ours and ".." not in path and "\\" not in path and path.isprintable() else HOME


_SIGNING_IN: Final = (
    Page(_SIGN_IN, _show_form, roles=None),
    Page(_SIGN_IN, _sign_in, roles=None, method="POST"),
    Page(_SIGN_OUT, _sign_out, roles=None, method="POST"),
)
