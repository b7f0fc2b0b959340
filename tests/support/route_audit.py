"""Which operations of an application answer somebody without a key."""

from collections.abc import Iterator
from re import sub

from starlette.routing import Route


def open_operations(app, client) -> set[str]:
    """Return the operations, such as ``GET /healthz``, that neither answer 401 without a key nor lead to the sign-in.

    Parameters
    ----------
    app : FastAPI application that runs with keys
    client : what sends a request to it, with ``request(method, path, content=…)``
    """
    return {
        f"{method} {path}"
        for method, path in sorted(set(_operations(app)))
        if not _asks_for_key(client, method, sub(r"\{[^}]*\}", "x", path))
    }


def _asks_for_key(client, method, path) -> bool:
    answer = client.request(method, path, content=b"{}", follow_redirects=False)
    to_sign_in = answer.status_code == 303 and answer.headers["location"].startswith("/console/sign-in?")
    return answer.status_code == 401 or to_sign_in


def _operations(app) -> Iterator[tuple[str, str]]:
    """Yield what is documented, and what is not."""
    for path, operations in app.openapi()["paths"].items():
        yield from ((method.upper(), path) for method in operations)
    for route in app.routes:
        if isinstance(route, Route):
            yield from ((method, route.path) for method in route.methods - {"HEAD"})
