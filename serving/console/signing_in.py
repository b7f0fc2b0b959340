"""Sign in by a key, and sign out."""

from typing import Final

from starlette.responses import Response

from router_model.serving.common.service_errors import ForbiddenError, UnauthenticatedError
from router_model.serving.console.visit import HOME, READERS, Page, Visit

SIGN_IN: Final = "/sign-in"
SIGN_OUT: Final = "/sign-out"
SIGNED_IN: Final = "console_signed_in"
"""In the state of a request: the id of the key whose session begins with its answer; `ANONYMOUS`: the session ends."""
_UNAUTHENTICATED: Final = 401
_FORBIDDEN: Final = 403
_LONGEST_KEY: Final = 256


async def show_form(visit: Visit) -> Response:
    """Ask for a key."""
    if visit.caller.roles:
        return visit.redirect(HOME)
    return visit.render("sign_in.html", next=visit.query("next"), error="")


async def sign_in(visit: Visit) -> Response:
    """Begin the session of a key."""
    given, target = visit.form.get("key", "").strip()[:_LONGEST_KEY], visit.form.get("next", "")
    try:
        caller = visit.parts.access.identify(given.encode("utf-8", "replace"))
    except UnauthenticatedError as exc:
        return visit.render("sign_in.html", status=_UNAUTHENTICATED, next=target, error=exc.message)
    if READERS.isdisjoint(caller.roles):
        own, needed = ", ".join(sorted(caller.roles)), ", ".join(sorted(READERS))
        error = f"key {caller.key_id} has the roles: {own}; the console needs one of: {needed}"
        return visit.render("sign_in.html", status=_FORBIDDEN, next=target, error=error)
    setattr(visit.request.state, SIGNED_IN, caller.key_id)
    return visit.redirect(_own_page(target))


async def sign_out(visit: Visit) -> Response:
    """End the session."""
    if not visit.parts.access.has_keys:
        raise ForbiddenError("the service runs without keys, so there is nobody to sign out")
    setattr(visit.request.state, SIGNED_IN, "")
    return visit.redirect(HOME + SIGN_IN)


def _own_page(path: str) -> str:
    """Return a page to go on with: of this console only, or the form could lead anywhere.

    >>> _own_page("/console/spend?days=7"), _own_page("//evil.example/console"), _own_page("/console/../v1/models")
    ('/console/spend?days=7', '/console', '/console')
    """
    is_ours = path == HOME or path.startswith((f"{HOME}/", f"{HOME}?"))
    return path if is_ours and ".." not in path and "\\" not in path and path.isprintable() else HOME


PAGES: Final = (
    Page(SIGN_IN, show_form, roles=None),
    Page(SIGN_IN, sign_in, roles=None, method="POST"),
    Page(SIGN_OUT, sign_out, roles=None, method="POST"),
)
