"""One visit to a page: who asks, what was sent, and how a page answers.

`Page` says where a page is and who may see it. `Visit` is what its handler gets. The handlers know nothing of cookies
and tokens: `router_model.serving.console.routes` checks them first.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from router_model.serving.api.parts import Parts
from router_model.serving.common.callers import Caller, Role
from router_model.serving.common.service_errors import NotFoundError
from router_model.serving.common.settings import Settings
from router_model.serving.decision_log.log_records import DecisionRecord
from router_model.serving.decision_log.summaries import ALL, of_router
from router_model.serving.engine.engine import Engine

READERS: Final = frozenset({Role.DECIDE, Role.PROXY, Role.ADMIN})
"""Who may read decisions: those of its own key, and with the role ``admin`` all."""
HOME: Final = "/console"
_SEE_OTHER: Final = 303
_LONGEST_ID: Final = 256


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page.

    Attributes
    ----------
    request : Request
        Its body is read already.
    parts : Parts
    caller : Caller
        Who signed in; without roles before that.
    token : str
        For forms: ``{{ token }}`` in a field named ``csrf``, or the header ``x-csrf-token``.
    templates : Environment
    pages : every page, for the navigation
    form : dict
        The fields of a form that was sent.
    """

    request: Request
    parts: Parts
    caller: Caller
    token: str
    templates: Environment
    pages: tuple["Page", ...]
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def sees_all(self) -> bool:
        """Whether the caller sees what other keys do."""
        return Role.ADMIN in self.caller.roles

    @property
    def own_key(self) -> str | None:
        """The key whose records alone the caller sees; None: it sees all."""
        return None if self.sees_all else self.caller.key_id

    @property
    def key_name(self) -> str:
        """What people call the caller's key."""
        return self.parts.access.key_name(self.caller.key_id)

    @property
    def is_partial(self) -> bool:
        """Whether a part of a page is asked for, by htmx."""
        return "hx-request" in self.request.headers and "hx-boosted" not in self.request.headers

    @property
    def routers(self) -> tuple[str, ...]:
        """The names of the routers to choose from; empty if there is one."""
        names = tuple(self.parts.engines)
        return names if len(names) > 1 else ()

    @property
    def router(self) -> str:
        """The name of the router that the page is about.

        Raises
        ------
        NotFoundError
            If the service has none of this name.
        """
        name = self.form.get("of") or self.query("of") or self.parts.engines.default_name
        if name not in self.parts.engines:
            raise NotFoundError(
                f"the service has no router {name[:_LONGEST_ID]!r}; it has {', '.join(self.parts.engines)}"
            )
        return name

    @property
    def chosen(self) -> dict[str, str]:
        """The part of a query that chooses a router on a page that is about all of them otherwise; empty: it is.

        Who sees the records of one key alone has no choice, because routers are summed up for all keys together.
        """
        return {"of": self.router} if self.routers and self.sees_all and self.query("of") else {}

    @property
    def summed(self) -> str:
        """What the page's summaries are of: a key's id, or what stands in its place."""
        return self.own_key or (of_router(self.chosen["of"]) if self.chosen else ALL)

    @property
    def engine(self) -> Engine:
        """The engine of that router."""
        return self.parts.engines[self.router]

    @property
    def settings(self) -> Settings:
        """The settings of that router."""
        return self.parts.settings.by_router[self.router]

    def query(self, name: str, default: str = "") -> str:
        """Return a parameter of the query, without blanks around it."""
        return self.request.query_params.get(name, default).strip()

    async def decision(self) -> DecisionRecord:
        """Return the decision that the path names; another key's cannot be told from one that nobody made.

        Raises
        ------
        NotFoundError
            If the caller sees none of this id.
        """
        decision_id = self.request.path_params["decision_id"]
        record = await self.parts.log.decision(decision_id) if len(decision_id) <= _LONGEST_ID else None
        if record is None or self.own_key not in (None, record.key_id):
            raise NotFoundError(
                "this key has no decision with that id; decisions are kept as long as the log keeps them"
            )
        return record

    def render(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """Return a page of a template; everything in `values` is escaped there."""
        shown = [page for page in self.pages if page.title and page.is_for(self.caller)]
        here = self.request.url.path
        text = self.templates.get_template(template).render(
            visit=self, token=self.token, navigation=shown, here=here, **values
        )
        return HTMLResponse(text, status)

    def redirect(self, path: str, **query: str) -> Response:
        """Send the browser to another page of the console."""
        target = f"{path}?{urlencode(query)}" if query else path
        if self.is_partial:  # htmx would follow a redirect itself, and put the other page into a part of this one
            return Response(status_code=200, headers={"hx-redirect": target})
        return RedirectResponse(target, _SEE_OTHER)


Handler: TypeAlias = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page, or what a form of one is sent to.

    Attributes
    ----------
    path : below ``/console``; empty for the first page
    handler : Handler
    title : its name in the navigation; empty: it is not there
    roles : one of them is enough; None: whoever comes, without signing in
    method : ``GET`` or ``POST``
    """

    path: str
    handler: Handler
    title: str = ""
    roles: frozenset[Role] | None = READERS
    method: str = "GET"

    @property
    def url(self) -> str:
        """The path as a browser asks for it."""
        return HOME + self.path

    def is_for(self, caller: Caller) -> bool:
        """Whether a caller may see it."""
        return self.roles is None or not self.roles.isdisjoint(caller.roles)

    def is_at(self, path: str) -> bool:
        """Whether a path is of this page, or of one below it."""
        return path == self.url or (bool(self.path) and path.startswith(f"{self.url}/"))
